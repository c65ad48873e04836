package grant

import "net/http"

// InvalidToken reports whether a response refuses the access token, as one that has
// been revoked, has expired or is of no use for another reason: it has the status 401,
// and a Bearer or DPoP challenge with the error invalid_token (RFC 6750, section 3.1;
// RFC 9449, section 7.1). A new token may help; store.Source.Renew gets one.
//
// It does not where another challenge blames something else: the proof, its nonce or
// the scopes. The body is left alone.
func InvalidToken(resp *http.Response) (invalid bool) {
	if resp == nil || resp.StatusCode != http.StatusUnauthorized {
		return false
	}
	for _, challenge := range ParseChallenges(resp.Header) {
		if challenge.Scheme != tokenTypeBearer && challenge.Scheme != tokenTypeDPoP {
			continue
		}
		switch challenge.Parameters["error"] {
		case "invalid_token":
			invalid = true
		case "": // a scheme that would do as well
		default:
			return false
		}
	}
	return invalid
}
