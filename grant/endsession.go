package grant

import (
	"context"
	"net/url"
)

// EndSessionURL returns the URL that signs the person out at the provider, for
// the browser to open: OpenID Connect RP-Initiated Logout 1.0, section 2. It ends
// no token; see Revoke.
//
// The ID token of token is sent as id_token_hint, so that the provider need not
// ask who signs out; token may be nil or have none. postLogoutRedirectURI is where
// the browser comes back to, with state; it has to be registered. Both may be
// empty.
//
// The URL holds the ID token, and so it is a Secret. A server without an end
// session endpoint leads to a *CheckError with the code
// OAUTH_MISSING_SERVER_METADATA.
func (c *Client) EndSessionURL(ctx context.Context, token *Token, postLogoutRedirectURI, state string) (Secret, error) {
	as, err := c.Discover(ctx)
	if err != nil {
		return "", err
	}
	if err := c.assert(); err != nil {
		return "", err
	}
	if postLogoutRedirectURI != "" {
		if err := checkRedirectURI(postLogoutRedirectURI); err != nil {
			return "", err
		}
	} else if state != "" {
		return "", argumentError("a state without a post_logout_redirect_uri comes back to nobody")
	}
	params := map[string]string{
		"client_id": c.ClientID, "post_logout_redirect_uri": postLogoutRedirectURI, "state": state, "ui_locales": c.UILocales,
	}
	if token != nil && token.IDToken != nil {
		if token.IDToken.Issuer != as.Issuer {
			return "", argumentError("the ID token comes from another issuer, and is none of this one's business")
		}
		params["id_token_hint"] = string(token.IDToken.Raw)
	}
	return c.endSessionURL(as, params)
}

// endSessionURL keeps the query of the endpoint.
func (c *Client) endSessionURL(as *AuthorizationServer, params map[string]string) (Secret, error) {
	u, err := as.endpoint("end_session_endpoint", c, c.AllowInsecureRequests)
	if err != nil {
		return "", err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", &CheckError{Check: checkEndpoint, Code: codeInvalidServerMetadata,
			Reason: "end_session_endpoint in the server's metadata has a malformed query"}
	}
	for name, value := range params {
		if value != "" {
			query.Set(name, value)
		}
	}
	u.RawQuery, u.Fragment = query.Encode(), ""
	return Secret(u.String()), nil
}
