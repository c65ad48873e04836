package grant_test

import (
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"io"
	"math/big"
	"reflect"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// The examples of RFC 9449, sections 4.1 and 7.1: the proof of a token request,
// and that of a request for a resource.
const (
	publishedHeader = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMi" +
		"LCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
	publishedTokenProof = publishedHeader + ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ" +
		".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	publishedResourceProof = publishedHeader + ".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIs" +
		"ImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9" +
		".2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	publishedAccessToken = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
	publishedThumbprint  = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" // section 6.1
)

// A publicKey stands in for a key whose private part nobody published.
type publicKey struct{ crypto.PublicKey }

func (k publicKey) Public() crypto.PublicKey { return k.PublicKey }

func (publicKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, io.EOF }

// What we send says the same as the examples, and the examples pass the checks that
// ours have to pass in these tests.
func TestPublishedProofs(t *testing.T) {
	sent, err := tokenProof(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, published, ours string }{
		{"section 4.1", publishedTokenProof, sent},
		{"section 7.1", publishedResourceProof, authorized(t, &grant.Token{AccessToken: publishedAccessToken, TokenType: "dpop", DPoP: newDPoP(t, keyES)},
			"GET", "https://resource.example.org/protectedresource").Header.Get("DPoP")},
	} {
		want, thumbprint := openProof(t, test.published)
		if thumbprint != publishedThumbprint {
			t.Errorf("%s: thumbprint %s", test.name, thumbprint)
		}
		got, _ := openProof(t, test.ours)
		for _, fresh := range []string{"jti", "iat"} {
			if got[fresh] == nil || got[fresh] == want[fresh] {
				t.Errorf("%s: %s is %v", test.name, fresh, got[fresh])
			}
			delete(got, fresh)
			delete(want, fresh)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", test.name, got, want)
		}
	}
}

// tokenProof is the proof of a token request to the server of the example.
func tokenProof(t *testing.T) (string, error) {
	t.Helper()
	p := newProvider("")
	as := newServer()
	as.TokenEndpoint = "https://server.example.com/token"
	_, err := senders[0].send(t.Context(), t, as, newClient(p), &grant.TokenEndpointRequestOptions{DPoP: newDPoP(t, keyES)})
	return p.one(t, "/token").header.Get("DPoP"), err
}

// RFC 7638, section 3.1, and RFC 9449, section 6.1, and RFC 8037, appendix A.3.
func TestPublishedThumbprints(t *testing.T) {
	n, err := base64.RawURLEncoding.DecodeString("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5Js" +
		"GY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2Nc" +
		"Rwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw")
	if err != nil {
		t.Fatal(err)
	}
	for want, key := range map[string]crypto.PublicKey{
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537},
		publishedThumbprint: keyOf(t, map[string]string{"kty": "EC", "crv": "P-256",
			"x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}),
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": keyOf(t, map[string]string{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
	} {
		if got := newDPoP(t, publicKey{key}).Thumbprint(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// RFC 7515, appendix A.1: the check that client_secret_jwt passes in these tests
// accepts the example with HMAC, and no other secret.
func TestPublishedMAC(t *testing.T) {
	const header, payload, signature = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
		"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	secret, err := base64.RawURLEncoding.DecodeString("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
	if err != nil {
		t.Fatal(err)
	}
	if _, claims := openJWS(t, header+"."+payload+"."+signature, string(secret)); claims["iss"] != "joe" {
		t.Errorf("claims %v", claims)
	}
	mac, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	if signatureFits("HS256", []byte(header+"."+payload), mac, "another secret") {
		t.Error("it fits another secret")
	}
}
