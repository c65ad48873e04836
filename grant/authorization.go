package grant

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// A Flow is one login from the authorization request to the token. It is good
// for one redirect. Make one with Client.Authorize.
type Flow struct {
	// URL is where the person signs in. Show it, or open it in a browser.
	URL string
	// RedirectURI is where the answer comes back to.
	RedirectURI string

	client *Client
	as     *AuthorizationServer
	secret func() flowSecrets // in a function, so that no way of printing shows them
	spent  atomic.Bool
}

type flowSecrets struct{ state, nonce, verifier string }

// Authorize starts a login (RFC 6749, section 4.1.1; OpenID Connect Core 1.0,
// section 3.1.2.1): it finds the server and makes the authorization URL with a
// fresh state, a fresh PKCE challenge with S256 (RFC 7636, section 4.3) and,
// with the scope openid, a fresh nonce.
//
// redirectURI is sent as it is; listen on it before you call Authorize. It must
// be absolute and have no fragment. A server whose metadata lists challenge
// methods without S256 is refused with a *CheckError.
func (c *Client) Authorize(ctx context.Context, redirectURI string) (*Flow, error) {
	if err := checkRedirectURI(redirectURI); err != nil {
		return nil, err
	}
	as, err := c.Discover(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.assert(); err != nil {
		return nil, err
	}
	if _, err := c.clientAuth(as, nil); err != nil {
		return nil, err // now, not after the person has signed in
	}
	if methods := as.CodeChallengeMethodsSupported; methods != nil && !slices.Contains(methods, "S256") {
		return nil, &CheckError{Check: checkMetadataS256, Code: codeUnsupported,
			Reason: "the server does not support PKCE with S256", Expected: "S256", Actual: fmt.Sprint(methods)}
	}
	for _, name := range []string{"token_endpoint", "authorization_endpoint"} {
		if _, err := as.endpoint(name, c, c.AllowInsecureRequests); err != nil {
			return nil, err
		}
	}
	secrets := flowSecrets{state: randomValue(), verifier: randomValue()}
	if slices.Contains(c.Scopes, "openid") {
		secrets.nonce = randomValue()
	}
	f := &Flow{RedirectURI: redirectURI, client: c, as: as, secret: func() flowSecrets { return secrets }}
	f.URL, err = c.authorizationURL(as, redirectURI, secrets)
	return f, err
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

// authorizationURL keeps the query of the endpoint (RFC 6749, section 3.1), and
// our parameters win over those in it and over the additional ones.
func (c *Client) authorizationURL(as *AuthorizationServer, redirectURI string, s flowSecrets) (string, error) {
	u, err := as.endpoint("authorization_endpoint", c, c.AllowInsecureRequests)
	if err != nil {
		return "", err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", &CheckError{Check: checkEndpoint, Code: codeInvalidServerMetadata,
			Reason: "authorization_endpoint in the server's metadata has a malformed query"}
	}
	for name, values := range c.AuthorizationParameters {
		query[name] = values
	}
	for name, value := range map[string]string{
		"prompt": c.Prompt, "login_hint": c.LoginHint, "acr_values": c.ACRValues, "audience": c.Audience,
		"scope": strings.Join(c.Scopes, " "), "nonce": s.nonce,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(c.Resources) > 0 {
		query["resource"] = c.Resources // RFC 8707, section 2
	}
	if c.MaxAge != nil {
		query.Set("max_age", strconv.Itoa(*c.MaxAge))
	}
	query.Set("response_type", "code")
	query.Set("client_id", c.ClientID)
	query.Set("redirect_uri", redirectURI)
	query.Set("state", s.state)
	query.Set("code_challenge", codeChallenge(s.verifier))
	query.Set("code_challenge_method", "S256")
	u.RawQuery, u.Fragment = query.Encode(), ""
	return u.String(), nil
}

// Ours reports whether a redirect carries the state of this flow, exactly once.
// A request without it is noise, whatever else it says, and must not end the
// login.
func (f *Flow) Ours(params url.Values) bool {
	state := params["state"]
	return len(state) == 1 && equal(state[0], f.secret().state)
}

// Warm fetches the keys of the issuer, so that neither they nor the connection
// cost time later. Call it when the browser is on its way, and wait for it to
// return. It is best effort: what fails here is tried again by Exchange.
func (f *Flow) Warm(ctx context.Context) {
	if f.secret().nonce != "" {
		f.keys().prefetch(ctx, f.as, f.client)
	}
}

func (f *Flow) keys() keySource {
	return keySource{httpClient: f.client.httpClient(nil), insecure: f.client.AllowInsecureRequests}
}

// Exchange turns the parameters of the redirect into a token. It checks state
// and iss, sends at most one token request in the life of the flow, and
// verifies the answer, ID token and all.
//
// A redirect that is not Ours, or comes after the first one that was, leads to
// ErrNotOurs. A refusal of the server is an *Error, one of ours a *CheckError.
func (f *Flow) Exchange(ctx context.Context, params url.Values) (*Token, error) {
	if !f.Ours(params) {
		return nil, ErrNotOurs
	}
	if !f.spent.CompareAndSwap(false, true) {
		return nil, fmt.Errorf("%w: it has had its redirect", ErrNotOurs)
	}
	secrets := f.secret()
	callback, err := ValidateAuthResponse(f.as, f.client, params, secrets.state)
	if err != nil {
		return nil, err
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { f.Warm(ctx) }) // the keys beside the token request, unless they are here
	resp, err := AuthorizationCodeGrantRequest(ctx, f.as, f.client, callback, f.RedirectURI, secrets.verifier, f.client.tokenOptions())
	if err != nil {
		return nil, err
	}
	token, err := processCodeResponse(ctx, f.as, f.client, resp, &ProcessAuthorizationCodeOptions{
		ExpectedNonce: secrets.nonce, MaxAge: f.client.MaxAge, AllowInsecureRequests: f.client.AllowInsecureRequests,
	}, true)
	if err != nil {
		return nil, err
	}
	if token.Scopes == nil {
		token.Scopes = slices.Clone(f.client.Scopes) // RFC 6749, section 5.1: left out when it is what was asked for
	}
	return token, nil
}
