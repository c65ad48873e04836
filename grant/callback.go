package grant

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// CallbackParameters are the parameters of an authorization response (RFC 6749,
// section 4.1.2) that ValidateAuthResponse or ValidateJWTAuthResponse accepted.
// Nothing else makes one: the zero value is refused, and so is a use for another
// server or client than the one that it was validated for.
type CallbackParameters struct {
	validated func() callback // in a function, so that no way of printing shows the code
}

// A callback is what was validated, and for whom.
type callback struct {
	issuer, clientID string
	values           url.Values
}

// Format prints a placeholder for every verb, as the parameters hold a code.
func (CallbackParameters) Format(f fmt.State, _ rune) {
	io.WriteString(f, "callback parameters "+redacted)
}

// LogValue returns a placeholder.
func (CallbackParameters) LogValue() slog.Value {
	return slog.StringValue("callback parameters " + redacted)
}

// MarshalText returns a placeholder.
func (CallbackParameters) MarshalText() ([]byte, error) {
	return []byte("callback parameters " + redacted), nil
}

// ParseAuthResponse parses the query of a redirect (RFC 6749, appendix B). It
// refuses what url.Values would drop in silence: pairs with a broken
// percent-encoding, semicolons, text that is not UTF-8. Feed its result to
// Flow.Exchange or ValidateAuthResponse.
func ParseAuthResponse(rawQuery string) (url.Values, error) {
	refusal := &CheckError{Check: checkAuthSyntax, Code: codeInvalidResponse, Reason: "the query of the redirect is malformed"}
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, refusal // without the cause, which quotes the query
	}
	for name, list := range values {
		if !utf8.ValidString(name) || !utf8.ValidString(strings.Join(list, "")) {
			return nil, refusal
		}
	}
	return values, nil
}

// ValidateAuthResponse checks the parameters of a redirect: RFC 6749, sections
// 4.1.2 and 4.1.2.1, and RFC 9207. An empty expectedState means that no state
// may be present; there is no way to skip the comparison. The checks run in a
// fixed order, so that an error parameter counts only in a response that has
// the right iss and state; then the result is an *Error whose Endpoint is
// "authorization". A refusal of ours is a *CheckError.
func ValidateAuthResponse(as *AuthorizationServer, client *Client, params url.Values, expectedState string) (CallbackParameters, error) {
	var zero CallbackParameters
	if err := assertBoth(as, client); err != nil {
		return zero, err
	}
	if params == nil {
		return zero, argumentError("the callback parameters are nil")
	}
	for _, check := range []func() error{
		func() error { return checkSingle(params) },
		func() error { return checkNotJARM(params) },
		func() error { return checkIss(as, client, params) },
		func() error { return checkState(params, expectedState) },
		func() error { return authorizationError(params) },
		func() error { return checkNotImplicit(params) },
	} {
		if err := check(); err != nil {
			return zero, scrub(err, expectedState, params.Get("state"), params.Get("code"))
		}
	}
	validated := callback{issuer: as.Issuer, clientID: client.ClientID, values: make(url.Values, len(params))}
	for name, list := range params {
		validated.values[name] = slices.Clone(list)
	}
	return CallbackParameters{func() callback { return validated }}, nil
}

// checkSingle: "Request and response parameters MUST NOT be included more than
// once" (RFC 6749, section 3.1).
func checkSingle(params url.Values) error {
	for _, name := range []string{"response", "iss", "state", "error", "id_token", "token", "code", "error_description", "error_uri"} {
		if len(params[name]) > 1 {
			return &CheckError{Check: checkAuthDuplicate, Code: codeInvalidResponse,
				Reason: "the parameter " + name + " occurs more than once"}
		}
	}
	return nil
}

func checkNotJARM(params url.Values) error {
	if params.Get("response") == "" {
		return nil
	}
	return &CheckError{Check: checkAuthResponse, Code: codeInvalidResponse,
		Reason: "the redirect has a response parameter, which was not asked for"}
}

// checkIss protects against mix-up: RFC 9207, section 2.4.
func checkIss(as *AuthorizationServer, client *Client, params url.Values) error {
	switch iss := params.Get("iss"); {
	case iss == as.Issuer:
		return nil
	case iss != "":
		return &CheckError{Check: checkAuthIss, Code: codeInvalidResponse,
			Reason: "the redirect comes from another issuer", Expected: as.Issuer, Actual: iss}
	case as.AuthorizationResponseIssParameterSupported || client.FAPI2:
		return missingISS(as)
	}
	return nil
}

func missingISS(as *AuthorizationServer) error {
	return &CheckError{Check: checkAuthIss, Code: codeInvalidResponse,
		Reason: "the redirect has no iss, although the issuer says that it always sends one", Expected: as.Issuer}
}

// checkState protects against cross-site request forgery: RFC 6749, section
// 10.12.
func checkState(params url.Values, expected string) error {
	reason := ""
	switch got, present := params["state"]; {
	case expected == "" && present:
		reason = "the redirect has a state, and none was sent"
	case expected == "":
		return nil
	case !present:
		reason = "the redirect has no state"
	case !equal(got[0], expected):
		reason = "the redirect has another state than the one sent"
	default:
		return nil
	}
	return &CheckError{Check: checkAuthState, Code: codeInvalidResponse, Reason: reason}
}

// equal compares secrets in constant time.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func authorizationError(params url.Values) error {
	code := params.Get("error")
	if code == "" {
		return nil
	}
	return &Error{Endpoint: endpointAuthorization, Code: code,
		Description: params.Get("error_description"), URI: params.Get("error_uri")}
}

// checkNotImplicit refuses the responses of the implicit and hybrid flows.
func checkNotImplicit(params url.Values) error {
	for _, name := range []string{"id_token", "token"} {
		if params.Has(name) {
			return &CheckError{Check: checkAuthImplicit, Code: codeUnsupported,
				Reason: "the redirect has " + name + ", which belongs to a flow that was not asked for"}
		}
	}
	return nil
}

// code returns the authorization code: RFC 6749, section 4.1.2.
func (p CallbackParameters) code() (string, error) {
	code := p.validated().values.Get("code")
	if code == "" {
		return "", &CheckError{Check: checkAuthCode, Code: codeInvalidResponse, Reason: "the redirect has no code"}
	}
	return code, nil
}

func (p CallbackParameters) assert(as *AuthorizationServer, client *Client) error {
	if p.validated == nil {
		return argumentError("the callback parameters do not come from ValidateAuthResponse or ValidateJWTAuthResponse")
	}
	if c := p.validated(); c.issuer != as.Issuer || c.clientID != client.ClientID {
		return argumentError("the callback parameters were validated for another server or client")
	}
	return nil
}
