package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// companyIssuer is a provider that nobody can find but the proxy of its company.
const companyIssuer = "https://login.corp.test"

// A company has a provider behind TLS, with a certificate of its own authority, and lets
// connections out through its proxy alone.
type company struct {
	authority *x509.Certificate
	key       *ecdsa.PrivateKey
	front     string // address of the provider
	password  string // name and password that the proxy wants, "" for none
	forbids   bool

	mu      sync.Mutex
	tunnels []string // hosts that the proxy was asked for, whatever it has answered
}

// asCompany has a provider speak of itself as the company does.
func asCompany(o *issuer.Options) {
	o.Metadata = func(doc map[string]any) {
		inner := doc["issuer"].(string)
		for name, value := range doc {
			if text, ok := value.(string); ok {
				doc[name] = strings.Replace(text, inner, companyIssuer, 1)
			}
		}
	}
	o.IDToken = claim("iss", companyIssuer)
	o.Redirect = func(params url.Values) { params.Set("iss", companyIssuer) }
}

// foundCompany: company [flaw...]: puts the provider of the script, which was started
// with "company", behind TLS and a proxy, and sets ISSUER, HTTPS_PROXY, PROXY and INNER. The certificate of
// its authority is in corp.pem.
func foundCompany(ts *testscript.TestScript, _ bool, flaws []string) {
	c := new(company)
	c.key = newKey(ts)
	c.authority = c.certify(ts, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Corp \x1b[31mInspection CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotAfter: time.Now().Add(time.Hour),
	}, &c.key.PublicKey)
	ts.Check(os.WriteFile(ts.MkAbs("corp.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.authority.Raw}), 0o600))
	if slices.Contains(flaws, "wants-password") {
		c.password = "ada:pa55 word"
	}
	c.forbids = slices.Contains(flaws, "forbids")
	inner := running(ts).URL()
	c.serveFront(ts, inner, flaws)
	proxy := c.listen(ts, &http.Server{Handler: http.HandlerFunc(c.serveProxy)}, nil)
	for name, value := range map[string]string{
		"ISSUER": companyIssuer, "INNER": inner, "PROXY": proxy, "HTTPS_PROXY": "http://" + proxy, "NO_PROXY": "",
	} {
		ts.Setenv(name, value)
	}
	*ts.Value(companySlot{}).(**company) = c
}

// companySlot is the key of the script's company.
type companySlot struct{}

func (c *company) serveFront(ts *testscript.TestScript, inner string, flaws []string) {
	key := newKey(ts)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "login.corp.test"}, DNSNames: []string{"login.corp.test"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if slices.Contains(flaws, "expired") {
		template.NotAfter = time.Date(2021, 2, 3, 0, 0, 0, 0, time.UTC)
	}
	if slices.Contains(flaws, "other-name") {
		template.DNSNames = []string{"portal.example", "www.portal.example"}
	}
	leaf := c.certify(ts, template, &key.PublicKey)
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}
	if slices.Contains(flaws, "wants-certificate") {
		config.ClientAuth = tls.RequireAnyClientCert
	}
	if slices.Contains(flaws, "old") {
		config.MaxVersion = tls.VersionTLS11
	}
	target, err := url.Parse(inner)
	ts.Check(err)
	front := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: new(http.Transport), ErrorLog: log.New(io.Discard, "", 0),
	}
	c.front = c.listen(ts, &http.Server{Handler: front}, config)
}

// listen serves until the script ends.
func (c *company) listen(ts *testscript.TestScript, server *http.Server, config *tls.Config) string {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	ts.Check(err)
	address := listener.Addr().String()
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	server.ErrorLog = log.New(io.Discard, "", 0)
	go server.Serve(listener) // until Close
	ts.Defer(func() { server.Close() })
	return address
}

// serveProxy knows CONNECT (RFC 9110, section 9.3.6), and the host of the provider,
// which no name server has.
func (c *company) serveProxy(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.tunnels = append(c.tunnels, r.Host)
	c.mu.Unlock()
	switch {
	case r.Method != http.MethodConnect:
		http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
	case c.password != "" && r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(c.password)):
		w.Header().Set("Proxy-Authenticate", `Basic realm="corp"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
	case c.forbids || r.Host != "login.corp.test:443":
		w.WriteHeader(http.StatusForbidden)
	default:
		c.tunnel(w)
	}
}

func (c *company) tunnel(w http.ResponseWriter) {
	server, err := net.Dial("tcp", c.front)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, early, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		defer server.Close() // and so the end of the copy below
		io.Copy(server, early)
	}()
	io.Copy(client, server)
}

func newKey(ts *testscript.TestScript) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	return key
}

// certify signs a certificate, that of the authority with its own key.
func (c *company) certify(ts *testscript.TestScript, template *x509.Certificate, public *ecdsa.PublicKey) *x509.Certificate {
	template.SerialNumber, template.NotBefore = big.NewInt(time.Now().UnixNano()), time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)
	parent := template
	if c.authority != nil {
		parent = c.authority
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, c.key)
	ts.Check(err)
	certificate, err := x509.ParseCertificate(der)
	ts.Check(err)
	return certificate
}

// countTunnels: tunnels N: the proxy was asked so often, or more often for "some", and
// always for the host of the provider.
func countTunnels(ts *testscript.TestScript, _ bool, args []string) {
	c := *ts.Value(companySlot{}).(**company)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, host := range c.tunnels {
		if host != "login.corp.test:443" {
			ts.Fatalf("the proxy was asked for %s", host)
		}
	}
	if n := len(c.tunnels); fmt.Sprint(n) != args[0] && (args[0] != "some" || n == 0) {
		ts.Fatalf("the proxy was asked %d times, want %s", n, args[0])
	}
	c.tunnels = nil
}
