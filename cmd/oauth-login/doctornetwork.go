package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// connection tells whose certificate was shown: that of a network that inspects TLS has
// another issuer than everybody expects.
func (x *examination) connection(visits []visit) {
	for _, v := range visits {
		if v.tls == nil || len(v.tls.PeerCertificates) == 0 {
			continue
		}
		leaf := v.tls.PeerCertificates[0]
		x.ok("TLS", "%s; the certificate is issued by %s and ends on %s", tls.VersionName(v.tls.Version), nameIn(leaf.Issuer.String()), leaf.NotAfter.Format(time.DateOnly))
		return
	}
}

// How far the clocks may be apart. Tokens are checked with a tolerance of 30 seconds.
const (
	clockWarning = 30 * time.Second
	clockProblem = 5 * time.Minute
)

// clock compares the clock of this machine with that of the provider (RFC 9110, section
// 6.6.1).
func (x *examination) clock(visits []visit) {
	for _, v := range visits {
		date, err := http.ParseTime(v.date)
		if err != nil {
			continue
		}
		// It has whole seconds, and an answer from a cache is as old as Age says (RFC
		// 9111, section 5.1).
		age, _ := strconv.ParseUint(v.age, 10, 31)
		theirs := date.Add(time.Second/2 + time.Duration(age)*time.Second)
		behind := theirs.Sub(v.sent.Add(v.took / 2)).Round(time.Second)
		text, fix := "this machine is "+behind.Abs().String()+" ahead of the provider", "set the clock of this machine, or have it set by the network"
		if behind > 0 {
			text = "this machine is " + behind.String() + " behind the provider"
		}
		switch {
		case behind.Abs() > clockProblem:
			x.problem("clock", fix, "%s", text)
		case behind.Abs() > clockWarning:
			x.warn("clock", fix, "%s", text)
		default:
			x.ok("clock", "it agrees with that of the provider, by %s", behind.Abs())
		}
		return
	}
}

// network tells what is between here and the provider by the settings of this machine.
func (x *examination) network(ctx context.Context) {
	x.proxy()
	x.authorities(ctx)
}

func (x *examination) proxy() {
	issuer := x.profile.Issuer
	if issuer == "" {
		issuer = "https://issuer.example"
	}
	req, err := http.NewRequest(http.MethodGet, issuer, nil)
	if err != nil {
		return // a finding of the provider's
	}
	proxy, err := viaProxy(req)
	switch {
	case err != nil:
		x.problem("proxy", "set HTTPS_PROXY to a URL such as http://proxy.example:3128", "%v", err)
	case proxy != nil:
		x.ok("proxy", "%s://%s", proxy.Scheme, proxy.Host)
	case x.has("HTTPS_PROXY", "https_proxy"):
		x.ok("proxy", "none for %s, as it is on this machine or in NO_PROXY", req.URL.Host)
	case x.has("ALL_PROXY", "all_proxy"):
		x.warn("proxy", "set HTTPS_PROXY, if this machine needs a proxy", "none, as ALL_PROXY is not used")
	default:
		x.ok("proxy", "none")
	}
}

// authorities are those whose certificates are taken, by the rules of crypto/x509.
func (x *examination) authorities(ctx context.Context) {
	if x.profile.CACert != "" {
		x.ok("CA", "those of the system, and those in %s", x.profile.CACert)
	}
	file := x.getenv("SSL_CERT_FILE")
	switch {
	case runtime.GOOS != "darwin" && runtime.GOOS != "windows":
		x.authorityFiles(ctx, file)
	case file != "":
		x.warn("CA", "name the file with --ca-cert", "SSL_CERT_FILE is not used on this system")
	case x.profile.CACert == "":
		x.ok("CA", "those of the system")
	}
}

// authorityFiles looks at what is read on Unix. The reading cannot be interrupted.
func (x *examination) authorityFiles(ctx context.Context, named string) {
	limited, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	some, err := interruptible(limited, func() (bool, error) { return anyAuthority(named) })
	switch {
	case err != nil && named != "":
		x.problem("CA", "correct SSL_CERT_FILE, or unset it", "the file of SSL_CERT_FILE cannot be read: %v", err)
	case err != nil:
		x.problem("CA", "install the package ca-certificates", "the certificates of the system cannot be read: %v", err)
	case !some && named != "":
		x.problem("CA", "correct SSL_CERT_FILE, or unset it", "there are none, as the file of SSL_CERT_FILE, %s, holds no certificate in PEM form", named)
	case !some:
		x.problem("CA", "install the package ca-certificates, or name the file that holds them: SSL_CERT_FILE", "there are none on this system, so no https can be trusted")
	case named != "":
		x.ok("CA", "those in %s, by SSL_CERT_FILE", named)
	case x.profile.CACert == "":
		x.ok("CA", "those of the system")
	}
}

// anyAuthority reports whether there is one. A file that is named has to be there.
func anyAuthority(named string) (bool, error) {
	if named != "" {
		if _, err := os.Stat(named); err != nil {
			return false, err
		}
	}
	roots, err := x509.SystemCertPool()
	return err == nil && !roots.Equal(x509.NewCertPool()), err
}

// A visit is one request of the discovery.
type visit struct {
	url       string
	status    int
	err       error
	sent      time.Time
	took      time.Duration
	date, age string
	tls       *tls.ConnectionState
}

// visits are kept by a transport that changes nothing.
type visits struct {
	base http.RoundTripper
	mu   sync.Mutex
	list []visit
}

// RoundTrip sends a request and keeps what became of it.
func (v *visits) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := time.Now()
	resp, err := v.base.RoundTrip(req)
	made := visit{url: req.URL.String(), err: err, sent: sent, took: time.Since(sent)}
	if err == nil && resp != nil {
		made.status, made.tls = resp.StatusCode, resp.TLS
		made.date, made.age = resp.Header.Get("Date"), resp.Header.Get("Age")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.list = append(v.list, made)
	return resp, err
}

// Unwrap and Wrap have package grant see what is below: grant.Client.HTTPClient.
func (v *visits) Unwrap() http.RoundTripper { return v.base }

func (v *visits) Wrap(base http.RoundTripper) http.RoundTripper { return &visits{base: base} }
