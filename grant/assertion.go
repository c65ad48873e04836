package grant

import (
	"cmp"
	"crypto"
	"crypto/hmac"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
)

const (
	assertionType     = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523, section 2.2
	assertionLifetime = 60                                                       // seconds
)

// ClientSecretJWT proves that the client has the secret without sending it: an
// assertion is authenticated with it, by HS256 unless
// Client.TokenEndpointAuthSigningAlg or the server says otherwise (RFC 7523,
// section 2.2; OpenID Connect Core 1.0, section 9).
func ClientSecretJWT(secret Secret) ClientAuth {
	return &clientSecretJWT{func() Secret { return secret }}
}

// PrivateKeyJWT signs an assertion with the key that was registered for the
// client (RFC 7523, section 2.2; OpenID Connect Core 1.0, section 9). The key is
// RSA with 2048 bits or more, P-256, P-384, P-521 or Ed25519, and may live in a
// device. kid is its key ID; empty: none is sent. The algorithm is
// Client.TokenEndpointAuthSigningAlg, or the first one that the key can do and
// the server lists.
func PrivateKeyJWT(key crypto.Signer, kid string) ClientAuth {
	return &privateKeyJWT{func() crypto.Signer { return key }, kid}
}

type clientSecretJWT struct{ secret func() Secret }

func (*clientSecretJWT) Method() string { return methodClientSecretJWT }

func (a *clientSecretJWT) Format(f fmt.State, _ rune) { io.WriteString(f, a.Method()) }

func (a *clientSecretJWT) check(as *AuthorizationServer, client *Client) error {
	_, err := a.mac(as, client)
	return cmp.Or(checkSecret(a.secret()), err)
}

func (*clientSecretJWT) mac(as *AuthorizationServer, client *Client) (mac, error) {
	return newMAC(client.TokenEndpointAuthSigningAlg, as.TokenEndpointAuthSigningAlgValuesSupported)
}

func (a *clientSecretJWT) authenticate(r *authentication) error {
	mac, err := a.mac(r.as, r.client)
	if err != nil {
		return err
	}
	assertion, err := mac.sign(a.secret(), r.assertionClaims())
	return r.assert(assertion, err)
}

type privateKeyJWT struct {
	key func() crypto.Signer
	kid string
}

func (*privateKeyJWT) Method() string { return methodPrivateKeyJWT }

func (a *privateKeyJWT) Format(f fmt.State, _ rune) { io.WriteString(f, a.Method()) }

func (a *privateKeyJWT) check(as *AuthorizationServer, client *Client) error {
	_, err := a.signer(as, client)
	return err
}

func (a *privateKeyJWT) signer(as *AuthorizationServer, client *Client) (*signer, error) {
	return newSigner(a.key(), client.TokenEndpointAuthSigningAlg, client.algs(as.TokenEndpointAuthSigningAlgValuesSupported))
}

func (a *privateKeyJWT) authenticate(r *authentication) error {
	signer, err := a.signer(r.as, r.client)
	if err != nil {
		return err
	}
	header := map[string]any{}
	if a.kid != "" {
		header["kid"] = a.kid
	}
	assertion, err := signer.sign(header, r.assertionClaims())
	return r.assert(assertion, err)
}

// assertionClaims are those of RFC 7523, section 3, and OpenID Connect Core 1.0,
// section 9. They are new for every request. The audience is the issuer alone, so
// that no other server that the client knows could use the assertion.
func (r *authentication) assertionClaims() map[string]any {
	now := int64(math.Floor(r.client.now()))
	return map[string]any{
		"iss": r.client.ClientID, "sub": r.client.ClientID, "aud": r.as.Issuer,
		"jti": randomValue(), "iat": now, "nbf": now, "exp": now + assertionLifetime,
	}
}

// assert puts an assertion into the form (RFC 7521, section 4.2).
func (r *authentication) assert(assertion string, err error) error {
	if err != nil {
		return fmt.Errorf("the client assertion: %w", err)
	}
	r.form.Set("client_id", r.client.ClientID)
	r.form.Set("client_assertion_type", assertionType)
	r.form.Set("client_assertion", assertion)
	return nil
}

// A mac is an algorithm of RFC 7518, section 3.2.
type mac struct {
	alg  string
	hash crypto.Hash
}

var hs256 = mac{"HS256", crypto.SHA256}

// newMAC chooses as newSigner does.
func newMAC(pinned string, offered []string) (mac, error) {
	for _, m := range []mac{hs256, {"HS384", crypto.SHA384}, {"HS512", crypto.SHA512}} {
		if pinned == m.alg || pinned == "" && (offered == nil || slices.Contains(offered, m.alg)) {
			return m, nil
		}
	}
	return mac{}, argumentError("a secret signs with HS256, HS384 or HS512, and not with %s", cmp.Or(pinned, fmt.Sprint(offered)))
}

// sign does not ask how long the secret is, as RFC 7518 would: the server chose
// it, and knows it.
func (m mac) sign(secret Secret, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return compactJWS(map[string]any{"alg": m.alg}, payload, func(input []byte) ([]byte, error) {
		return m.sum(secret, input), nil
	})
}

func (m mac) sum(secret Secret, input []byte) []byte {
	h := hmac.New(m.hash.New, []byte(secret))
	h.Write(input)
	return h.Sum(nil)
}
