package grant

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The response modes that can reach a native application: OAuth 2.0 Multiple
// Response Type Encoding Practices, section 2.1, OAuth 2.0 Form Post Response
// Mode, section 2, and JARM, section 2.3. A fragment never leaves the browser.
const (
	modeQuery       = "query"
	modeFormPost    = "form_post"
	modeJWT         = "jwt" // the same as query.jwt for a code
	modeQueryJWT    = "query.jwt"
	modeFormPostJWT = "form_post.jwt"
)

// RequestOptions are the options of a call that may fetch the server's keys
// (OpenID Connect Discovery 1.0, section 3). The zero value serves.
type RequestOptions struct {
	// HTTPClient fetches the keys; nil means the client's.
	HTTPClient *http.Client
	// AllowInsecureRequests allows http, to loopback hosts only.
	AllowInsecureRequests bool
}

// ValidateJWTAuthResponse is ValidateAuthResponse for signed responses (JWT
// Secured Authorization Response Mode, section 2.4). The parameters are in the JWT
// of the parameter response; whatever else is in params is not looked at. The JWT
// must come from the server, be for the client and not have expired, and its
// signature is verified whatever the options say, with the server's keys, which
// are fetched if need be. The algorithm is Client.AuthorizationSignedResponseAlg,
// or one that the server lists, or else RS256.
func ValidateJWTAuthResponse(ctx context.Context, as *AuthorizationServer, client *Client, params url.Values,
	expectedState string, opts *RequestOptions) (CallbackParameters, error) {
	var zero CallbackParameters
	if err := assertBoth(as, client); err != nil {
		return zero, err
	}
	if params == nil {
		return zero, argumentError("the callback parameters are nil")
	}
	if opts == nil {
		opts = &RequestOptions{}
	}
	signed, err := responseJWT(params)
	if err != nil {
		return zero, scrub(err, expectedState)
	}
	keys := keySource{httpClient: client.httpClient(opts.HTTPClient), insecure: opts.AllowInsecureRequests}
	claims, err := verifyAuthResponse(ctx, as, client, signed, keys)
	if err != nil {
		unverified := stringClaims(parseAuthResponse(signed))
		return zero, scrub(err, expectedState, signed, unverified.Get("state"), unverified.Get("code"))
	}
	return ValidateAuthResponse(as, client, stringClaims(claims), expectedState)
}

// responseJWT returns the parameter response, which has to be there once.
func responseJWT(params url.Values) (string, error) {
	switch list := params["response"]; {
	case len(list) > 1:
		return "", &CheckError{Check: checkAuthDuplicate, Code: codeInvalidResponse, Reason: "the parameter response occurs more than once"}
	case len(list) == 1 && list[0] != "":
		return list[0], nil
	}
	reason := "the redirect is not signed, although a signed one was asked for"
	if code := params.Get("error"); code != "" {
		reason += "; what it says, unsigned, is the error " + excerpt(code)
	}
	return "", &CheckError{Check: checkAuthResponse, Code: codeInvalidResponse, Reason: reason}
}

// verifyAuthResponse applies JARM, section 2.4: first what costs nothing, then
// the signature, which may cost a request for the keys.
func verifyAuthResponse(ctx context.Context, as *AuthorizationServer, client *Client, signed string, keys keySource) (object, error) {
	t, err := parseJWT(kindAuthResponse, signed, func(t *jwt) error {
		return cmp.Or(checkAlg(t, client.AuthorizationSignedResponseAlg, client.algs(as.AuthorizationSigningAlgValuesSupported), "RS256"), checkCrit(t))
	})
	if err != nil {
		return nil, err
	}
	c := newClaimChecker(as, client, t)
	for _, check := range []func() error{
		func() error { return c.required("aud", "exp", "iss") }, // JARM, section 2.1
		c.exp, c.iat, c.nbf, c.iss, c.aud,
	} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	if err := keys.verify(ctx, as, client, t); err != nil {
		return nil, err
	}
	return t.claims, nil
}

// parseAuthResponse returns the claims of a response that nobody has verified, nil
// for one that cannot be read.
func parseAuthResponse(signed string) object {
	t, err := parseJWT(kindAuthResponse, signed, nil)
	if err != nil {
		return nil
	}
	return t.claims
}

// stringClaims are the parameters in a response: what is a string, but for those
// that speak of the JWT. iss belongs to both (RFC 9207, section 2.4).
func stringClaims(claims object) url.Values {
	params := url.Values{}
	for name := range claims {
		if value, ok := claims.str(name); ok && name != "aud" {
			params.Set(name, value)
		}
	}
	return params
}

// checkResponseMode refuses a mode that is of no use, or that the server says it
// does not know. A server that says nothing is asked.
func (c *Client) checkResponseMode(as *AuthorizationServer) error {
	switch c.ResponseMode {
	case "", modeQuery, modeFormPost, modeJWT, modeQueryJWT, modeFormPostJWT:
	default:
		return argumentError("the response mode %q is none of query, form_post, jwt, query.jwt and form_post.jwt; a fragment does not leave the browser", c.ResponseMode)
	}
	offered := as.ResponseModesSupported
	known := slices.Contains(offered, c.ResponseMode) || c.ResponseMode == modeJWT && slices.Contains(offered, modeQueryJWT)
	if c.ResponseMode == "" || offered == nil || known {
		return nil
	}
	return &CheckError{Check: checkMetadataModes, Code: codeUnsupported, Reason: "the server does not support the response mode",
		Expected: c.ResponseMode, Actual: strings.Join(offered, " ")}
}

// isSigned reports whether the response has to be signed (JARM, section 2.3).
func isSigned(responseMode string) bool {
	return responseMode == modeJWT || strings.HasSuffix(responseMode, ".jwt")
}
