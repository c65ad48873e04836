package issuer

import "net/http"

// oauthError is an answer of RFC 6749, section 5.2 or 4.1.2.1. The description holds nothing that came with the request.
type oauthError struct {
	code        string
	description string
	challenge   bool // the client tried HTTP Basic: answer 401 and name the scheme
}

func invalidRequest(description string) *oauthError {
	return &oauthError{code: "invalid_request", description: description}
}

func invalidGrant(description string) *oauthError {
	return &oauthError{code: "invalid_grant", description: description}
}

func invalidScope(description string) *oauthError {
	return &oauthError{code: "invalid_scope", description: description}
}

func invalidClient(description string, basic bool) *oauthError {
	return &oauthError{code: "invalid_client", description: description, challenge: basic}
}

// status is 401 for failed HTTP authentication alone: 401 requires a challenge (RFC 9110, section 15.5.2), and there is none
// for credentials in the body.
func (e *oauthError) status() int {
	if e.challenge {
		return http.StatusUnauthorized
	}
	return http.StatusBadRequest
}

func (e *oauthError) body() map[string]any {
	return map[string]any{"error": e.code, "error_description": e.description}
}

// announce sets the header that goes with the error.
func (e *oauthError) announce(w http.ResponseWriter) {
	if e.challenge {
		w.Header().Set("WWW-Authenticate", `Basic realm="token endpoint"`) // RFC 6749, section 5.2
	}
}
