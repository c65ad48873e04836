package issuer

import (
	"net/http"
	"net/url"
	"slices"
	"time"
)

// assertionTTL is how far in the future the end of a client assertion may be.
const assertionTTL = 5 * time.Minute

// authenticateAssertion identifies the client by a signed assertion (RFC 7521, section 4.2; RFC 7523, section 3; OpenID
// Connect Core, section 9).
func (i *Issuer) authenticateAssertion(r *http.Request, form url.Values) (*Client, *oauthError) {
	if form.Has("client_secret") || r.Header.Get("Authorization") != "" {
		return nil, invalidRequest("the client authenticates in two ways at once")
	}
	if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return nil, invalidClient("unknown client_assertion_type", false)
	}
	assertion, ok := parseJWS(form.Get("client_assertion"))
	if !ok {
		return nil, invalidClient("the client assertion is malformed", false)
	}
	client := i.registry.find(assertion.text("iss"))
	switch {
	case client == nil || assertion.text("sub") != client.ID:
		return nil, invalidClient("iss and sub of the client assertion are not a client", false)
	case form.Has("client_id") && form.Get("client_id") != client.ID: // RFC 7521, section 4.2
		return nil, invalidClient("client_id differs from the one in the client assertion", false)
	case !client.signed(assertion):
		return nil, invalidClient("the client assertion is not signed as the client is registered for", false)
	}
	if problem := i.checkAssertion(assertion); problem != "" {
		return nil, invalidClient(problem, false)
	}
	return client, nil
}

// signed reports whether the client has signed the assertion in the one way that it may.
func (c *Client) signed(assertion *jws) bool {
	switch c.AuthMethod {
	case AuthPrivateKeyJWT:
		return assertion.signedBy(c.Key)
	case AuthSecretJWT:
		return assertion.authenticatedBy(c.Secret)
	}
	return false
}

// checkAssertion returns what is wrong with the claims, "" for nothing. The audience is the issuer alone: an assertion
// that names more could be used there too.
func (i *Issuer) checkAssertion(assertion *jws) (problem string) {
	now, exp := i.opts.Now(), assertion.time("exp")
	aud, isList := assertion.claims["aud"].([]any)
	if !isList {
		aud = []any{assertion.claims["aud"]}
	}
	switch {
	case !slices.Equal(aud, []any{i.url}):
		return "the client assertion is for another audience"
	case !exp.After(now) || exp.Sub(now) > assertionTTL:
		return "the client assertion has expired, or lives for too long"
	case assertion.time("nbf").After(now) || assertion.time("iat").After(now):
		return "the client assertion is from the future"
	case !i.assertions.use(assertion.text("jti"), now, exp):
		return "the client assertion was used before, or has no jti"
	}
	return ""
}
