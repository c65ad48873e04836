package grant

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"
)

// RefreshTokenGrantRequest sends a refresh token to the token endpoint: RFC
// 6749, section 6. The response has any status; hand it to
// ProcessRefreshTokenResponse.
func RefreshTokenGrantRequest(ctx context.Context, as *AuthorizationServer, client *Client,
	refreshToken Secret, opts *TokenEndpointRequestOptions) (*http.Response, error) {
	if err := assertBoth(as, client); err != nil {
		return nil, err
	}
	if refreshToken == "" {
		return nil, argumentError("the refresh token is empty")
	}
	return tokenRequest(ctx, as, client, url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {string(refreshToken)},
	}, opts)
}

// ProcessRefreshTokenOptions say what the answer to a refresh is compared with
// (OpenID Connect Core 1.0, section 12.2). The zero value compares nothing.
type ProcessRefreshTokenOptions struct {
	// PreviousIDToken is the ID token of the login, nil for none. A new ID
	// token must be about the same person: OpenID Connect Core 1.0, section
	// 12.2.
	PreviousIDToken *IDToken
	// DPoP is that of the request; the token may be bound to its key, and keeps
	// it. nil for none, and then a token of the type "dpop" is refused.
	DPoP *DPoP
	// RecognizedTokenTypes are token types to accept beside bearer, in lower
	// case.
	RecognizedTokenTypes []string
	// HTTPClient fetches the keys; nil means the client's.
	HTTPClient *http.Client
	// AllowInsecureRequests allows http, to loopback hosts only.
	AllowInsecureRequests bool
}

// ProcessRefreshTokenResponse checks the answer to RefreshTokenGrantRequest:
// RFC 6749, sections 5 and 6. A token without RefreshToken means that the old
// refresh token stays in use.
func ProcessRefreshTokenResponse(ctx context.Context, as *AuthorizationServer, client *Client,
	resp *http.Response, opts *ProcessRefreshTokenOptions) (*Token, error) {
	if opts == nil {
		opts = &ProcessRefreshTokenOptions{}
	}
	return processRefreshResponse(ctx, as, client, resp, opts, false)
}

func processRefreshResponse(ctx context.Context, as *AuthorizationServer, client *Client, resp *http.Response,
	opts *ProcessRefreshTokenOptions, lenient bool) (*Token, error) {
	if err := assertBoth(as, client); err != nil {
		return nil, err
	}
	p := tokenProcessor{
		as: as, client: client, dpop: opts.DPoP, types: opts.RecognizedTokenTypes, lenient: lenient,
		idToken: idTokenChecks{requireAuthTime: client.RequireAuthTime || client.DefaultMaxAge != nil},
		keys:    keySource{httpClient: client.httpClient(opts.HTTPClient), insecure: opts.AllowInsecureRequests},
	}
	token, err := p.process(ctx, resp)
	if err != nil {
		return nil, err
	}
	if err := checkContinuity(opts.PreviousIDToken, token.IDToken); err != nil {
		return nil, err
	}
	return token, nil
}

// checkContinuity applies OpenID Connect Core 1.0, section 12.2: iss and sub
// must be the same, and so must aud.
func checkContinuity(previous, next *IDToken) error {
	if previous == nil || next == nil {
		return nil
	}
	if previous.Issuer != next.Issuer {
		return &CheckError{Check: checkIDTokenISS, Code: codeClaimComparison,
			Reason: "the refreshed ID token comes from another issuer", Expected: previous.Issuer, Actual: next.Issuer}
	}
	if previous.Subject != next.Subject {
		return &CheckError{Check: checkIDTokenSub, Code: codeClaimComparison,
			Reason: "the refreshed ID token is about another person"}
	}
	for _, aud := range previous.Audience {
		if !slices.Contains(next.Audience, aud) {
			return &CheckError{Check: checkIDTokenAud, Code: codeClaimComparison,
				Reason: "the refreshed ID token is not for the audience of the first one"}
		}
	}
	return nil
}

// Refresh gets a new access token without the person: RFC 6749, section 6.
// Where the answer leaves them out, the refresh token, the ID token, the scopes
// and the authorization details of the old token stay. Save the result before
// you use it: the old refresh token may be spent.
//
// LoginRequired tells whether an error means that only a new login helps.
func (c *Client) Refresh(ctx context.Context, old *Token) (*Token, error) {
	if old == nil || old.RefreshToken == "" {
		return nil, argumentError("there is no refresh token")
	}
	as, known, err := c.discover(ctx)
	if err != nil {
		return nil, err
	}
	dpop := old.DPoP
	if dpop == nil { // the login was one without a key
		if dpop, err = c.newDPoP(as); err != nil {
			return nil, err
		}
	}
	token, err := c.refresh(ctx, as, old, dpop)
	if known != nil && LoginRequired(err) {
		if now := c.moved(ctx, as); now != nil {
			as = now
			token, err = c.refresh(ctx, as, old, dpop)
		}
	}
	c.doubt(ctx, as, err)
	if err == nil {
		token.inherit(old)
	}
	c.logToken(ctx, "refresh_token", token, err)
	return token, err
}

// inherit takes from the old token what the answer has left out.
func (t *Token) inherit(old *Token) {
	if t.RefreshToken == "" {
		t.RefreshToken = old.RefreshToken
	}
	if t.IDToken == nil {
		t.IDToken = old.IDToken
	}
	if t.Scopes == nil {
		t.Scopes = old.Scopes
	}
	if t.AuthorizationDetails == nil {
		t.AuthorizationDetails = old.AuthorizationDetails
	}
}

// refresh makes the token request. Where the login has an ID token, another one is
// likely to come, and the keys for it are fetched beside.
func (c *Client) refresh(ctx context.Context, as *AuthorizationServer, old *Token, dpop *DPoP) (*Token, error) {
	besideCtx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel()
	if old.IDToken != nil {
		beside.Go(func() { c.keys().prefetch(besideCtx, as, c) })
	}
	return withNonce(dpop, func() (*Token, error) {
		opts := c.tokenOptions()
		opts.DPoP = dpop
		resp, err := RefreshTokenGrantRequest(ctx, as, c, old.RefreshToken, opts)
		if err != nil {
			return nil, err
		}
		return processRefreshResponse(ctx, as, c, resp, &ProcessRefreshTokenOptions{
			PreviousIDToken: old.IDToken, DPoP: dpop, AllowInsecureRequests: c.AllowInsecureRequests,
		}, true)
	})
}
