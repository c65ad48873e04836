package grant_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// selfSigned is a certificate of a client.
func selfSigned(t testing.TB, key *ecdsa.PrivateKey) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: clientID},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// An mtlsServer demands a certificate at its alias and none at its usual
// address.
type mtlsServer struct {
	usual, alias *httptest.Server
	usualHits    atomic.Int32
	wrong        atomic.Int32 // requests at the alias without the certificate, or with credentials
}

func newMTLSServer(t *testing.T, certificate tls.Certificate) *mtlsServer {
	s := &mtlsServer{}
	s.usual = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.usualHits.Add(1) }))
	t.Cleanup(s.usual.Close)
	s.alias = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown := r.TLS.PeerCertificates
		r.ParseForm()
		if len(shown) != 1 || string(shown[0].Raw) != string(certificate.Certificate[0]) ||
			r.PostForm.Get("client_id") != clientID || r.PostForm.Has("client_assertion") || r.PostForm.Has("client_secret") || r.Header.Get("Authorization") != "" {
			s.wrong.Add(1)
		}
		fmt.Fprint(w, `{"access_token":"token","token_type":"Bearer"}`)
	}))
	s.alias.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.alias.StartTLS()
	t.Cleanup(s.alias.Close)
	return s
}

// client trusts both addresses and shows the certificate.
func (s *mtlsServer) client(certificate tls.Certificate) *grant.Client {
	roots := x509.NewCertPool()
	roots.AddCert(s.usual.Certificate())
	roots.AddCert(s.alias.Certificate())
	return &grant.Client{ClientID: clientID,
		HTTPClient: &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}},
		}},
		Server: &grant.AuthorizationServer{
			Issuer: s.usual.URL, AuthorizationEndpoint: s.usual.URL + "/authorize", TokenEndpoint: s.usual.URL + "/token", RevocationEndpoint: s.usual.URL + "/revoke",
			MTLSEndpointAliases: map[string]string{"token_endpoint": s.alias.URL + "/token", "revocation_endpoint": s.alias.URL + "/revoke"},
		}}
}

// R086, and RFC 8705, section 5: over real TLS, with the client's certificate,
// at the alias, and nothing but client_id in the request.
func TestMutualTLS(t *testing.T) {
	for name, setup := range map[string]func(c *grant.Client){
		"TLSClientAuth":           func(c *grant.Client) { c.Auth = grant.TLSClientAuth() },
		"SelfSignedTLSClientAuth": func(c *grant.Client) { c.Auth = grant.SelfSignedTLSClientAuth() },
		"by name":                 func(c *grant.Client) { c.TokenEndpointAuthMethod = "tls_client_auth" },
		"self-signed by name":     func(c *grant.Client) { c.TokenEndpointAuthMethod = "self_signed_tls_client_auth" },
		"by metadata": func(c *grant.Client) {
			c.Server.TokenEndpointAuthMethodsSupported = []string{"client_secret_basic", "self_signed_tls_client_auth"}
		},
		"public client with bound tokens": func(c *grant.Client) { c.UseMTLSEndpointAliases = true },
		"from a function": func(c *grant.Client) {
			config := c.HTTPClient.Transport.(*http.Transport).TLSClientConfig
			certificate := config.Certificates[0]
			config.Certificates = nil
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
			c.Auth = grant.TLSClientAuth()
		},
	} {
		t.Run(name, func(t *testing.T) {
			certificate := selfSigned(t, keyES)
			s := newMTLSServer(t, certificate)
			client := s.client(certificate)
			defer client.CloseIdleConnections()
			setup(client)
			if _, err := client.Authorize(t.Context(), redirect); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: "r"}); err != nil {
				t.Fatal(err)
			}
			if err := client.Revoke(t.Context(), "token", ""); err != nil {
				t.Fatal(err)
			}
			if s.usualHits.Load() != 0 || s.wrong.Load() != 0 {
				t.Errorf("%d requests to the usual address, %d wrong ones", s.usualHits.Load(), s.wrong.Load())
			}
		})
	}
}

// The choice of one call decides about the alias too, and a certificate that the
// server does not ask for changes nothing.
func TestMutualTLSOfOneCall(t *testing.T) {
	for _, test := range []struct {
		name    string
		auth    grant.ClientAuth
		offered []string
		want    string
	}{
		{"tls_client_auth", grant.TLSClientAuth(), nil, "https://mtls.example/token"},
		{"another method", grant.ClientSecretBasic("s"), nil, issuer + "/token"},
		{"nothing offered", nil, nil, issuer + "/token"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(tokenBody(""))
			as, client := newServer(), newClient(p)
			as.MTLSEndpointAliases = map[string]string{"token_endpoint": "https://mtls.example/token"}
			if _, err := senders[1].send(t.Context(), t, as, client, &grant.TokenEndpointRequestOptions{ClientAuth: test.auth}); err != nil {
				t.Fatal(err)
			}
			if got := p.one(t, "/token").url; got != test.want {
				t.Errorf("sent to %s", got)
			}
		})
	}
}

// A Client is safe for concurrent use from its first request on, also beside
// others that use its transport, which completes its own TLS configuration then.
func TestCertificateOfFreshTransport(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"access_token":"token","token_type":"Bearer"}`)
	}))
	defer s.Close()
	for name, own := range map[string]*http.Client{"its own": nil, "the caller's": {Transport: &http.Transport{ForceAttemptHTTP2: true}}} {
		t.Run(name, func(t *testing.T) {
			client := &grant.Client{ClientID: clientID, HTTPClient: own, AllowInsecureRequests: true, Server: &grant.AuthorizationServer{
				Issuer: s.URL, TokenEndpoint: s.URL, TokenEndpointAuthMethodsSupported: []string{"tls_client_auth"},
			}}
			defer client.CloseIdleConnections()
			var refreshing sync.WaitGroup
			defer refreshing.Wait()
			for range 4 {
				refreshing.Go(func() {
					if _, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: "r"}); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}
