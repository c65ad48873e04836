package store

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"github.com/oauth-login/oauth-login/grant"
)

// HTTPClient returns a client that adds a valid token to every request, as a
// bearer token in the Authorization header (RFC 6750, section 2.1), or with a
// proof of the key that it is bound to (RFC 9449, section 7.1). The token is got with
// the context of the request. Requests go through the transport of
// Client.HTTPClient if there is one.
//
// An API may refuse a proof and send a nonce for the next one; then the request is
// sent once more. One with a body and without GetBody is not, and its response says
// 401; the nonce is remembered.
//
// An API may refuse a token that has not expired, with invalid_token (RFC 6750, section
// 3.1). Then another one is got as Renew does it, and the request is sent once more. An
// API that refuses that one, too, has to wait for the next: for ten seconds at first,
// and for longer each time.
//
// An API may demand another login: with scopes that this one lacks (RFC 6750, section
// 3.1), or as proof that the person is there, or has a second factor (RFC 9470). If
// there is a Login, it is called once for such a response, with a context from which
// the client knows what to ask for, and the request is sent once more with the token
// that comes of it. Requests that are refused at the same time for the same reason
// share one login. A Timeout of the client counts while the person signs in.
//
// If there is no other token, if it is another person's (as far as ID tokens tell) or
// does not bring what was demanded, or if the body cannot be had again, the response is
// that of the first request, as it came.
//
// The token goes over https only, or over http to a loopback host; anything else
// is an error (RFC 6750, section 5.3). A request that has an Authorization header
// keeps it. A redirect that leads to another scheme, host or port, or comes back
// from one, is followed without the token.
func (s *Source) HTTPClient() *http.Client {
	return &http.Client{Transport: &transport{source: s}}
}

type transport struct{ source *Source }

// RoundTrip sends a copy of the request with the token.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Authorization") != "" || !stayed(req) {
		return t.base().RoundTrip(req)
	}
	token, err := t.token(req)
	if err != nil {
		if req.Body != nil {
			req.Body.Close() // RoundTrip has to, on errors too
		}
		return nil, err
	}
	signedIn := t.source.signedInAt(token)
	resp, err := t.authorized(req, req.Body, token)
	if err == nil {
		resp, token, err = t.renew(req, resp, token)
	}
	if now := t.source.signedInAt(token); !now.IsZero() {
		signedIn = now // for another token
	}
	if err == nil {
		resp, err = t.stepUp(req, resp, token, signedIn)
	}
	if resp != nil {
		resp.Request = req // without the token
	}
	return resp, err
}

// authorized sends a request with the token, and once more if the API wants a proof
// with its nonce.
func (t *transport) authorized(req *http.Request, body io.ReadCloser, token *grant.Token) (*http.Response, error) {
	resp, again, err := t.send(req, body, token)
	if !again {
		return resp, err
	}
	if body, ok := bodyAgain(req); ok {
		discard(resp.Body)
		resp, _, err = t.send(req, body, token)
	}
	return resp, err
}

// send sends a copy of a request with the token, and reports whether the API wants
// another one with its nonce.
func (t *transport) send(req *http.Request, body io.ReadCloser, token *grant.Token) (resp *http.Response, again bool, err error) {
	authorized := req.Clone(req.Context())
	authorized.Body = body
	if err := token.Authorize(authorized); err != nil {
		if body != nil {
			body.Close()
		}
		return nil, false, err
	}
	resp, err = t.base().RoundTrip(authorized)
	return resp, err == nil && token.Observe(authorized, resp), err
}

func (t *transport) base() http.RoundTripper {
	if c := t.source.Client; c != nil && c.HTTPClient != nil && c.HTTPClient.Transport != nil {
		return c.HTTPClient.Transport
	}
	return http.DefaultTransport
}

func (t *transport) token(req *http.Request) (*grant.Token, error) {
	if !confidential(req.URL) {
		return nil, fmt.Errorf("%w: a token is not sent over %s to %s", grant.ErrArgument, req.URL.Scheme, req.URL.Host)
	}
	return t.source.Token(req.Context())
}

// stayed reports whether every redirect that led to a request stayed where the
// caller sent the first one.
func stayed(req *http.Request) bool {
	for req.Response != nil {
		previous := req.Response.Request
		if previous == nil || origin(previous.URL) != origin(req.URL) {
			return false
		}
		req = previous
	}
	return true
}

// origin is scheme, host and port (RFC 6454, section 4).
func origin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if u.Port() == "" {
		host += map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	}
	return u.Scheme + "://" + host
}

func confidential(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	loopback := err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(u.Hostname(), "localhost")
	return u.Scheme == "http" && loopback
}

// TokenSource returns the Source as golang.org/x/oauth2 knows it; ctx is used
// for every token. Its tokens have no refresh token: whoever spent it elsewhere
// would end the login. One of the type "dpop" is of no use without a proof, which
// golang.org/x/oauth2 does not make; HTTPClient does.
func (s *Source) TokenSource(ctx context.Context) oauth2.TokenSource {
	return tokenSource(func() (*oauth2.Token, error) {
		token, err := s.Token(ctx)
		if err != nil {
			return nil, err
		}
		converted := token.OAuth2()
		converted.RefreshToken = ""
		return converted, nil
	})
}

type tokenSource func() (*oauth2.Token, error)

func (f tokenSource) Token() (*oauth2.Token, error) { return f() }
