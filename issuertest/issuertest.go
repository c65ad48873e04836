// Package issuertest is an OpenID provider for the tests of programs that sign
// people in: a real one, on a loopback port, with a browser and a person played
// by the package. No network, no account and no window is needed.
//
// # What to call
//
// One line starts it, for as long as the test runs:
//
//	iss := issuertest.New(t)
//
// Point the program at it, and give it the browser:
//
//	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, AllowInsecureRequests: true}
//	token, err := loopback.Login(ctx, client, &loopback.Options{Open: iss.Open})
//
// The issuer has no TLS, hence AllowInsecureRequests, which works on loopback
// hosts only. With Options.TLS it has, and the client needs HTTPClient in place of
// that. Keep tokens of tests in a store.Memory, so that they do not get into
// the keychain of whoever runs them.
//
// Open takes the page of a device flow as well, VerificationURIComplete. A program
// that the test runs as a process of its own is told to open no browser; read the URL
// that it shows and call Open with it. Give the login a deadline: a person who does
// not come back is waited for.
//
// # What can be changed
//
// What the provider offers and demands is set before it starts:
//
//	iss := issuertest.NewWith(t, &issuertest.Options{AccessTokenTTL: time.Minute, RequireDPoP: true})
//
// What happens later is told to it later: SignInAs and Refuse are the person,
// ExpireAccessTokens is time, EndLogins is a provider that has forgotten the login,
// RotateKeys one that changes its keys. Options.Wrap is for all other trouble, such
// as a token endpoint that answers 503.
//
// API is an API that takes the tokens and wants more of them, scopes or a certain
// way to sign in, and Protect makes one of any handler. A program that steps up has
// to find out what is wanted from the answer.
//
// # What can be seen
//
// Requests counts, LastAuthorization has the parameters that the program sent the
// person with, LastPage is what the person saw in the end, and Secrets are all codes
// and tokens that were given out: look for them where they must not be.
//
// # What it is not
//
// It checks what a provider has to check, PKCE, redirect URIs, codes and refresh
// tokens that are good for one use, proofs of keys, but it accepts any name with any
// password. Never let it guard anything. Examples and commands, which have no test
// to end with, use Start and Close.
package issuertest

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// TB is what New needs of a test: *testing.T, *testing.B and *testing.F have it.
type TB interface {
	// What these do is said in package testing.
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Options say what a provider offers, and what it demands. The zero value has one
// public client, takes what is right and demands nothing more.
type Options struct {
	// User is who signs in first; default: "ada". See Issuer.SignInAs.
	User string
	// ClientID and ClientSecret are those of the one client. Default: "test-client",
	// which has no secret. A secret is sent as client_secret_basic.
	ClientID, ClientSecret string
	// ClientKey is the public key of a client with private_key_jwt: RSA, P-256 or
	// Ed25519. nil: it has none.
	ClientKey crypto.PublicKey
	// RedirectURIs are compared as strings, but for the port on a loopback host (RFC
	// 8252, section 7.3); default: the path /callback on each of those.
	RedirectURIs []string
	// OpenRegistration lets programs register clients of their own (RFC 7591).
	OpenRegistration bool

	// Scopes are granted beside openid, profile, email and offline_access; others are
	// left out.
	Scopes []string
	// ACRValues are the ways to sign in that can be asked for with acr_values (RFC
	// 9470). The person can do all of them.
	ACRValues []string
	// AccessTokenTTL is how long access tokens live, announced in whole seconds;
	// default: one hour.
	AccessTokenTTL time.Duration
	// KeepRefreshTokens gives one refresh token for the whole login. Without it, each
	// is good for one use and is replaced, and one that comes a second time ends the
	// login (RFC 9700, section 4.14.2).
	KeepRefreshTokens bool

	// RequireDPoP refuses token requests without a DPoP proof (RFC 9449). Proofs are
	// taken, and tokens bound, without it too.
	RequireDPoP bool
	// DPoPNonce takes no proof without a nonce that was given before (RFC 9449,
	// sections 8 and 9), here and at the APIs.
	DPoPNonce bool
	// RequirePAR takes pushed authorization requests (RFC 9126), and no others.
	RequirePAR bool

	// TLS makes it a provider of https, with a certificate of its own that
	// Issuer.HTTPClient trusts. The APIs stay on http.
	TLS bool
	// Delay is waited before every answer; default: none.
	Delay time.Duration
	// Wrap puts a handler around the whole provider, but not around its APIs. nil for
	// none.
	Wrap func(provider http.Handler) http.Handler
}

// An Issuer is a provider that runs. Make one with New, NewWith or Start. Its
// methods may be called from several goroutines.
type Issuer struct {
	// URL is the issuer identifier, such as http://127.0.0.1:40123.
	URL string
	// ClientID is the client_id of the one client.
	ClientID string

	issuer *issuer.Issuer
	roots  *x509.CertPool // nil without TLS
	client *http.Client
	failed func(format string, args ...any) // tells the test, nil without one

	mu       sync.Mutex
	user     string
	refuses  bool
	lastPage Page
	apis     apis
}

// New starts a provider that ends with the test. It fails the test if it cannot.
func New(t TB) *Issuer {
	t.Helper()
	return NewWith(t, nil)
}

// NewWith is New with options, which may be nil.
func NewWith(t TB, opts *Options) *Issuer {
	t.Helper()
	i, err := Start(opts)
	if err != nil {
		t.Fatalf("%v", err)
		return nil
	}
	i.failed = t.Errorf
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Errorf("%v", err)
		}
	})
	return i
}

// Start starts a provider that has to be closed. opts may be nil. The error says
// which option is unusable, or why no port could be opened.
func Start(opts *Options) (*Issuer, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.ClientID == "" {
		o.ClientID = "test-client"
	}
	certificate, roots, err := o.certificate()
	if err != nil {
		return nil, err
	}
	started, err := issuer.Start(o.internal(certificate))
	if err != nil {
		return nil, err
	}
	i := &Issuer{
		URL: started.URL(), ClientID: o.ClientID, issuer: started, user: o.User, roots: roots,
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}},
	}
	if err := i.apis.start(); err != nil {
		return nil, errors.Join(err, started.Close())
	}
	return i, nil
}

// internal returns the options in the words of the issuer within.
func (o *Options) internal(certificate *tls.Certificate) *issuer.Options {
	return &issuer.Options{
		Clients: []issuer.Client{{
			ID: o.ClientID, Secret: o.ClientSecret, Key: o.ClientKey, RedirectURIs: o.RedirectURIs, DPoPBound: o.RequireDPoP,
		}},
		OpenRegistration:  o.OpenRegistration,
		Scopes:            o.Scopes,
		ACRValues:         o.ACRValues,
		AccessTokenTTL:    o.AccessTokenTTL,
		KeepRefreshTokens: o.KeepRefreshTokens,
		DPoPNonce:         o.DPoPNonce,
		RequirePAR:        o.RequirePAR,
		Certificate:       certificate,
		Delay:             o.Delay,
		DeviceInterval:    time.Second,
		Metadata:          o.metadata,
		Wrap:              o.Wrap,
	}
}

// metadata names the one way in which a client with a secret or a key authenticates.
func (o *Options) metadata(doc map[string]any) {
	var methods []string
	switch {
	case o.ClientKey != nil:
		methods = []string{"private_key_jwt"}
	case o.ClientSecret != "":
		methods = []string{"client_secret_basic"}
	default:
		return
	}
	if o.OpenRegistration {
		methods = append(methods, "none")
	}
	doc["token_endpoint_auth_methods_supported"], doc["revocation_endpoint_auth_methods_supported"] = methods, methods
}

// Close ends the provider, its APIs and all their connections. A second call does
// nothing.
func (i *Issuer) Close() error {
	i.client.CloseIdleConnections()
	return errors.Join(i.apis.close(), i.issuer.Close())
}

// HTTPClient returns a client that trusts the provider, for grant.Client.HTTPClient.
// Without Options.TLS, any other one does as well.
func (i *Issuer) HTTPClient() *http.Client { return i.client }

// ExpireAccessTokens ends all access tokens that were given out so far. Refresh
// tokens stay good. A program does not learn of it before it uses one.
func (i *Issuer) ExpireAccessTokens() { i.issuer.ExpireAccessTokens() }

// EndLogins ends all that was granted so far: no token of it is good any more, and
// a refresh is refused with invalid_grant.
func (i *Issuer) EndLogins() { i.issuer.EndGrants() }

// RotateKeys signs with new keys from now on. The old ones stay in the key set.
func (i *Issuer) RotateKeys() error { return i.issuer.RotateKeys() }

// Requests returns how many requests an endpoint got, whatever was answered:
// "discovery", "jwks", "authorize", "signin", "consent", "push", "token",
// "userinfo", "revoke", "signout", "device-authorization", "device", "register",
// "registered", "api" for all of API together, or "other" for every other path.
func (i *Issuer) Requests(endpoint string) int {
	if endpoint == "api" {
		return i.apis.requests()
	}
	return i.issuer.Requests(endpoint)
}

// LastAuthorization returns the parameters of the last authorization request,
// wherever the program put them; nil before the first one.
func (i *Issuer) LastAuthorization() url.Values { return i.issuer.LastAuthorization() }

// Secrets returns every code and token that was given out so far.
func (i *Issuer) Secrets() []string { return i.issuer.Secrets() }

// isOwn reports whether an address is one of the provider's.
func (i *Issuer) isOwn(address string) bool { return strings.HasPrefix(address, i.URL+"/") }
