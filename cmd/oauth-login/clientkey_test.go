package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// The certificate of --client-cert is shown to the issuer, whose own one is
// trusted with --ca-cert, and the key is not used for anything else then.
func TestClientCertificate(t *testing.T) {
	dir := t.TempDir()
	if err := writeKeys(dir); err != nil {
		t.Fatal(err)
	}
	shown := make(chan []*x509.Certificate, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { shown <- r.TLS.PeerCertificates }))
	others := x509.NewCertPool() // which the certificate does not come from, and which the server names
	others.AddCert(unrelated(t))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, ClientCAs: others}
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		cert, key, auth string
		signs           bool
	}{
		"one file":           {"both.pem", "", "", false},
		"two files":          {"cert.pem", "ec.pem", "", false},
		"two files, JWK":     {"cert.pem", "ec.jwk", "", false},
		"bound tokens alone": {"both.pem", "other.pem", "private_key_jwt", true},
	} {
		o := &options{issuer: server.URL, clientID: "keyed", httpTimeout: time.Minute, maxAge: noMaxAge, caCert: ca,
			clientCert: filepath.Join(dir, test.cert), clientAuth: test.auth}
		if test.key != "" {
			o.clientKey = filepath.Join(dir, test.key)
		}
		client, err := (&program{}).client(t.Context(), o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		resp, err := client.HTTPClient.Get(server.URL)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		resp.Body.Close()
		client.CloseIdleConnections()
		block, _ := pem.Decode(mustRead(t, filepath.Join(dir, "cert.pem")))
		if chain := <-shown; len(chain) != 1 || !bytes.Equal(chain[0].Raw, block.Bytes) {
			t.Errorf("%s: %d certificates were shown, or another one", name, len(chain))
		}
		if (client.Key != nil) != test.signs || !client.UseMTLSEndpointAliases {
			t.Errorf("%s: key %t, aliases %t", name, client.Key != nil, client.UseMTLSEndpointAliases)
		}
	}
}

// unrelated is the certificate of somebody else.
func unrelated(t *testing.T) *x509.Certificate {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := certificateOf("somebody else", key, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The key's ID is that of the flag, or of the JWK, or of the login.
func TestClientKeyID(t *testing.T) {
	dir := t.TempDir()
	if err := writeKeys(dir); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ file, flag, remembered, kid, alg string }{
		{"ec.pem", "", "", "", ""},
		{"ec.pem", "flag", "login", "flag", ""},
		{"ec.pem", "", "login", "login", ""},
		{"ec.jwk", "", "login", "key 1", "ES256"},
		{"ec.jwk", "flag", "", "flag", "ES256"},
	} {
		o := &options{clientKeyID: test.flag, httpTimeout: time.Minute}
		client := &grant.Client{KeyID: test.remembered, TokenEndpointAuthSigningAlg: "RS256"} // of another key
		if err := (&program{}).reach(t.Context(), o, client, store.Profile{ClientKey: filepath.Join(dir, test.file)}); err != nil {
			t.Fatal(err)
		}
		if client.Key == nil || client.KeyID != test.kid || client.TokenEndpointAuthSigningAlg != test.alg {
			t.Errorf("%+v: kid %q, alg %q", test, client.KeyID, client.TokenEndpointAuthSigningAlg)
		}
	}
	client := &grant.Client{TokenEndpointAuthMethod: "client_secret_jwt"}
	if err := (&program{}).reach(t.Context(), &options{httpTimeout: time.Minute}, client, store.Profile{ClientKey: filepath.Join(dir, "ec.jwk")}); err != nil {
		t.Fatal(err)
	}
	if client.TokenEndpointAuthSigningAlg != "" {
		t.Error("the algorithm of a key is that of a secret")
	}
}
