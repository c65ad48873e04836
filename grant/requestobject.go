package grant

import (
	"cmp"
	"crypto"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"
)

const (
	// pushedObjectLifetime is that of a request object which the server gets at once.
	pushedObjectLifetime = time.Minute
	// urlObjectLifetime is that of a request object in an authorization URL, which a
	// person opens when they come to it, perhaps on another machine. It is as long
	// as a pushed request may live by FAPI 2.0 (Security Profile, section 5.3.2.2).
	urlObjectLifetime = 10 * time.Minute
)

// RequestObjectOptions are the options of IssueRequestObject (RFC 9101). The zero value
// serves.
type RequestObjectOptions struct {
	// KeyID is the kid of the key; empty: none is sent.
	KeyID string
	// Lifetime is how long the request object may be used; 0 means a minute.
	Lifetime time.Duration
}

// IssueRequestObject signs the parameters of an authorization request: RFC 9101,
// sections 4 and 5.1. The result is the value of the parameter request, to be sent
// with client_id and nothing else, in the authorization URL or to
// PushedAuthorizationRequest. The algorithm is Client.RequestObjectSigningAlg, or
// the first one that the key can do and the server lists.
//
// Of a parameter that is repeated the last value counts, but every resource does.
// max_age becomes a number, claims an object and authorization_details an array; a
// value that cannot be read that way is an ErrArgument.
func IssueRequestObject(as *AuthorizationServer, client *Client, params url.Values, key crypto.Signer, opts *RequestObjectOptions) (string, error) {
	if err := assertBoth(as, client); err != nil {
		return "", err
	}
	if opts == nil {
		opts = &RequestObjectOptions{}
	}
	signer, err := newSigner(key, client.RequestObjectSigningAlg, client.algs(as.RequestObjectSigningAlgValuesSupported))
	if err != nil {
		return "", fmt.Errorf("the request object: %w", err)
	}
	claims, err := requestClaims(params)
	if err != nil {
		return "", err
	}
	now := math.Floor(client.now())
	for name, value := range map[string]any{
		"iss": client.ClientID, "aud": as.Issuer, "client_id": client.ClientID, "jti": randomValue(),
		"iat": int64(now), "nbf": int64(now), "exp": int64(now + cmp.Or(opts.Lifetime, pushedObjectLifetime).Seconds()),
	} {
		claims[name] = value
	}
	header := map[string]any{"typ": "oauth-authz-req+jwt"} // RFC 9101, section 10.8
	if opts.KeyID != "" {
		header["kid"] = opts.KeyID
	}
	signed, err := signer.sign(header, claims)
	if err != nil {
		return "", fmt.Errorf("the request object: %w", err)
	}
	return signed, nil
}

// requestClaims gives the parameters the types that they have in a request object:
// RFC 9101, section 4, OpenID Connect Core 1.0, section 6.1, and RFC 9396, section 2.
func requestClaims(params url.Values) (map[string]any, error) {
	claims := map[string]any{}
	for name, values := range params {
		// A request object holds no other one, no credentials, and no sub that would
		// make it look like a client assertion (RFC 9101, sections 4 and 10.8).
		if len(values) == 0 || isCredential(name) || name == "request" || name == "request_uri" || name == "sub" {
			continue
		}
		value, err := requestClaim(name, values)
		if err != nil {
			return nil, err
		}
		claims[name] = value
	}
	return claims, nil
}

func requestClaim(name string, values []string) (any, error) {
	last := values[len(values)-1]
	switch name {
	case "resource":
		if len(values) > 1 {
			return values, nil
		}
	case "max_age":
		seconds, err := strconv.ParseUint(last, 10, 63)
		if err != nil {
			return nil, argumentError("max_age is not a number of seconds")
		}
		return seconds, nil
	case "claims":
		if !isJSON([]byte(last), '{') {
			return nil, argumentError("claims is not a JSON object")
		}
		return json.RawMessage(last), nil
	case "authorization_details":
		if !isJSON([]byte(last), '[') {
			return nil, argumentError("authorization_details is not a JSON array")
		}
		return json.RawMessage(last), nil
	}
	return last, nil
}

// signsRequest reports whether the authorization request has to be signed. There
// is no way back to the plain one.
func (c *Client) signsRequest(as *AuthorizationServer) bool {
	return c.RequireSignedRequestObject || as.RequireSignedRequestObject
}

// checkSigner finds out whether the client can sign what has to be signed.
func (c *Client) checkSigner(as *AuthorizationServer) error {
	if !c.signsRequest(as) {
		return nil
	}
	if c.Key == nil {
		return argumentError("the authorization request has to be signed, and the client has no key")
	}
	_, err := newSigner(c.Key, c.RequestObjectSigningAlg, c.algs(as.RequestObjectSigningAlgValuesSupported))
	return err
}

// sign returns what stands in the place of the parameters of an authorization
// request: RFC 9101, section 5.
func (c *Client) sign(as *AuthorizationServer, params url.Values, lifetime time.Duration) (url.Values, error) {
	object, err := IssueRequestObject(as, c, params, c.Key, &RequestObjectOptions{KeyID: c.KeyID, Lifetime: lifetime})
	if err != nil {
		return nil, err
	}
	return url.Values{"client_id": {c.ClientID}, "request": {object}}, nil
}
