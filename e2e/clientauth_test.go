package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// reserved has every byte that RFC 6749, appendix A.2, allows in a client secret, but for letters and digits, and is long enough for
// HMAC.
const reserved = "s3cret !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ s3cret"

// anyKey makes a key, and its public part as client metadata have it.
func anyKey(t *testing.T, alg string) (key crypto.Signer, jwk object) {
	t.Helper()
	var err error
	switch alg {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA", "Ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	switch public := key.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		half := len(point) / 2
		jwk = object{"kty": "EC", "crv": public.Params().Name, "x": encode(point[1 : half+1]), "y": encode(point[half+1:])}
	case *rsa.PublicKey:
		jwk = object{"kty": "RSA", "n": encode(public.N.Bytes()), "e": encode(big.NewInt(int64(public.E)).Bytes())}
	case ed25519.PublicKey:
		jwk = object{"kty": "OKP", "crv": "Ed25519", "x": encode(public)}
	}
	jwk["alg"], jwk["use"], jwk["kid"] = alg, "sig", alg+" key"
	return key, jwk
}

// A credential is one way in which a client authenticates.
type credential struct {
	method, alg string // alg is "" where nothing is signed
	key         crypto.Signer
	metadata    object // of the client at the provider
}

// signing are the algorithms that the provider takes.
var signing = []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}

// credentials returns one for every method and for every algorithm, and a provider that knows a client for each, named after both.
func credentials(t *testing.T, config providerConfig) (*provider, map[string]*credential) {
	t.Helper()
	all := map[string]*credential{"client_secret_basic": {method: "client_secret_basic"}, "client_secret_post": {method: "client_secret_post"}}
	for _, alg := range signing {
		c := &credential{method: "private_key_jwt", alg: alg}
		if strings.HasPrefix(alg, "HS") {
			c.method = "client_secret_jwt"
		}
		all[c.method+" "+alg] = c
	}
	var clients []object
	for name, c := range all {
		c.metadata = nativeClient()
		c.metadata["client_id"], c.metadata["token_endpoint_auth_method"] = name, c.method
		if c.alg != "" {
			c.metadata["token_endpoint_auth_signing_alg"] = c.alg
		}
		if c.method == "private_key_jwt" {
			var jwk object
			c.key, jwk = anyKey(t, c.alg)
			c.metadata["jwks"] = object{"keys": []object{jwk}}
		} else {
			c.metadata["client_secret"] = reserved
		}
		clients = append(clients, c.metadata)
	}
	config.AlwaysRefresh = true
	config.Configuration = object{"clients": clients, "enabledJWA": object{"clientAuthSigningAlgValues": signing}}
	return startProvider(t, config), all
}

// TestPackageClientAuth signs in, refreshes and revokes with every method of OpenID Connect Core 1.0, section 9.
func TestPackageClientAuth(t *testing.T) {
	p, all := credentials(t, providerConfig{})
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			client := &grant.Client{
				Issuer: p.Issuer, ClientID: name, TokenEndpointAuthMethod: c.method, TokenEndpointAuthSigningAlg: c.alg,
				Scopes: []string{"openid"}, AllowInsecureRequests: true,
			}
			if c.key != nil {
				client.Key, client.KeyID = c.key, c.alg+" key"
			} else {
				client.ClientSecret = reserved
			}
			token := loginBy(t, client, func(address string) { get(t, signInByHand(t, address, person{Login: "alice"})) })
			token, err := client.Refresh(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			if err := client.Revoke(t.Context(), token.RefreshToken, "refresh_token"); err != nil {
				t.Error(err)
			}
			client.CloseIdleConnections()
		})
	}
	if left := p.usable(t, "RefreshToken"); len(left) != 0 {
		t.Errorf("%d refresh tokens are usable after the revocation", len(left))
	}
}

// TestClientAuth is TestPackageClientAuth with the command's flags, where the method and the algorithm are found out, and what was
// remembered serves for a refresh and a logout.
func TestClientAuth(t *testing.T) {
	p, all := credentials(t, providerConfig{Behavior: behavior{AccessTokenTTL: 2}})
	c := newCommand(t, startKeyring(t))
	secret := writeFile(t, "secret", []byte(reserved+"\n"))
	flags := map[string][]string{}
	for _, name := range []string{"client_secret_basic", "client_secret_post", "client_secret_jwt HS256", "private_key_jwt ES256", "private_key_jwt EdDSA", "private_key_jwt PS256"} {
		credential := all[name]
		flags[name] = []string{"--client-secret-file", secret, "--client-auth", credential.method}
		if credential.key != nil {
			flags[name] = []string{"--client-key", writeFile(t, "key.pem", privatePEM(t, credential.key)), "--client-key-id", credential.alg + " key"}
		}
	}
	for name, args := range flags {
		running := c.start(t, append([]string{"--issuer", p.Issuer, "--client-id", name, "--no-browser"}, args...)...)
		get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
		running.wait(t).expect(t, exitDone)
	}
	time.Sleep(3 * time.Second)
	for name := range flags {
		chosen := []string{"--issuer", p.Issuer, "--client-id", name}
		r := c.run(t, append([]string{"token"}, chosen...)...)
		r.expect(t, exitDone)
		if status, _ := p.userinfo(t, strings.TrimSpace(r.stdout)); status != http.StatusOK {
			t.Errorf("%s: userinfo answered %d", name, status)
		}
		c.run(t, append([]string{"logout"}, chosen...)...).expect(t, exitDone)
	}
	if left := p.usable(t, "RefreshToken"); len(left) != 0 {
		t.Errorf("%d refresh tokens are usable after the logout", len(left))
	}
}
