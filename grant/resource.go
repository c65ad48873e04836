package grant

import (
	"cmp"
	"net/http"
)

// Authorize puts the token into a request for a resource: as a bearer token (RFC
// 6750, section 2.1), or with a proof of its key where the type is "dpop" (RFC 9449,
// section 7.1). Call it when method and URL are final, and for every request anew,
// as a proof is good for one. A proof that the request has already is left in place
// only for a token whose key is not here.
//
// The token goes over https only, or over http to a loopback host; anything else
// is a *CheckError. A request that has an Authorization header is refused, as is a
// token of a type that is not known; the error is ErrArgument then.
func (t *Token) Authorize(req *http.Request) error {
	if t == nil || t.AccessToken == "" || req == nil || req.URL == nil {
		return argumentError("there is no access token or no request")
	}
	if req.Header.Get("Authorization") != "" {
		return argumentError("the request has an Authorization header already")
	}
	if err := checkScheme(req.URL, true); err != nil { // RFC 6750, section 5.3
		return err
	}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	switch {
	case t.tokenType() == tokenTypeBearer:
		req.Header.Set("Authorization", "Bearer "+string(t.AccessToken))
		return nil
	case t.tokenType() != tokenTypeDPoP:
		return argumentError("the token type %q is not known", t.TokenType)
	case t.DPoP != nil:
		return t.DPoP.authorize(req, t.AccessToken, t.DPoP.now())
	case req.Header.Get("DPoP") == "":
		return argumentError("the token is bound to a key, which is not here")
	}
	req.Header.Set("Authorization", "DPoP "+string(t.AccessToken))
	return nil
}

// Observe takes the DPoP nonce of the response to a request that Authorize has
// prepared, and reports whether the server refused it for want of that nonce and
// of nothing else (RFC 9449, section 9). Then authorize the request anew and send
// it again: once. For a bearer token it does nothing, nor for a response of another
// origin, which an HTTP client that follows redirects may bring.
func (t *Token) Observe(req *http.Request, resp *http.Response) (again bool) {
	if t == nil || t.tokenType() != tokenTypeDPoP || t.DPoP == nil || req == nil || req.URL == nil || resp == nil {
		return false
	}
	if resp.Request != nil && resp.Request.URL != nil && origin(resp.Request.URL) != origin(req.URL) {
		return false // the nonce is one of that server: RFC 9449, section 9
	}
	t.DPoP.learn(req.URL, resp.Header)
	return resp.StatusCode == http.StatusUnauthorized && isNonce(resp.Header.Get("DPoP-Nonce")) && isNonceChallenge(ParseChallenges(resp.Header))
}

// tokenType is TokenType for tokens that no server gave us.
func (t *Token) tokenType() string { return cmp.Or(lowerASCII(t.TokenType), tokenTypeBearer) }

// authorize presents an access token with a proof (RFC 9449, section 7.1).
func (d *DPoP) authorize(req *http.Request, accessToken Secret, now float64) error {
	proof, err := d.proof(req.Method, req.URL, accessToken, now)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "DPoP "+string(accessToken))
	req.Header.Set("DPoP", proof)
	return nil
}
