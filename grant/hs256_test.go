package grant_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// mintHS256 authenticates an ID token with a secret.
func mintHS256(secret string, claims members) string {
	input := b64([]byte(`{"alg":"HS256"}`)) + "." + b64([]byte(claims.json()))
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(input))
	return input + "." + b64(h.Sum(nil))
}

// H05, R151: HS256 is for a client that says so and has a secret of its own that
// is long enough (RFC 7518, section 3.2). No keys are fetched for it.
func TestHS256(t *testing.T) {
	const secret, other, short = "0123456789abcdef0123456789abcde\xc3\xa9", "0123456789abcdef0123456789abcdefg", "0123456789abcdef0123456789abcde"
	good := mintHS256(secret, idClaims(nil))
	tests := []struct {
		name   string
		secret grant.Secret
		pinned string
		listed []string
		token  string
		want   string
	}{
		{"named by the client", secret, "HS256", nil, good, "ok"},
		{"named by the client, not listed", secret, "HS256", []string{"RS256"}, good, "ok"},
		{"listed by the server alone", secret, "", []string{"HS256"}, good, noSuchAlg},
		{"listed beside others", secret, "", []string{"ES256", "HS256"}, good, noSuchAlg},
		{"nobody speaks of it", secret, "", nil, good, wrongAlg},
		{"another alg pinned", secret, "ES256", []string{"HS256"}, good, wrongAlg},
		{"a secret that is short", short, "HS256", nil, mintHS256(short, idClaims(nil)), noSuchAlg},
		{"no secret", "", "HS256", nil, mintHS256("", idClaims(nil)), noSuchAlg},
		{"another secret", other, "HS256", nil, good, wrongSig},
		{"the issuer's public key as a secret", secret, "HS256", nil, mintHS256(jwkES.json(), idClaims(nil)), wrongSig},
		{"no signature", secret, "HS256", nil, good[:len(good)-43], wrongSig},
		{"half a signature", secret, "HS256", nil, good[:len(good)-20], ""},
		{"signed by the issuer after all", secret, "HS256", nil, mint("ES256", idClaims(nil)), wrongAlg},
		{"claims count too", secret, "HS256", nil, mintHS256(secret, idClaims(members{"aud": "other"})), compared + "aud"},
		{"at_hash", secret, "HS256", nil, mintHS256(secret, idClaims(members{"at_hash": halfOf("token")})), "ok"},
		{"another at_hash", secret, "HS256", nil, mintHS256(secret, idClaims(members{"at_hash": halfOf("other")})), compared + "at_hash"},
		{"HS512", secret, "HS512", []string{"HS512"}, mintHeader(members{"alg": "HS512"}, idClaims(nil)), noSuchAlg},
	}
	for _, processor := range processors {
		for _, test := range tests {
			t.Run(processor.name+" "+test.name, func(t *testing.T) {
				p := newProvider("")
				as, client := newServer(), newClient(p)
				as.JWKSURI, as.IDTokenSigningAlgValuesSupported = "", test.listed
				client.ClientSecret, client.IDTokenSignedResponseAlg = test.secret, test.pinned
				_, err := processor.process(t, as, client, response(200, tokenBody(test.token)))
				if test.want == "" {
					if err == nil {
						t.Error("it was taken")
					}
					return
				}
				wantOutcome(t, err, test.want)
			})
		}
	}
}

func halfOf(s string) string { sum := sha256.Sum256([]byte(s)); return b64(sum[:16]) }

// What would fail after the person has signed in is found before, and no keys are
// needed.
func TestHS256Login(t *testing.T) {
	p, client := newOIDC()
	client.IDTokenSignedResponseAlg, client.Server.JWKSURI = "HS256", ""
	for _, secret := range []grant.Secret{"", "0123456789abcdef0123456789abcde"} {
		client.ClientSecret = secret
		_, err := client.Authorize(t.Context(), redirect)
		wantOutcome(t, err, "argument")
	}
	client.ClientSecret = "0123456789abcdef0123456789abcdef"
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	p.token = always(200, tokenBody(mintHS256(string(client.ClientSecret), idClaims(members{"nonce": query(t, flow).Get("nonce")}))))
	flow.Warm(t.Context())
	token, err := flow.Exchange(t.Context(), redirectOf(t, flow))
	if err != nil || token.IDToken.Subject != subject {
		t.Errorf("got %v, %v", token, err)
	}
	if n := len(p.requests("/jwks")); n != 0 {
		t.Errorf("%d requests for keys", n)
	}
}
