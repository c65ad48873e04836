package grant

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Flow is one login from the authorization request to the token: the
// authorization code grant of RFC 6749, section 4.1. It is good for one redirect.
// Make one with Client.Authorize.
type Flow struct {
	// URL is where the person signs in. Show it, or open it in a browser.
	URL string
	// URLExpiry is when the server no longer knows what URL refers to, by this
	// machine's clock. It is the zero time where nothing like that is known.
	URLExpiry time.Time
	// RedirectURI is where the answer comes back to.
	RedirectURI string

	client      *Client
	as          *AuthorizationServer // as the person was sent there
	asked       asked
	promisesISS bool // the server did so when the person was sent there
	created     time.Time
	dpop        *DPoP              // nil for none
	secret      func() flowSecrets // in a function, so that no way of printing shows them
	spent       atomic.Bool
	copied      atomic.Bool           // another Flow may be the same login
	spare       atomic.Pointer[spare] // nil unless KeepWarm runs

	known      *metadataEntry // where as is from, nil for the issuer itself
	confirming turn           // guards confirmed and outdated
	confirmed  *AuthorizationServer
	outdated   error // why the login cannot go on
}

type flowSecrets struct{ state, nonce, verifier string }

// Authorize starts a login (RFC 6749, section 4.1.1; OpenID Connect Core 1.0,
// section 3.1.2.1): it finds the server and makes the authorization URL with a
// fresh state, a fresh PKCE challenge with S256 (RFC 7636, section 4.3) and,
// with the scope openid, a fresh nonce.
//
// Where the client or the server demands it, the request is signed (RFC 9101), or
// pushed to the server first, so that the URL only refers to it (RFC 9126), or
// both.
//
// redirectURI is sent as it is; listen on it before you call Authorize. It must
// be absolute and have no fragment. A server that cannot do what is demanded is
// refused with a *CheckError, as is one whose metadata lists challenge methods
// without S256. Nothing is left out to make it work.
//
// What an API demands is asked for too, where ctx says so: see WithStepUp.
func (c *Client) Authorize(ctx context.Context, redirectURI string) (*Flow, error) {
	flow, err := c.authorize(ctx, redirectURI)
	c.logRefusal(ctx, "authorization", err)
	return flow, err
}

func (c *Client) authorize(ctx context.Context, redirectURI string) (*Flow, error) {
	if err := checkRedirectURI(redirectURI); err != nil {
		return nil, err
	}
	as, known, err := c.discover(ctx)
	if err != nil {
		return nil, err
	}
	asked := c.asks(ctx)
	if err := c.checkLogin(as, asked); err != nil && known == nil {
		return nil, err
	} else if err != nil { // nobody is refused for what was wrong yesterday
		if as, err = c.renew(ctx, as); err != nil {
			return nil, err
		}
		if err := c.checkLogin(as, asked); err != nil {
			return nil, err
		}
		known = nil
	}
	secrets := flowSecrets{state: randomValue(), verifier: randomValue()}
	if asked.openID() {
		secrets.nonce = randomValue()
	}
	request, err := c.request(ctx, as, asked, redirectURI, secrets)
	if err != nil {
		c.doubt(ctx, as, err)
		return nil, err
	}
	target, err := c.authorizationURL(as, request)
	if err != nil {
		return nil, err
	}
	c.log(ctx, slog.LevelDebug, "authorization request", slog.String("redirect_uri", redirectURI), slog.Any("scopes", asked.scopes),
		slog.Bool("pushed", c.pushes(as)), slog.Bool("dpop", request.dpop != nil))
	return &Flow{
		URL: target, URLExpiry: request.expiry, RedirectURI: redirectURI,
		client: c, as: as, known: known, asked: asked, promisesISS: as.AuthorizationResponseIssParameterSupported, created: time.Now(),
		dpop: request.dpop, secret: func() flowSecrets { return secrets },
	}, nil
}

// checkLogin finds now what would otherwise fail after the person has signed
// in.
func (c *Client) checkLogin(as *AuthorizationServer, asked asked) error {
	if err := assertBoth(as, c); err != nil {
		return err
	}
	if err := assertHeader(c.Header); err != nil {
		return err
	}
	if err := cmp.Or(c.checkParameters(asked), c.checkAuth(as), c.checkHS256(), c.checkFAPIServer(as, asked)); err != nil {
		return err
	}
	if methods := as.CodeChallengeMethodsSupported; methods != nil && !slices.Contains(methods, "S256") {
		return &CheckError{Check: checkMetadataS256, Code: codeUnsupported,
			Reason: "the server does not support PKCE with S256", Expected: "S256", Actual: fmt.Sprint(methods)}
	}
	if err := cmp.Or(c.checkSigner(as), c.checkResponseMode(as)); err != nil {
		return err
	}
	names := append(c.endpoints(asked), "authorization_endpoint")
	if c.pushes(as) {
		names = append(names, "pushed_authorization_request_endpoint")
	}
	return c.checkEndpoints(as, names)
}

// endpoints are those that the redirect needs.
func (c *Client) endpoints(asked asked) []string {
	names := []string{"token_endpoint"}
	if c.needsKeys(asked) {
		names = append(names, "jwks_uri")
	}
	return names
}

func (c *Client) checkEndpoints(as *AuthorizationServer, names []string) error {
	for _, name := range names {
		if _, err := as.endpoint(name, c, c.AllowInsecureRequests); err != nil {
			return err
		}
	}
	return nil
}

// needsKeys reports whether a login brings something that the issuer has signed.
func (c *Client) needsKeys(asked asked) bool {
	return isSigned(asked.responseMode) || c.signedIDToken(asked)
}

// checkRedirectURI: "The endpoint URI MUST NOT include a fragment component"
// (RFC 6749, section 3.1.2).
func checkRedirectURI(redirectURI string) error {
	u, err := url.Parse(redirectURI)
	if err != nil || u.Scheme == "" || strings.Contains(redirectURI, "#") {
		return argumentError("the redirect URI %q is not an absolute URI without a fragment", redirectURI)
	}
	return nil
}

// Format prints a placeholder for every verb. URL holds the state and the nonce.
func (f *Flow) Format(w fmt.State, _ rune) { io.WriteString(w, "flow "+redacted) }

// LogValue returns a placeholder.
func (f *Flow) LogValue() slog.Value { return slog.StringValue("flow " + redacted) }

// MarshalText returns a placeholder.
func (f *Flow) MarshalText() ([]byte, error) { return []byte("flow " + redacted), nil }

// Ours reports whether a redirect carries the state of this flow, exactly once
// (RFC 6749, section 10.12). A request without it is noise, whatever else it says,
// and must not end the login.
//
// A signed response has the state in its JWT. Nothing is verified here; that is
// done by Exchange. So a forged response with our state ends the login, with an
// error, just as a plain redirect with our state and a wrong code does: who knows
// the state can do so, and nobody knows it but the server and the person's own
// browser. A response of the wrong kind, plain or signed, is ours too: Exchange
// refuses it and says why, which helps more than to wait for another one.
func (f *Flow) Ours(params url.Values) bool {
	if !f.made() {
		return false
	}
	if len(params["state"]) == 1 && equal(params.Get("state"), f.secret().state) {
		return true
	}
	signed, err := responseJWT(params)
	if err != nil {
		return false
	}
	state, ok := parseAuthResponse(signed).str("state")
	return ok && equal(state, f.secret().state)
}

// made reports whether Authorize or Resume made the flow.
func (f *Flow) made() bool { return f != nil && f.secret != nil }

// Warm fetches the keys of the issuer (OpenID Connect Discovery 1.0, section
// 3), and asks it whether metadata that came out of the MetadataCache still hold,
// so that both cost no time later. Call it when the browser is on its way, and wait
// for it to return; KeepWarm does this and more. It is best effort: what fails
// here is tried again by Exchange.
func (f *Flow) Warm(ctx context.Context) {
	if !f.made() {
		return
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { f.prefetch(ctx, f.as) })
	if as, err := f.current(ctx); err == nil && as != f.as {
		f.prefetch(ctx, as)
	}
}

// prefetch fetches the keys of the server, where the login will need them.
func (f *Flow) prefetch(ctx context.Context, as *AuthorizationServer) {
	if f.client.needsKeys(f.asked) {
		f.client.keys().prefetch(ctx, as, f.client)
	}
}

// Exchange turns the parameters of the redirect into a token: RFC 6749,
// sections 4.1.2 to 4.1.4, and OpenID Connect Core 1.0, section 3.1.3. It
// checks state and iss, sends at most one token request in the life of the
// flow, and verifies the answer, ID token and all. Take the parameters from
// ParseAuthResponse. A second request follows only where the server refuses the
// first with use_dpop_nonce and the nonce (RFC 9449, section 8).
//
// A redirect that is not Ours, or comes after the first one that was, leads to
// ErrNotOurs. A refusal of the server is an *Error, one of ours a *CheckError.
func (f *Flow) Exchange(ctx context.Context, params url.Values) (*Token, error) {
	if !f.made() {
		return nil, argumentError("the flow does not come from Authorize or Resume")
	}
	if !f.Ours(params) {
		return nil, ErrNotOurs
	}
	if !f.spend() {
		return nil, fmt.Errorf("%w: it has had its redirect", ErrNotOurs)
	}
	secrets := f.secret()
	token, err := f.exchange(ctx, params, secrets)
	if err != nil {
		err = scrub(err, secrets.state, secrets.nonce, secrets.verifier, params.Get("code"))
	} else if token.Scopes == nil {
		token.Scopes = slices.Clone(f.asked.scopes) // RFC 6749, section 5.1: left out when it is what was asked for
	}
	f.client.logToken(ctx, "authorization_code", token, err)
	return token, err
}

func (f *Flow) exchange(ctx context.Context, params url.Values, secrets flowSecrets) (*Token, error) {
	as, err := f.currentSoon(ctx)
	if err != nil {
		return nil, err
	}
	callback, err := f.validate(ctx, as, params, secrets.state)
	if err != nil {
		return nil, err
	}
	token, err := f.redeem(ctx, as, callback, secrets)
	if err != nil {
		f.client.doubt(ctx, as, err)
	}
	return token, err
}

// redeem makes the token request, and has the keys fetched beside it, unless they
// are here.
func (f *Flow) redeem(ctx context.Context, as *AuthorizationServer, callback CallbackParameters, secrets flowSecrets) (*Token, error) {
	besideCtx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel()
	beside.Go(func() { f.prefetch(besideCtx, as) })
	httpClient, done := f.tokenClient(as)
	defer done()
	return withNonce(f.dpop, func() (*Token, error) {
		opts := f.client.tokenOptions()
		opts.DPoP, opts.HTTPClient = f.dpop, httpClient
		resp, err := AuthorizationCodeGrantRequest(ctx, as, f.client, callback, f.RedirectURI, secrets.verifier, opts)
		if err != nil {
			return nil, err
		}
		return processCodeResponse(ctx, as, f.client, resp, &ProcessAuthorizationCodeOptions{
			ExpectedNonce: secrets.nonce, MaxAge: f.asked.checkedMaxAge(), DPoP: f.dpop, AllowInsecureRequests: f.client.AllowInsecureRequests,
		}, true)
	})
}

// validate takes the response in the form that was asked for, and in no other. iss
// has to be there if the metadata promised it when the person was sent away, or do
// so now; a signed response always has it.
func (f *Flow) validate(ctx context.Context, as *AuthorizationServer, params url.Values, state string) (CallbackParameters, error) {
	if !isSigned(f.asked.responseMode) {
		if f.promisesISS && params.Get("iss") == "" { // RFC 9207, section 2.3: what was promised in another process, or since taken back, counts
			return CallbackParameters{}, missingISS(f.as)
		}
		return ValidateAuthResponse(as, f.client, params, state)
	}
	return ValidateJWTAuthResponse(ctx, as, f.client, params, state, &RequestOptions{AllowInsecureRequests: f.client.AllowInsecureRequests})
}
