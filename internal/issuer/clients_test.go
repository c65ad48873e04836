package issuer_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// basic is the header of RFC 6749, section 2.3.1.
func basic(id, secret string) []string {
	credentials := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))}
}

func TestClientAuthentication(t *testing.T) {
	const secret = "a b+c:d%é"
	iss := start(t, &issuer.Options{Clients: []issuer.Client{
		{ID: "public"},
		{ID: "basic: 1", Secret: secret},
		{ID: "post", Secret: secret, AuthMethod: issuer.AuthPost},
	}})
	unencoded := []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("post:50%"))}
	// A client that is let in is refused for its refresh token: invalid_grant.
	for _, test := range []struct {
		name       string
		id, secret string // in the form
		header     []string
		status     int
		code       string
	}{
		{"public", "public", "-", nil, 400, "invalid_grant"},
		{"public, empty secret", "public", "", nil, 400, "invalid_grant"},
		{"public with a secret", "public", "x", nil, 400, "invalid_client"},
		{"public with Basic", "-", "-", basic("public", ""), 401, "invalid_client"},
		{"Basic", "-", "-", basic("basic: 1", secret), 400, "invalid_grant"},
		{"Basic and client_id", "basic: 1", "-", basic("basic: 1", secret), 400, "invalid_grant"},
		{"Basic and other client_id", "public", "-", basic("basic: 1", secret), 400, "invalid_request"},
		{"Basic and post", "basic: 1", secret, basic("basic: 1", secret), 400, "invalid_request"},
		{"Basic, wrong secret", "-", "-", basic("basic: 1", "x"), 401, "invalid_client"},
		{"Basic, unknown client", "-", "-", basic("x", secret), 401, "invalid_client"},
		{"Basic, bad escape", "-", "-", unencoded, 401, "invalid_client"},
		{"other scheme", "public", "-", []string{"Authorization", "Bearer x"}, 401, "invalid_client"},
		{"post for a Basic client", "basic: 1", secret, nil, 400, "invalid_client"},
		{"nothing for a Basic client", "basic: 1", "-", nil, 400, "invalid_client"},
		{"post", "post", secret, nil, 400, "invalid_grant"},
		{"post, wrong secret", "post", secret + "x", nil, 400, "invalid_client"},
		{"post, no secret", "post", "-", nil, 400, "invalid_client"},
		{"Basic for a post client", "-", "-", basic("post", secret), 401, "invalid_client"},
		{"no client at all", "-", "-", nil, 400, "invalid_client"},
		{"secret without client", "-", secret, nil, 400, "invalid_client"},
	} {
		t.Run(test.name, func(t *testing.T) {
			form := refreshGrant("unknown", "client_id", test.id, "client_secret", test.secret)
			r := post(t, iss.URL()+"/token", form, test.header...)
			refused(t, r, test.status, test.code)
			challenged := r.header.Get("WWW-Authenticate") != ""
			if challenged != (test.status == http.StatusUnauthorized) {
				t.Errorf("status %d with WWW-Authenticate %q", r.status, r.header.Get("WWW-Authenticate"))
			}
			form = change(form, "token", "unknown")
			r = post(t, iss.URL()+"/revoke", form, test.header...)
			if want := test.code == "invalid_grant"; (r.status == http.StatusOK) != want {
				t.Errorf("revocation endpoint: %d", r.status)
			}
		})
	}
	form := refreshGrant("unknown", "client_id", "public", "client_assertion", "x")
	refused(t, post(t, iss.URL()+"/token", form), http.StatusBadRequest, "invalid_client")
}

func TestRedirectURIs(t *testing.T) {
	iss := start(t, &issuer.Options{Clients: []issuer.Client{{ID: "demo", RedirectURIs: []string{
		"http://127.0.0.1:8080/a?b=c", "http://[::1]", "http://localhost/", "https://app.example/cb", "com.example.app:/cb",
		"http://localhost.example/cb",
	}}}})
	for uri, ok := range map[string]bool{
		"http://127.0.0.1/a?b=c":        true,
		"http://127.0.0.1:8080/a?b=c":   true,
		"http://127.0.0.1:1/a?b=c":      true,
		"http://127.0.0.1:1/a?b=d":      false,
		"http://127.0.0.1:1/a":          false,
		"http://[::1]:9":                true,
		"http://[::1]:9/":               false,
		"http://localhost:9/":           true,
		"http://localhost.:9/":          false,
		"http://127.0.0.1:9/":           false,
		"https://app.example/cb":        true,
		"https://app.example:443/cb":    false,
		"https://app.example:8443/cb":   false,
		"com.example.app:/cb":           true,
		"com.example.app://x/cb":        false,
		"http://localhost.example/cb":   true,
		"http://localhost.example:9/cb": false,
		"http://localhost:9.example/cb": false,
		"http://localhost:9@evil.test/": false,
		"http://localhost:9\\@evil/":    false,
	} {
		r := get(t, iss.URL()+"/oauth2/authorize?"+request(uri).Encode())
		if got := r.status == http.StatusSeeOther; got != ok {
			t.Errorf("%s: accepted %t, want %t", uri, got, ok)
		}
	}
}

// The query of a redirect URI is retained (RFC 6749, section 3.1.2).
func TestRedirectURIWithQuery(t *testing.T) {
	iss := start(t, &issuer.Options{Clients: []issuer.Client{{ID: "demo", RedirectURIs: []string{
		"http://127.0.0.1/a?b=c%20d", "http://127.0.0.1/a?", "http://127.0.0.1/a",
	}}}})
	const answer = "error=login_required&error_description="
	for uri, want := range map[string]string{
		"http://127.0.0.1:9/a?b=c%20d": "http://127.0.0.1:9/a?b=c%20d&" + answer,
		"http://127.0.0.1:9/a?":        "http://127.0.0.1:9/a?" + answer,
		"http://127.0.0.1:9/a":         "http://127.0.0.1:9/a?" + answer,
	} {
		r := get(t, iss.URL()+"/oauth2/authorize?"+request(uri, "prompt", "none").Encode())
		if got := r.header.Get("Location"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", uri, got)
		}
	}
}
