package grant

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
)

// ErrArgument is in the chain of every error that the caller can prevent: a
// missing client_id, a redirect URI with a fragment, callback parameters that
// no validator returned.
var ErrArgument = errors.New("invalid argument")

// ErrNotOurs says that a redirect does not carry the state of this flow, or
// that the flow has had its redirect already. Such a request is noise: answer
// it, ignore it and keep waiting.
var ErrNotOurs = errors.New("not the redirect of this login")

// An Error is the refusal of the server: an error redirect (RFC 6749, section
// 4.1.2.1), an error response (section 5.2), or a WWW-Authenticate challenge.
// Its texts come from the server; Error prints them without control characters.
type Error struct {
	// Code is the error code, such as "access_denied" or "invalid_grant". It is
	// empty when the server sent a challenge without one.
	Code string
	// Description is error_description, "" when there is none.
	Description string
	// URI is error_uri, "" when there is none. It is text from the server, not
	// a checked URL.
	URI string
	// Endpoint names what refused: "authorization", "pushed_authorization_request",
	// "device_authorization", "token", "revocation", "userinfo" or "registration".
	Endpoint string
	// Status is the HTTP status, 0 for an error redirect.
	Status int
	// Challenges are those of the WWW-Authenticate header, nil for none.
	Challenges []Challenge

	newNonce bool // a DPoP nonce came with it
}

// Error says in one line what refused, and why.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s endpoint refused", e.Endpoint)
	if e.Status != 0 {
		fmt.Fprintf(&b, " with status %d", e.Status)
	}
	switch {
	case e.Code != "":
		b.WriteString(": " + excerpt(e.Code))
	case len(e.Challenges) > 0:
		b.WriteString(": it demands the authentication scheme " + excerpt(e.Challenges[0].Scheme))
	}
	if e.Description != "" {
		b.WriteString(" (" + excerpt(e.Description) + ")")
	}
	return b.String()
}

// A CheckError says that this package refused what a server sent. The texts
// hold no code, state, nonce, verifier or token.
type CheckError struct {
	// Check names the rule that failed, such as "id_token.aud".
	Check string
	// Code is the class of the failure, such as
	// "OAUTH_JWT_CLAIM_COMPARISON_FAILED"; the list is short and stable.
	Code string
	// Reason is the failure in words.
	Reason string
	// Expected and Actual are the values compared. Both are "" where they are
	// secret, or where nothing was compared.
	Expected, Actual string
	// Status is the HTTP status of the response that was refused, 0 where the
	// status has no part in it.
	Status int
	// Err is the error underneath, nil for none.
	Err error
}

// Error says in one line which check failed, and why.
func (e *CheckError) Error() string {
	text := e.Check + ": " + e.Reason
	if e.Expected != "" || e.Actual != "" {
		text += fmt.Sprintf(" (expected %q, got %q)", excerpt(e.Expected), excerpt(e.Actual))
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return printable(text)
}

// Unwrap returns the error underneath, if any.
func (e *CheckError) Unwrap() error { return e.Err }

// The codes of a CheckError.
const (
	codeInvalidResponse       = "OAUTH_INVALID_RESPONSE"
	codeParse                 = "OAUTH_PARSE_ERROR"
	codeNotJSON               = "OAUTH_RESPONSE_IS_NOT_JSON"
	codeNotConform            = "OAUTH_RESPONSE_IS_NOT_CONFORM"
	codeHTTPForbidden         = "OAUTH_HTTP_REQUEST_FORBIDDEN"
	codeProtocolForbidden     = "OAUTH_REQUEST_PROTOCOL_FORBIDDEN"
	codeTimestamp             = "OAUTH_JWT_TIMESTAMP_CHECK_FAILED"
	codeClaimComparison       = "OAUTH_JWT_CLAIM_COMPARISON_FAILED"
	codeAttributeComparison   = "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED"
	codeKeySelection          = "OAUTH_KEY_SELECTION_FAILED"
	codeMissingServerMetadata = "OAUTH_MISSING_SERVER_METADATA"
	codeInvalidServerMetadata = "OAUTH_INVALID_SERVER_METADATA"
	codeUnsupported           = "OAUTH_UNSUPPORTED_OPERATION"
	codeJWTUserinfoExpected   = "OAUTH_JWT_USERINFO_EXPECTED"
	codeTimeout               = "OAUTH_TIMEOUT"
)

// LoginRequired reports whether err, from Client.Refresh, means that the
// refresh token is of no more use and only a new login helps. Providers differ
// in how they say so: RFC 6749 has invalid_grant, Dex answers invalid_request,
// Gitea unauthorized_client, Glewlwyd a 400 without a body. So every refusal
// counts, except those that speak of the client or of the moment, and without
// an error code only the statuses 400 and 401 do: other ones come from gateways.
// A network error or a 5xx status never counts.
func LoginRequired(err error) bool {
	if refusal, ok := errors.AsType[*Error](err); ok && refusal.Endpoint == endpointToken {
		if refusal.Code == "" {
			return badRequest(refusal.Status)
		}
		return final(refusal.Status) &&
			!slices.Contains([]string{"invalid_client", "temporarily_unavailable", "server_error", "slow_down",
				"invalid_dpop_proof", useDPoPNonce}, refusal.Code)
	}
	check, ok := errors.AsType[*CheckError](err)
	return ok && check.Check == checkTokenStatus && badRequest(check.Status)
}

// badRequest: the statuses of RFC 6749, section 5.2.
func badRequest(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusUnauthorized
}

func final(status int) bool {
	return (status == http.StatusOK || status >= 400 && status <= 499) &&
		status != http.StatusRequestTimeout && status != http.StatusTooManyRequests
}

func argumentError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrArgument, fmt.Sprintf(format, args...))
}

// excerpt makes a text from a server printable and not longer than a few lines.
func excerpt(s string) string {
	const limit = 300
	short := []rune(s[:min(len(s), 4*limit)])
	if len(short) > limit {
		return printable(string(short[:limit])) + "..."
	}
	return printable(string(short))
}

// printable replaces control and format characters, so that a text from a
// server cannot move the cursor of a terminal or reorder what it shows.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
