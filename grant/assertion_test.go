package grant_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// R084, R085, R087: what an assertion says, and what signs it.
func TestClientAssertion(t *testing.T) {
	secret := strings.Repeat("s3cret ", 5)
	tests := []struct {
		name, method string
		auth         grant.ClientAuth
		key          any
		pinned       string
		offered      []string
		alg, kid     string
	}{
		{name: "CA-04 CA-05 P-256", method: "private_key_jwt", auth: grant.PrivateKeyJWT(keyES, ""), key: &keyES.PublicKey, alg: "ES256"},
		{name: "CA-08 kid", method: "private_key_jwt", auth: grant.PrivateKeyJWT(keyES, "key 1"), key: &keyES.PublicKey, alg: "ES256", kid: "key 1"},
		{name: "R087 P-384", method: "private_key_jwt", auth: grant.PrivateKeyJWT(key384, ""), key: &key384.PublicKey, alg: "ES384"},
		{name: "R087 P-521", method: "private_key_jwt", auth: grant.PrivateKeyJWT(key521, ""), key: &key521.PublicKey, alg: "ES512"},
		{name: "R087 Ed25519", method: "private_key_jwt", auth: grant.PrivateKeyJWT(keyEd, ""), key: keyEd.Public(), alg: "EdDSA"},
		{name: "R087 Ed25519 by its own name", method: "private_key_jwt", auth: grant.PrivateKeyJWT(keyEd, ""), key: keyEd.Public(), pinned: "Ed25519", alg: "Ed25519"},
		{name: "R087 RSA", method: "private_key_jwt", auth: grant.PrivateKeyJWT(keyRS, ""), key: &keyRS.PublicKey, alg: "RS256"},
		{name: "RSA as offered", method: "private_key_jwt", auth: grant.PrivateKeyJWT(keyRS, ""), key: &keyRS.PublicKey, offered: []string{"HS256", "RS512", "PS256"}, alg: "PS256"},
		{name: "RSA pinned", method: "private_key_jwt", auth: grant.PrivateKeyJWT(keyRS, ""), key: &keyRS.PublicKey, pinned: "PS512", offered: []string{"RS256"}, alg: "PS512"},
		{name: "a key in a device", method: "private_key_jwt", auth: grant.PrivateKeyJWT(device{keyES}, ""), key: &keyES.PublicKey, alg: "ES256"},
		{name: "CA-12 secret", method: "client_secret_jwt", auth: grant.ClientSecretJWT(grant.Secret(secret)), key: secret, alg: "HS256"},
		{name: "R085 short secret", method: "client_secret_jwt", auth: grant.ClientSecretJWT("s"), key: "s", alg: "HS256"},
		{name: "secret as offered", method: "client_secret_jwt", auth: grant.ClientSecretJWT("s"), key: "s", offered: []string{"RS256", "HS512", "HS384"}, alg: "HS384"},
		{name: "secret pinned", method: "client_secret_jwt", auth: grant.ClientSecretJWT("s"), key: "s", pinned: "HS512", offered: []string{"HS256"}, alg: "HS512"},
	}
	for _, test := range tests {
		t.Run(test.name, inBubble(func(t *testing.T) {
			if test.auth.Method() != test.method {
				t.Errorf("method %q", test.auth.Method())
			}
			p := newProvider("")
			as, client := newServer(), newClient(p)
			client.ClockSkew = -90*time.Second - time.Millisecond
			client.TokenEndpointAuthSigningAlg, as.TokenEndpointAuthSigningAlgValuesSupported = test.pinned, test.offered
			opts := &grant.TokenEndpointRequestOptions{ClientAuth: test.auth}
			if _, err := grant.RevocationRequest(t.Context(), as, client, "token", "", opts); err != nil {
				t.Fatal(err)
			}
			r := p.one(t, "/revoke")
			if r.header.Get("Authorization") != "" || r.form.Has("client_secret") || len(r.form) != 4 ||
				r.form.Get("client_id") != clientID || r.form.Get("client_assertion_type") != jwtBearer {
				t.Errorf("header %v, form %v", r.header, r.form)
			}
			header, claims := openJWS(t, r.form.Get("client_assertion"), test.key)
			wantHeader := members{"alg": test.alg}
			if test.kid != "" {
				wantHeader["kid"] = test.kid
			}
			if !reflect.DeepEqual(header, wantHeader) {
				t.Errorf("header %v", header)
			}
			wantAssertionClaims(t, claims, time.Now().Unix()-91)
		}))
	}
}

// A device holds a key that does not leave it.
type device struct{ crypto.Signer }

func wantAssertionClaims(t *testing.T, claims members, now int64) {
	t.Helper()
	want := members{"iss": clientID, "sub": clientID, "aud": issuer, "iat": 0, "nbf": 0, "exp": 0, "jti": ""}
	if !reflect.DeepEqual(claims.names(), want.names()) {
		t.Errorf("claims %v", claims)
	}
	for _, name := range []string{"iss", "sub", "aud"} {
		if claims[name] != want[name] {
			t.Errorf("%s is %v, want %v", name, claims[name], want[name])
		}
	}
	if iat := whole(t, claims, "iat"); iat != now || whole(t, claims, "nbf") != iat || whole(t, claims, "exp") != iat+60 {
		t.Errorf("now is %d, claims %v", now, claims)
	}
	if jti, _ := claims["jti"].(string); !value43.MatchString(jti) {
		t.Errorf("jti %v", claims["jti"])
	}
}

// R084: a new one for every request.
func TestClientAssertionsDiffer(t *testing.T) {
	p := newProvider(tokenBody(""))
	client := newClient(p)
	client.Key, client.KeyID = keyES, "key 1"
	seen := map[any]bool{}
	for range 3 {
		if _, err := senders[1].send(t.Context(), t, newServer(), client, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range p.requests("/token") {
		header, claims := openJWS(t, r.form.Get("client_assertion"), &keyES.PublicKey)
		if header["kid"] != "key 1" {
			t.Errorf("header %v", header)
		}
		seen[claims["jti"]] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d jti in three requests", len(seen))
	}
}

// What cannot work is found before the person is sent to the browser, and before
// anything goes over the network.
func TestClientAuthMistakes(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	small := mustKey(rsa.GenerateKey(rand.Reader, 1024))
	tests := []struct {
		name   string
		change func(c *grant.Client)
		says   string
	}{
		{"R082 empty secret for basic", func(c *grant.Client) { c.Auth = grant.ClientSecretBasic("") }, "secret is empty"},
		{"R081 empty secret for post", func(c *grant.Client) { c.Auth = grant.ClientSecretPost("") }, "secret is empty"},
		{"R085 empty secret for client_secret_jwt", func(c *grant.Client) { c.Auth = grant.ClientSecretJWT("") }, "secret is empty"},
		{"CA-07 no key", func(c *grant.Client) { c.Auth = grant.PrivateKeyJWT(nil, "") }, "key is nil"},
		{"R087 small RSA key", func(c *grant.Client) { c.Key = small }, "1024 bits"},
		{"R087 algorithm of another key", func(c *grant.Client) { c.Key, c.TokenEndpointAuthSigningAlg = keyES, "RS256" }, "RS256"},
		{"R087 algorithm for a secret", func(c *grant.Client) {
			c.Auth, c.TokenEndpointAuthSigningAlg = grant.ClientSecretJWT("s"), "RS256"
		}, "RS256"},
		{"the server takes others", func(c *grant.Client) {
			c.Key, c.Server.TokenEndpointAuthSigningAlgValuesSupported = keyES, []string{"RS256"}
		}, "RS256"},
		{"the server takes no HMAC", func(c *grant.Client) {
			c.Auth, c.Server.TokenEndpointAuthSigningAlgValuesSupported = grant.ClientSecretJWT("s"), []string{"RS256"}
		}, "RS256"},
		{"D04 method without a key", func(c *grant.Client) { c.TokenEndpointAuthMethod = "private_key_jwt" }, "needs a key"},
		{"D04 method without a secret", func(c *grant.Client) { c.TokenEndpointAuthMethod = "client_secret_jwt" }, "needs a client secret"},
		{"D04 a key and a secret", func(c *grant.Client) {
			c.Key, c.ClientSecret, c.TokenEndpointAuthMethod = keyES, "s", "private_key_jwt"
		}, "has no client secret"},
		{"D04 a certificate and a secret", func(c *grant.Client) {
			c.ClientSecret, c.TokenEndpointAuthMethod = "s", "tls_client_auth"
		}, "has no client secret"},
		{"a key and a secret without a method", func(c *grant.Client) { c.Key, c.ClientSecret = keyES, "s" }, "needs a client authentication method"},
		{"R086 no transport", func(c *grant.Client) { c.HTTPClient, c.Auth = nil, grant.TLSClientAuth() }, "tls_client_auth needs an HTTP client"},
		{"R086 default transport", func(c *grant.Client) {
			c.HTTPClient, c.Auth = &http.Client{}, grant.SelfSignedTLSClientAuth()
		}, "self_signed_tls_client_auth needs an HTTP client"},
		{"R086 transport without a certificate", func(c *grant.Client) {
			c.HTTPClient, c.TokenEndpointAuthMethod = &http.Client{Transport: &http.Transport{}}, "tls_client_auth"
		}, "needs an HTTP client"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(tokenBody(""))
			client := newClient(p)
			client.Server = newServer()
			test.change(client)
			for what, call := range map[string]func() error{
				"Authorize": func() error { _, err := client.Authorize(t.Context(), redirect); return err },
				"Refresh":   func() error { _, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: "r"}); return err },
				"Revoke":    func() error { return client.Revoke(t.Context(), "token", "") },
			} {
				err := call()
				wantOutcome(t, err, "argument")
				if err != nil && !strings.Contains(err.Error(), test.says) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if len(p.seen) != 0 {
				t.Errorf("%d requests", len(p.seen))
			}
		})
	}
}

// A key in a device may not be there when it is needed. Nothing is sent then.
func TestKeyThatFails(t *testing.T) {
	for name, use := range map[string]func(c *grant.Client, key crypto.Signer) *grant.DPoP{
		"private_key_jwt": func(c *grant.Client, key crypto.Signer) *grant.DPoP { c.Key = key; return nil },
		"dpop":            func(_ *grant.Client, key crypto.Signer) *grant.DPoP { return newDPoP(t, key) },
	} {
		p := newProvider("")
		client := newClient(p)
		opts := &grant.TokenEndpointRequestOptions{DPoP: use(client, publicKey{keyRS.Public()})}
		_, err := senders[1].send(t.Context(), t, newServer(), client, opts)
		if !errors.Is(err, io.EOF) || len(p.seen) != 0 {
			t.Errorf("%s: %v, %d requests", name, err, len(p.seen))
		}
	}
}
