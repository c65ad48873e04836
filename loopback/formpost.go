package loopback

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/oauth-login/oauth-login/grant"
)

// maxForm is how large a posted redirect may be, in bytes.
const maxForm = 64 << 10

// servePosted takes a redirect that a page of the provider posts: OAuth 2.0 Form
// Post Response Mode, section 2. Its address stays free of codes.
//
// Origin is not looked at. A browser sends "null" for a page on https that posts
// to http (Fetch, section 3.2), a provider may post from another host than that
// of its authorization endpoint, and who knows the state can post without an
// Origin. It is the state that keeps others out.
func (r *Receiver) servePosted(w http.ResponseWriter, req *http.Request) {
	params, n := postedParams(w, req)
	if n != "" {
		r.ignore(w, n)
		return
	}
	r.serveRedirect(w, req, redirection{params: params})
}

// postedParams returns the parameters in the body, or why they are none.
func postedParams(w http.ResponseWriter, req *http.Request) (url.Values, noise) {
	types := req.Header.Values("Content-Type")
	if len(types) != 1 {
		return nil, notForm
	}
	if mediaType, _, err := mime.ParseMediaType(types[0]); err != nil || mediaType != "application/x-www-form-urlencoded" {
		return nil, notForm
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxForm))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, largeForm
	}
	if err != nil {
		return nil, badForm
	}
	params, err := grant.ParseAuthResponse(string(body))
	if err != nil {
		return nil, badForm
	}
	// The redirect URI may have a query of its own, but not with a name of the
	// response: parameters must not occur more than once (RFC 6749, section 3.1).
	query, err := grant.ParseAuthResponse(req.URL.RawQuery)
	if err != nil {
		return nil, badQuery
	}
	for name := range query {
		if params.Has(name) {
			return nil, badForm
		}
	}
	return params, ""
}

// serveUnposted refuses a redirect in an address where it was to be posted. With
// our state it settles the login: no other answer will come, and who knows the
// state could end the login in other ways as well.
func (r *Receiver) serveUnposted(w http.ResponseWriter, req *http.Request) {
	params, err := grant.ParseAuthResponse(req.URL.RawQuery)
	if err != nil {
		r.ignore(w, badQuery)
		return
	}
	r.serveRedirect(w, req, redirection{params: params, refusal: unposted()})
}

// unposted is what a login fails with whose answer was to be posted.
func unposted() error {
	return &grant.CheckError{
		Check: "authorization_response.mode", Code: "OAUTH_INVALID_RESPONSE",
		Reason: "the redirect has its parameters in the address, although they were to be posted",
	}
}
