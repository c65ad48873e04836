package grant

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scopes are those that will be asked for, one by one.
func (c *Client) scopes() []string {
	if len(c.Scopes) == 0 {
		return strings.Fields(c.AuthorizationParameters.Get("scope"))
	}
	return strings.Fields(strings.Join(c.Scopes, " "))
}

// An asked is what a login asks for, as far as its answer is held to that.
type asked struct {
	scopes       []string
	acrValues    string
	maxAge       *int // seconds, nil for none
	responseMode string
}

// asks returns what a login asks for now: what the client does, and what an API
// demands beyond that.
func (c *Client) asks(ctx context.Context) asked {
	return asked{scopes: c.scopes(), acrValues: c.ACRValues, maxAge: c.MaxAge, responseMode: c.ResponseMode}.with(StepUpOf(ctx))
}

// openID reports whether an ID token has to come.
func (a asked) openID() bool { return slices.Contains(a.scopes, "openid") }

// checkedMaxAge is max_age where there is an ID token to check it against.
func (a asked) checkedMaxAge() *int {
	if !a.openID() {
		return nil
	}
	return a.maxAge
}

// checkParameters refuses what the server could not understand.
func (c *Client) checkParameters(asked asked) error {
	if asked.maxAge != nil && *asked.maxAge < 0 || c.MaxAge != nil && !asked.openID() {
		return argumentError("max_age must not be negative, and needs the scope openid")
	}
	if c.Claims != nil && !isJSON(c.Claims, '{') {
		return argumentError("claims is not a JSON object") // OpenID Connect Core 1.0, section 5.5
	}
	if c.AuthorizationDetails != nil && !isJSON(c.AuthorizationDetails, '[') {
		return argumentError("authorization_details is not a JSON array") // RFC 9396, section 2
	}
	return nil
}

// isJSON reports whether data is one JSON value that begins with first.
func isJSON(data []byte, first byte) bool {
	text := strings.TrimLeft(string(data), " \t\r\n")
	return json.Valid(data) && text[0] == first
}

// An authorizationRequest is what the authorization URL is made of.
type authorizationRequest struct {
	params url.Values // of the URL
	all    url.Values // those of the request itself, wherever they are
	dpop   *DPoP      // nil for none
	expiry time.Time  // the zero time for no end that is known
}

// request prepares the authorization request: as plain parameters, as a signed
// object, or as a reference to what was sent before.
func (c *Client) request(ctx context.Context, as *AuthorizationServer, asked asked, redirectURI string, s flowSecrets) (*authorizationRequest, error) {
	dpop, err := c.newDPoP(as)
	if err != nil {
		return nil, err
	}
	params := c.requestParameters(asked, redirectURI, s)
	if dpop != nil {
		params.Set("dpop_jkt", dpop.Thumbprint()) // RFC 9449, section 10
	}
	request := &authorizationRequest{params: params, all: params, dpop: dpop}
	switch {
	case c.pushes(as):
		err = scrub(c.push(ctx, as, request), s.state, s.nonce)
	case c.signsRequest(as):
		request.expiry = time.Now().Add(urlObjectLifetime).UTC()
		request.params, err = c.sign(as, params, urlObjectLifetime)
	}
	return request, err
}

// requestParameters returns the parameters of the authorization request: RFC
// 6749, section 4.1.1, RFC 7636, section 4.3, and OpenID Connect Core 1.0, section
// 3.1.2.1.
func (c *Client) requestParameters(asked asked, redirectURI string, s flowSecrets) url.Values {
	params := c.wishes(asked)
	if s.nonce != "" {
		params.Set("nonce", s.nonce)
	}
	if c.ResponseMode != "" {
		params.Set("response_mode", c.ResponseMode)
	}
	params.Set("response_type", "code")
	params.Set("client_id", c.ClientID)
	params.Set("redirect_uri", redirectURI)
	params.Set("state", s.state)
	params.Set("code_challenge", codeChallenge(s.verifier))
	params.Set("code_challenge_method", "S256")
	return params
}

// wishes are the parameters that say what is asked for, in whichever way the
// person signs in. Ours win over the additional ones.
func (c *Client) wishes(asked asked) url.Values {
	params := url.Values{}
	for name, values := range c.AuthorizationParameters {
		if !isOurs(name) {
			params[name] = slices.Clone(values)
		}
	}
	for name, value := range map[string]string{
		"scope":  strings.Join(asked.scopes, " "),
		"prompt": c.Prompt, "login_hint": c.LoginHint, "acr_values": asked.acrValues, "ui_locales": c.UILocales,
		"claims": string(c.Claims), "authorization_details": string(c.AuthorizationDetails), "audience": c.Audience,
	} {
		if value != "" {
			params.Set(name, value)
		}
	}
	if len(c.Resources) > 0 {
		params["resource"] = slices.Clone(c.Resources) // RFC 8707, section 2: as they are, none left out
	}
	if asked.maxAge != nil {
		params.Set("max_age", strconv.Itoa(*asked.maxAge))
	}
	return params
}

// isOurs reports whether a parameter of the authorization request is decided here
// alone, also where it is not sent.
func isOurs(name string) bool {
	switch name {
	case "response_type", "redirect_uri", "state", "nonce", "code_challenge", "code_challenge_method",
		"response_mode", "request", "request_uri", "dpop_jkt":
		return true
	}
	return isCredential(name)
}

// authorizationURL adds parameters to the endpoint and keeps its query (RFC 6749,
// section 3.1), but for names that belong to the request.
func (c *Client) authorizationURL(as *AuthorizationServer, request *authorizationRequest) (string, error) {
	u, err := as.endpoint("authorization_endpoint", c, c.AllowInsecureRequests)
	if err != nil {
		return "", err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", &CheckError{Check: checkEndpoint, Code: codeInvalidServerMetadata,
			Reason: "authorization_endpoint in the server's metadata has a malformed query"}
	}
	for name := range query {
		if isOurs(name) || request.all.Has(name) {
			delete(query, name)
		}
	}
	maps.Copy(query, request.params)
	u.RawQuery, u.Fragment = query.Encode(), ""
	return u.String(), nil
}
