package store_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// seen is what an API got: the address and the Authorization header.
// Its answers name the request that they belong to, as they have to, or do not.
func api(seen *[]string, redirects map[string]string, names bool) func(*http.Request) *http.Response {
	return func(req *http.Request) *http.Response {
		*seen = append(*seen, strings.TrimSpace(req.URL.String()+" "+req.Header.Get("Authorization")))
		resp := response(req, http.StatusOK, nil)
		if !names {
			resp.Request = nil
		}
		if location := redirects[req.URL.String()]; location != "" {
			resp.StatusCode = http.StatusTemporaryRedirect
			resp.Header.Set("Location", location)
		}
		return resp
	}
}

func TestHTTPClientAuthorizes(t *testing.T) {
	const bearer = " Bearer access"
	tests := []struct {
		name      string
		url       string
		redirects map[string]string
		want      []string
	}{
		{"https", "https://api.example/me", nil, []string{"https://api.example/me" + bearer}},
		{"http on loopback", "http://127.0.0.1:8080/me", nil, []string{"http://127.0.0.1:8080/me" + bearer}},
		{"http on IPv6 loopback", "http://[::1]/me", nil, []string{"http://[::1]/me" + bearer}},
		{"http on localhost", "http://LOCALHOST/me", nil, []string{"http://LOCALHOST/me" + bearer}},
		{
			"redirect within the host", "https://api.example/me", map[string]string{"https://api.example/me": "https://API.example:443/you"},
			[]string{"https://api.example/me" + bearer, "https://API.example:443/you" + bearer},
		},
		{
			"redirect to another host", "https://api.example/me", map[string]string{"https://api.example/me": "https://evil.example/"},
			[]string{"https://api.example/me" + bearer, "https://evil.example/"},
		},
		{
			"redirect to a subdomain", "https://example/me", map[string]string{"https://example/me": "https://evil.example/"},
			[]string{"https://example/me" + bearer, "https://evil.example/"},
		},
		{
			"redirect to another port", "https://api.example/me", map[string]string{"https://api.example/me": "https://api.example:8443/"},
			[]string{"https://api.example/me" + bearer, "https://api.example:8443/"},
		},
		{
			"redirect to http", "https://api.example/me", map[string]string{"https://api.example/me": "http://api.example/me"},
			[]string{"https://api.example/me" + bearer, "http://api.example/me"},
		},
		{
			"redirect to another host and on", "https://api.example/me",
			map[string]string{"https://api.example/me": "https://evil.example/", "https://evil.example/": "https://evil.example/more"},
			[]string{"https://api.example/me" + bearer, "https://evil.example/", "https://evil.example/more"},
		},
		{
			"redirect there and back", "https://api.example/me",
			map[string]string{"https://api.example/me": "https://evil.example/", "https://evil.example/": "https://api.example/transfer"},
			[]string{"https://api.example/me" + bearer, "https://evil.example/", "https://api.example/transfer"},
		},
	}
	for _, test := range tests {
		for _, names := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, %v", test.name, names), func(t *testing.T) {
				s := after(t, time.Hour, "refresh")
				var seen []string
				s.api = api(&seen, test.redirects, names)
				resp, err := s.source().HTTPClient().Get(test.url)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if got, want := strings.Join(seen, "\n"), strings.Join(test.want, "\n"); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
				for r := resp; r != nil && r.Request != nil; r = r.Request.Response {
					if r.Request.Header.Get("Authorization") != "" {
						t.Error("the response holds the token")
					}
				}
			})
		}
	}
}

func TestHTTPClientKeepsAuthorization(t *testing.T) {
	s := after(t, time.Hour, "refresh")
	var seen []string
	s.api = api(&seen, nil, true)
	req, err := http.NewRequest(http.MethodGet, "http://api.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Basic mine")
	resp, err := s.source().HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if len(seen) != 1 || seen[0] != "http://api.example/ Basic mine" {
		t.Errorf("seen %q", seen)
	}
}

func TestHTTPClientRefuses(t *testing.T) {
	full := errors.New("full")
	tests := []struct {
		name  string
		url   string
		token *grant.Token
		shelf *shelf
		want  error
	}{
		{"http", "http://api.example/", &grant.Token{AccessToken: "access"}, &shelf{}, grant.ErrArgument},
		{"a name that looks like loopback", "http://127.0.0.1.example/", &grant.Token{AccessToken: "access"}, &shelf{}, grant.ErrArgument},
		{"not signed in", "https://api.example/", &grant.Token{AccessToken: "access", Expiry: time.Now()}, &shelf{}, store.ErrLoginRequired},
		{"another type of token", "https://api.example/", &grant.Token{AccessToken: "access", TokenType: "dpop"}, &shelf{}, nil},
		{"cannot be saved", "https://api.example/", &grant.Token{AccessToken: "old", RefreshToken: "refresh", Expiry: time.Now()}, &shelf{}, full},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &scene{&provider{good: "refresh"}, test.shelf}
			s.signIn(t, test.token)
			s.saveErr = full
			var seen []string
			s.api = api(&seen, nil, true)
			body := &closing{Reader: strings.NewReader("body")}
			resp, err := s.source().HTTPClient().Post(test.url, "text/plain", body)
			if err == nil {
				resp.Body.Close()
				t.Fatal("sent")
			}
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if len(seen) != 0 {
				t.Errorf("seen %q", seen)
			}
			if !body.closed {
				t.Error("the body was not closed")
			}
			if strings.Contains(err.Error(), "access") {
				t.Errorf("the error tells the token: %v", err)
			}
		})
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func TestTokenSource(t *testing.T) {
	s := after(t, time.Hour, "refresh")
	source := s.source().TokenSource(t.Context())
	token, err := source.Token()
	if err != nil {
		t.Fatal(err)
	}
	if token.AccessToken != "access" || !token.Valid() {
		t.Errorf("token %q", token.AccessToken)
	}
	if token.RefreshToken != "" {
		t.Error("the refresh token got out")
	}
	if got := s.stored(t).Token.RefreshToken; got != "refresh" {
		t.Errorf("stored %q", string(got))
	}
	s = &scene{&provider{}, &shelf{}}
	if _, err := s.source().TokenSource(t.Context()).Token(); !errors.Is(err, store.ErrLoginRequired) {
		t.Errorf("error %v", err)
	}
}
