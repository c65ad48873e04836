package grant

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const (
	endpointAuthorization = "authorization"
	endpointPAR           = "pushed_authorization_request"
	endpointToken         = "token"
	endpointRevocation    = "revocation"
	endpointUserinfo      = "userinfo"

	endpointRegistration        = "registration"
	endpointDeviceAuthorization = "device_authorization"
)

// checkStatus sorts out a response of an OAuth endpoint that does not have the
// status of success: a challenge, an error response (RFC 6749, section 5.2), or
// something that is neither.
func checkStatus(resp *http.Response, want int, endpoint, check string) error {
	if resp.StatusCode == want {
		return nil // a WWW-Authenticate on a good answer means nothing: gateways add it
	}
	challenges := ParseChallenges(resp.Header)
	status4xx := resp.StatusCode >= 400 && resp.StatusCode <= 499
	body, err := readBody(resp)
	if err != nil {
		return err
	}
	refusal := &Error{Endpoint: endpoint, Status: resp.StatusCode, Challenges: challenges, newNonce: isNonce(resp.Header.Get("DPoP-Nonce"))}
	if status4xx && hasMediaType(resp, "application/json") {
		refusal.fromBody(body)
	}
	switch {
	case len(challenges) > 0:
		refusal.fromChallenge(challenges)
		resp.Body = &buffered{reader: bytes.NewReader(body)} // the challenge says all; the body is for who wants it
	case status4xx && !hasMediaType(resp, "application/json"):
		return &CheckError{Check: check, Code: codeNotJSON, Status: resp.StatusCode,
			Reason: fmt.Sprintf("the %s endpoint answered with status %d and not with JSON but %s", endpoint, resp.StatusCode, contentType(resp))}
	case refusal.Code == "":
		return &CheckError{Check: check, Code: codeNotConform, Status: resp.StatusCode,
			Reason: fmt.Sprintf("the %s endpoint answered with status %d%s", endpoint, resp.StatusCode, redirectTarget(resp))}
	}
	return refusal
}

// fromBody takes over an error response. An error that is not a string, or is
// empty, is none.
func (e *Error) fromBody(body []byte) {
	if o, err := parseObject(body); err == nil {
		e.fromObject(o)
	}
}

func (e *Error) fromObject(o object) bool {
	if e.Code, _ = o.str("error"); e.Code == "" {
		return false
	}
	e.Description, _ = o.str("error_description")
	e.URI, _ = o.str("error_uri")
	return true
}

// fromChallenge fills what the body did not say (RFC 6750, section 3).
func (e *Error) fromChallenge(challenges []Challenge) {
	if e.Code != "" {
		return
	}
	for _, c := range challenges {
		if code := c.Parameters["error"]; code != "" {
			e.Code, e.Description, e.URI = code, c.Parameters["error_description"], c.Parameters["error_uri"]
			return
		}
	}
}

// redirectTarget names the host behind a redirect, which is not followed.
func redirectTarget(resp *http.Response) string {
	location, err := resp.Location()
	if resp.StatusCode < 300 || resp.StatusCode > 399 || err != nil {
		return ""
	}
	return ", a redirect to " + excerpt(location.Scheme+"://"+location.Host) + ", which is not followed"
}

// body reads the members of a token response, which are JSON (RFC 6749, section
// 5.1). GitHub and others send a form, and say so.
func (p *tokenProcessor) body(resp *http.Response) (object, error) {
	if !p.lenient || !hasMediaType(resp, "application/x-www-form-urlencoded") {
		return readObject(resp, checkTokenBody)
	}
	body, err := readBody(resp)
	if err != nil {
		return nil, err
	}
	if o, err := parseObject(body); err == nil { // what differs is the content type alone
		return o, nil
	}
	return formObject(body)
}

// formObject reads a form (RFC 6749, appendix B). All of its members are strings,
// and none may occur twice (section 5.1).
func formObject(body []byte) (object, error) {
	refusal := &CheckError{Check: checkTokenBody, Code: codeParse, Reason: "the answer is a malformed form"} // without the cause, which quotes it
	form, err := ParseAuthResponse(string(body))
	if err != nil {
		return nil, refusal
	}
	o := make(object, len(form))
	for name, values := range form {
		value, err := json.Marshal(values[0])
		if err != nil || len(values) > 1 {
			return nil, refusal
		}
		o[name] = value
	}
	return o, nil
}

// splitScopes takes a comma between scopes for a blank (RFC 6749, section 3.3), as
// GitHub and LinkedIn send it, unless the client itself asks for scopes with a comma.
func (c *Client) splitScopes(granted []string) []string {
	isComma := func(r rune) bool { return r == ',' }
	if slices.ContainsFunc(c.scopes(), func(scope string) bool { return strings.ContainsFunc(scope, isComma) }) {
		return granted
	}
	scopes := []string{} // none is not the same as nothing said
	for _, text := range granted {
		scopes = append(scopes, strings.FieldsFunc(text, isComma)...)
	}
	return scopes
}
