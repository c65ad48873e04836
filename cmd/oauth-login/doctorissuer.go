package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// provider looks at what the issuer says about itself, and what is between it and here.
func (x *examination) provider(ctx context.Context) {
	if x.profile.Issuer == "" {
		x.ok("issuer", "none is given, and nobody is signed in: this is about this machine alone")
		return
	}
	client := &grant.Client{Issuer: x.profile.Issuer, ClientID: x.profile.ClientID}
	x.options.protect(client)
	o := *x.options
	if !o.given("http-timeout") {
		o.httpTimeout = probeTime
	}
	if err := x.reach(ctx, &o, client, x.profile); err != nil {
		x.problem("files", fixOf(ctx, err), "%v", err)
		return
	}
	x.login(ctx, client)
	x.options.preset.apply(client)
	if client.Server != nil {
		x.ok("metadata", "the endpoints of %s are given, so nothing is looked up", client.Issuer)
		return
	}
	client.MetadataCache = nil // what the provider says now is what matters
	seen := &visits{base: client.HTTPClient.Transport}
	client.HTTPClient.Transport = seen
	defer client.CloseIdleConnections()
	as, err := client.Discover(ctx)
	x.tried(seen.list, as != nil)
	if err != nil {
		x.undiscovered(ctx, client.Issuer, err)
	} else {
		x.ok("issuer", "%s, as the document says", as.Issuer)
		x.offers(as)
		x.keys(ctx, client, as)
	}
	x.connection(seen.list)
	x.clock(seen.list)
}

// login looks whether the login that this is about can be read. It asks nobody for a
// passphrase.
func (x *examination) login(ctx context.Context, client *grant.Client) {
	place := x.profile.Place
	if place.Store == "" || place.Store == noStore || place.Store == encryptedStore && place.Identity == "" && place.PassphraseFile == "" {
		return
	}
	limited, cancel := context.WithTimeout(ctx, 2*probeTime)
	defer cancel()
	login, err := x.inspect(limited, x.profile)
	if err != nil {
		x.problem("login", fixOf(ctx, err), "the last login cannot be read: %v", err)
		return
	}
	switch login.State {
	case stateValid, stateRefreshable:
		x.ok("login", "there is one at %s: %s", x.profile.Issuer, login.State)
	default:
		x.warn("login", login.Repair, "the one at %s is %s", x.profile.Issuer, login.State)
	}
	if record, err := x.load(limited, x.profile); err == nil {
		client.Server = record.Client().Server
	}
}

// tried tells each URL of the discovery, and what it had.
func (x *examination) tried(visits []visit, found bool) {
	for _, v := range visits {
		switch {
		case v.err != nil: // which comes to more than this place
		case v.status == http.StatusOK || found:
			x.ok("metadata", "%s: %d after %s", v.url, v.status, milliseconds(v.took))
		default:
			x.warn("metadata", "", "%s: %d after %s", v.url, v.status, milliseconds(v.took))
		}
	}
}

// undiscovered says why nothing came of it.
func (x *examination) undiscovered(ctx context.Context, issuer string, err error) {
	check, ok := errors.AsType[*grant.CheckError](err)
	switch {
	case ok && check.Check == "metadata.issuer":
		x.problem("issuer", checkHint(check), "the document belongs to %s, not to %s", check.Actual, issuer)
	case ok && check.Check == "metadata.location":
		x.problem("issuer", checkHint(check), "no metadata of %s was found", issuer)
	default:
		x.problem("metadata", fixOf(ctx, err), "%v", err)
	}
}

// offers tells what the provider knows of what this command can use.
func (x *examination) offers(as *grant.AuthorizationServer) {
	switch methods := as.CodeChallengeMethodsSupported; {
	case slices.Contains(methods, "S256"):
		x.ok("PKCE", "S256 (RFC 7636)")
	case methods == nil:
		x.warn("PKCE", "nothing to do if signing in works; it is used all the same", "the provider does not say whether it knows S256 (RFC 7636)")
	default:
		x.problem("PKCE", "ask the provider to support S256; nothing less is used", "the provider knows %s, and not S256 (RFC 7636)", strings.Join(methods, " "))
	}
	if as.AuthorizationResponseIssParameterSupported {
		x.ok("iss", "the provider names itself in its answers (RFC 9207)")
	} else {
		x.ok("iss", "the provider does not name itself in its answers (RFC 9207)")
	}
	var offered, missing []string
	for _, feature := range []struct {
		name string
		has  bool
	}{
		{"pushed requests (--par)", as.PushedAuthorizationRequestEndpoint != ""},
		{"DPoP (--dpop)", len(as.DPoPSigningAlgValuesSupported) > 0},
		{"another device (--device)", as.DeviceAuthorizationEndpoint != ""},
		{"registration of clients", as.RegistrationEndpoint != ""},
		{"userinfo", as.UserinfoEndpoint != ""},
		{"revocation", as.RevocationEndpoint != ""},
		{"sign-out (--end-session)", as.EndSessionEndpoint != ""},
	} {
		if feature.has {
			offered = append(offered, feature.name)
		} else {
			missing = append(missing, feature.name)
		}
	}
	if len(offered) > 0 {
		x.ok("offers", "%s", strings.Join(offered, ", "))
	}
	if len(missing) > 0 {
		x.ok("offers", "not: %s", strings.Join(missing, ", "))
	}
}

// keys fetches those of the ID tokens.
func (x *examination) keys(ctx context.Context, client *grant.Client, as *grant.AuthorizationServer) {
	if as.JWKSURI == "" {
		x.ok("keys", "the provider has none: it knows no ID tokens")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, client.HTTPClient.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, as.JWKSURI, nil)
	if err != nil {
		x.problem("keys", "tell the provider", "the address of its keys cannot be used: %v", err)
		return
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	began := time.Now()
	resp, err := client.HTTPClient.Transport.RoundTrip(req)
	if err != nil {
		x.problem("keys", networkHint(err), "%s: %v", as.JWKSURI, err)
		return
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		x.problem("keys", "tell the provider; without its keys no ID token can be checked", "%s: %d", as.JWKSURI, resp.StatusCode)
		return
	}
	x.ok("keys", "%s: %d after %s", as.JWKSURI, resp.StatusCode, milliseconds(time.Since(began)))
}

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
func (x *examination) network(context.Context) {
	x.proxy()
	x.authorities()
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

func (x *examination) authorities() {
	if x.profile.CACert != "" {
		x.ok("CA", "those of the system, and those in %s", x.profile.CACert)
	}
	file := x.getenv("SSL_CERT_FILE")
	switch {
	case file == "":
		if x.profile.CACert == "" {
			x.ok("CA", "those of the system")
		}
	case runtime.GOOS == "darwin" || runtime.GOOS == "windows":
		x.warn("CA", "name the file with --ca-cert", "SSL_CERT_FILE is not used on this system")
	default:
		data, err := os.ReadFile(file)
		switch {
		case err != nil:
			x.problem("CA", "correct SSL_CERT_FILE, or unset it", "the file of SSL_CERT_FILE cannot be read: %v", err)
		case !strings.Contains(string(data), "-----BEGIN CERTIFICATE-----"):
			x.problem("CA", "correct SSL_CERT_FILE, or unset it", "the file of SSL_CERT_FILE, %s, holds no certificate in PEM form", file)
		default:
			x.ok("CA", "those in %s, by SSL_CERT_FILE", file)
		}
	}
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
