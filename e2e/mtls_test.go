package e2e

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// clientURI names the client in the certificate that its authority has given it.
const clientURI = "https://client.example/cli"

// issue gives a client a certificate. A nil authority makes it its own.
func (a *authority) issue(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	uri, err := url.Parse(clientURI)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "client"}, URIs: []*url.URL{uri},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, any(key)
	if a != nil {
		pair, err := tls.X509KeyPair(a.cert, a.key)
		if err != nil {
			t.Fatal(err)
		}
		parent, signer = pair.Leaf, pair.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// A certified client is one with a certificate, in the forms that the tests need.
type certified struct {
	der  []byte
	key  crypto.Signer
	file string // certificate and key
}

// mutualProvider has a client for each method of RFC 8705, section 2, named after it, whose tokens are bound to its certificate.
func mutualProvider(t *testing.T, ca *authority, ttl int) (*provider, map[string]*certified) {
	t.Helper()
	clients := map[string]*certified{}
	var metadata []object
	for method, signer := range map[string]*authority{"tls_client_auth": ca, "self_signed_tls_client_auth": nil} {
		key, jwk := anyKey(t, "ES256")
		c := &certified{der: signer.issue(t, key), key: key}
		c.file = writeFile(t, "client.pem", append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.der}), privatePEM(t, key)...))
		m := nativeClient()
		m["client_id"], m["token_endpoint_auth_method"], m["tls_client_certificate_bound_access_tokens"] = method, method, true
		if signer != nil {
			m["tls_client_auth_san_uri"] = clientURI
		} else {
			sum := sha256.Sum256(c.der)
			jwk["x5c"], jwk["x5t#S256"] = []string{base64.StdEncoding.EncodeToString(c.der)}, base64.RawURLEncoding.EncodeToString(sum[:])
			delete(jwk, "alg")
			m["jwks"] = object{"keys": []object{jwk}}
		}
		clients[method] = c
		metadata = append(metadata, m)
	}
	return startProvider(t, providerConfig{
		TLS: ca, MutualTLS: true, AlwaysRefresh: true, Behavior: behavior{AccessTokenTTL: ttl},
		Configuration: object{
			"clients": metadata, "clientAuthMethods": []string{"none", "client_secret_basic", "tls_client_auth", "self_signed_tls_client_auth"},
		},
	}), clients
}

// TestPackageMutualTLS signs in, refreshes, asks for userinfo and revokes with a certificate, at the endpoints for clients with one.
func TestPackageMutualTLS(t *testing.T) {
	ca := newAuthority(t)
	p, clients := mutualProvider(t, ca, 3600)
	for method, c := range clients {
		for _, name := range []string{method, ""} { // the second is found out
			t.Run(method+" by name "+name, func(t *testing.T) {
				transport := ca.transport(t)
				transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					return &tls.Certificate{Certificate: [][]byte{c.der}, PrivateKey: c.key}, nil
				}
				client := &grant.Client{
					Issuer: p.Issuer, ClientID: method, TokenEndpointAuthMethod: name, Scopes: []string{"openid"}, HTTPClient: &http.Client{Transport: transport},
				}
				token := loginBy(t, client, func(address string) {
					get(t, signInWith(t, ca.transport(t), address, person{Login: "alice"}))
				})
				token, err := client.Refresh(t.Context(), token)
				if err != nil {
					t.Fatal(err)
				}
				if userinfo, err := client.Userinfo(t.Context(), token); err != nil || userinfo.Subject != "alice" {
					t.Errorf("userinfo is about %v: %v", userinfo, err)
				}
				bare := &grant.Client{Issuer: p.Issuer, ClientID: method, HTTPClient: &http.Client{Transport: ca.transport(t)}}
				if _, err := bare.Userinfo(t.Context(), token); err == nil {
					t.Error("the token works without the certificate: it is not bound")
				}
				if err := client.Revoke(t.Context(), token.RefreshToken, "refresh_token"); err != nil {
					t.Error(err)
				}
			})
		}
	}
	if left := p.usable(t, "RefreshToken"); len(left) != 0 {
		t.Errorf("%d refresh tokens are usable after the revocation", len(left))
	}
}

// TestMutualTLS is TestPackageMutualTLS with the command's flags.
func TestMutualTLS(t *testing.T) {
	ca := newAuthority(t)
	p, clients := mutualProvider(t, ca, 2)
	c := newCommand(t, startKeyring(t))
	for method, client := range clients {
		t.Run(method, func(t *testing.T) {
			chosen := []string{"--issuer", p.Issuer, "--client-id", method}
			running := c.start(t, slices.Concat(chosen, []string{"--no-browser", "--ca-cert", ca.file(t), "--client-cert", client.file})...)
			get(t, signInWith(t, ca.transport(t), running.url(t), person{Login: "alice"}))
			running.wait(t).expect(t, exitDone)
			time.Sleep(3 * time.Second)
			c.run(t, append([]string{"token"}, chosen...)...).expect(t, exitDone)
			if r := c.run(t, append([]string{"userinfo"}, chosen...)...); !strings.Contains(r.stdout, "alice") {
				t.Errorf("userinfo prints %q and says\n%s", r.stdout, r.stderr)
			}
			c.run(t, append([]string{"logout"}, chosen...)...).expect(t, exitDone)
		})
	}
	if left := p.usable(t, "RefreshToken"); len(left) != 0 {
		t.Errorf("%d refresh tokens are usable after the logout", len(left))
	}
}
