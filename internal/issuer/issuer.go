// Package issuer is a small, conforming OpenID provider that runs in process on a loopback port.
//
// It is there for two users: `oauth-login demo`, which signs a person in without an account anywhere, and the tests of
// this module, which need a provider that is honest by default and that misbehaves on request:
//
//	iss, err := issuer.Start(nil) // one public client, "demo", redirect URI http://127.0.0.1:*/callback
//	...
//	defer iss.Close()
//	page, err := new(issuer.Visitor).Visit(ctx, authorizationURL) // browser and user in one
//
// The issuer speaks the authorization code flow of OpenID Connect Core 1.0 with PKCE (S256, required), RFC 9207 `iss`,
// refresh tokens that rotate (scope offline_access), the device grant (RFC 8628), userinfo, revocation (RFC 7009),
// RP-initiated logout and, if it is asked to, client registration (RFC 7591) and pushed authorization requests (RFC
// 9126). Tokens that are asked for with a DPoP proof are bound to its key (RFC 9449), and clients may authenticate
// with assertions (RFC 7523). It has an API with metadata of its own (RFC 9728), and [Issuer.Protect] makes others. It
// asks for consent at every sign-in, because no native client can prove who it is (RFC 8252, section 8.6). Any user
// name and any password are accepted: never let it guard anything.
//
// All state lives in the [Issuer] and is gone after [Issuer.Close]. The package imports no other package of this
// module, so that a mistake in our client cannot be made here a second time and go unnoticed; for the same reason it signs
// and encodes tokens with the standard library alone, while the client uses go-jose.
package issuer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// The values of Options.Discovery, for an issuer such as https://issuer.example/tenant.
const (
	// DiscoveryOIDC serves /tenant/.well-known/openid-configuration (OpenID Connect Discovery, section 4)
	// and /.well-known/oauth-authorization-server/tenant (RFC 8414, section 3.1).
	DiscoveryOIDC = "oidc"
	// DiscoveryOAuth2 serves /.well-known/oauth-authorization-server/tenant alone.
	DiscoveryOAuth2 = "oauth2"
	// DiscoveryMixed serves /.well-known/openid-configuration/tenant alone (RFC 8414, section 5).
	DiscoveryMixed = "mixed"
)

// Options says what an issuer offers and how it is to misbehave. The zero value is an honest issuer with one client.
//
// Hooks run on the goroutine of the request, without any lock held, so several may run at once. They may call every
// method of the Issuer but Close.
type Options struct {
	// Path is appended to the issuer identifier: "" (default), "/tenant", or "/" for an identifier that ends in a slash.
	Path string
	// Clients are the registered clients; default: one public client "demo".
	Clients []Client
	// AccessTokenTTL is the lifetime of access tokens, announced in whole seconds; default: one hour.
	AccessTokenTTL time.Duration
	// DeviceInterval is how long a client has to wait between two token requests with a device code; default: five
	// seconds.
	DeviceInterval time.Duration
	// KeepRefreshTokens has a refresh token serve again and again, and gives no new one for it.
	KeepRefreshTokens bool
	// Scopes are known beside those of OpenID Connect.
	Scopes []string
	// ACRValues are the ways to sign in that a client may ask for with acr_values. The first one asked for that is
	// among them is the acr of the sign-in, whatever the person does for it.
	ACRValues []string
	// RequirePAR takes pushed authorization requests (RFC 9126), and no others.
	RequirePAR bool
	// OpenRegistration lets every client register itself (RFC 7591).
	OpenRegistration bool
	// ExactRedirectURIs compares redirect URIs as strings, ports and all, as many providers do.
	ExactRedirectURIs bool
	// Delay is waited before every answer; default: none.
	Delay time.Duration
	// Alg signs the ID tokens of clients that do not name one: ES256 (default), RS256, PS256 or EdDSA.
	// An RSA key takes a tenth of a second to make, so it is made only when it is asked for.
	Alg string
	// Discovery says which metadata documents are served: DiscoveryOIDC (default), DiscoveryOAuth2 or DiscoveryMixed.
	Discovery string
	// Certificate makes the issuer one of https, on the same address. It has to be good for 127.0.0.1; nil: http.
	Certificate *tls.Certificate
	// Now is the issuer's clock; default: time.Now.
	Now func() time.Time
	// DPoPNonce takes no DPoP proof without a nonce that the issuer has given (RFC 9449, section 8).
	DPoPNonce bool

	// Metadata may edit the metadata document.
	Metadata func(doc map[string]any)
	// Redirect may edit the parameters of an authorization response, errors included.
	Redirect func(params url.Values)
	// Token may replace the answer of the token endpoint. The form is parsed in r; a nil body sends no body at all.
	Token func(r *http.Request, status int, body map[string]any) (int, map[string]any)
	// IDToken may edit header and claims before they are signed. The key stays the one that was meant, whatever
	// alg or kid the header then names.
	IDToken func(header, claims map[string]any)
	// Device may edit the answer of the device authorization endpoint.
	Device func(body map[string]any)
	// Userinfo may edit the claims of the userinfo endpoint before they are signed.
	Userinfo func(claims map[string]any)
	// Registration may edit the answer of the registration endpoint.
	Registration func(body map[string]any)
	// Resource may edit the metadata of the API (RFC 9728).
	Resource func(doc map[string]any)
	// JWKS may edit the key set; its "keys" is an []any of map[string]any.
	JWKS func(set map[string]any)
	// Wrap puts a handler around the whole issuer, inside the counting and the delay: it sees every request.
	Wrap func(next http.Handler) http.Handler
}

// Issuer is a running issuer. Make one with [Start]. Its methods may be called from several goroutines.
type Issuer struct {
	opts   Options // with defaults filled in, never changed
	url    string  // issuer identifier
	origin string  // scheme and authority of url
	host   string  // authority of url
	base   string  // path of url without the slash at the end

	registry *registry
	keys     *keyring
	ledger   *ledger
	visits   *visits
	counters counters
	pushed   pushedRequests
	asked    lastRequest

	assertions, proofs onceOnly // the jti of those that were used
	nonces             nonceKey

	server *http.Server
	cancel context.CancelFunc // ends the contexts of all requests
	wg     sync.WaitGroup     // accept loop, connections, handlers
}

// Start serves a new issuer on a free port of 127.0.0.1 until [Issuer.Close]. A nil opts is the zero Options.
// The error says which option is unusable, or why the port could not be opened.
func Start(opts *Options) (*Issuer, error) {
	i, err := newIssuer(opts)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	i.host = listener.Addr().String()
	i.origin = "http://" + i.host
	if i.opts.Certificate != nil {
		i.origin = "https://" + i.host
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*i.opts.Certificate}})
	}
	i.url = i.origin + i.opts.Path
	i.serve(listener)
	return i, nil
}

// newIssuer checks the options and makes everything that does not depend on the port.
func newIssuer(opts *Options) (*Issuer, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	clients, err := registerClients(o.Clients, o.Alg)
	if err != nil {
		return nil, err
	}
	var algs []string
	if o.OpenRegistration {
		algs = []string{o.Alg} // of clients to come
	}
	keys, err := newKeyring(clients, algs...)
	if err != nil {
		return nil, err
	}
	return &Issuer{
		opts:     o,
		base:     strings.TrimSuffix(o.Path, "/"),
		registry: newRegistry(clients),
		keys:     keys,
		ledger:   newLedger(o.Now, o.AccessTokenTTL, !o.KeepRefreshTokens),
		visits:   newVisits(o.Now),
		nonces:   nonceKey(randomValue()),
	}, nil
}

func (o *Options) setDefaults() error {
	if o.Clients == nil {
		o.Clients = []Client{{ID: "demo", Name: "oauth-login"}}
	}
	if o.AccessTokenTTL == 0 {
		o.AccessTokenTTL = time.Hour
	}
	if o.DeviceInterval == 0 {
		o.DeviceInterval = 5 * time.Second
	}
	if o.Alg == "" {
		o.Alg = "ES256"
	}
	if o.Discovery == "" {
		o.Discovery = DiscoveryOIDC
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if !slices.Contains(algsSupported[:], o.Alg) {
		return fmt.Errorf("unknown algorithm %q", o.Alg)
	}
	switch o.Discovery {
	case DiscoveryOIDC, DiscoveryOAuth2, DiscoveryMixed:
	default:
		return fmt.Errorf("unknown kind of discovery %q", o.Discovery)
	}
	if o.AccessTokenTTL < 0 || o.Delay < 0 || o.DeviceInterval < 0 {
		return errors.New("negative duration")
	}
	if !usablePath(o.Path) {
		return fmt.Errorf("unusable issuer path %q", o.Path)
	}
	return nil
}

// usablePath reports whether p is empty or a path whose segments mean the same to every URL parser and to http.ServeMux.
func usablePath(p string) bool {
	if p == "" || p == "/" {
		return true
	}
	rest, ok := strings.CutPrefix(strings.TrimSuffix(p, "/"), "/")
	if !ok {
		return false
	}
	for segment := range strings.SplitSeq(rest, "/") {
		if strings.Trim(segment, ".") == "" || strings.ContainsFunc(segment, notUnreserved) {
			return false
		}
	}
	return true
}

// serve starts the accept loop. Every goroutine that comes of it is counted in wg: the connections by their state,
// the handlers by track.
func (i *Issuer) serve(listener net.Listener) {
	ctx, cancel := context.WithCancel(context.Background()) // lives as long as the issuer: ended by Close
	i.cancel = cancel
	i.server = &http.Server{
		Handler:     i.track(i.handler()),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState: func(conn net.Conn, state http.ConnState) {
			i.countConnection(state)
			if state == http.StateNew && ctx.Err() != nil {
				_ = conn.Close() // accepted while Server.Close was at work, which does not know it
			}
		},
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       15*time.Second + i.opts.Delay,
		WriteTimeout:      30*time.Second + i.opts.Delay,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	i.wg.Go(func() { _ = i.server.Serve(listener) }) // always http.ErrServerClosed, after Close
}

func (i *Issuer) countConnection(state http.ConnState) {
	switch state {
	case http.StateNew:
		i.wg.Add(1)
	case http.StateClosed, http.StateHijacked:
		i.wg.Done()
	}
}

// track counts the running handlers: one that has taken over its connection is not counted with it any more.
func (i *Issuer) track(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.wg.Add(1)
		defer i.wg.Done()
		next.ServeHTTP(w, r)
	})
}

// URL returns the issuer identifier, for example http://127.0.0.1:40123/tenant.
func (i *Issuer) URL() string { return i.url }

// Close closes the port and all connections, ends the contexts of the requests that are being answered and returns
// when the last of them is done. A second call does nothing. A hook must not call it.
func (i *Issuer) Close() error {
	i.cancel()
	err := i.server.Close()
	i.wg.Wait()
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	return nil
}

// Requests returns how many requests an endpoint got, whatever was answered: "discovery", "jwks", "authorize",
// "signin", "consent", "push", "token", "userinfo", "revoke", "signout", "device-authorization", "device", "register",
// "registered", "api", "api-metadata", or "other" for every other path.
func (i *Issuer) Requests(endpoint string) int { return i.counters.read(endpoint) }

// Secrets returns every authorization code, access token, refresh token and ID token handed out so far, so that
// tests can look for them where they must not be.
func (i *Issuer) Secrets() []string { return i.ledger.allSecrets() }

// LastAuthorization returns the parameters of the authorization request that came last, those that were pushed among
// them, nil before the first one. Nothing was checked of them.
func (i *Issuer) LastAuthorization() url.Values { return i.asked.read() }

// EndGrants ends all that was granted so far, as when a person withdraws it: no access token and no refresh token of
// it is good any more.
func (i *Issuer) EndGrants() { i.ledger.endGrants() }

// ExpireAccessTokens ends the life of all access tokens handed out so far. Refresh tokens stay valid.
func (i *Issuer) ExpireAccessTokens() { i.ledger.expireAccessTokens() }

// RotateKeys makes new signing keys under new key IDs. The old ones stay in the key set, as they do at real
// providers while tokens signed with them are about.
func (i *Issuer) RotateKeys() error {
	if err := i.keys.rotate(); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	return nil
}
