package issuer_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

const callback = "http://127.0.0.1:50000/callback"

// A wrong client or redirect URI must end on a page of the issuer, whatever else is wrong.
func TestAuthorizeNeverRedirectsToStrangers(t *testing.T) {
	iss := start(t, nil)
	for name, params := range map[string]url.Values{
		"no client":            request(callback, "client_id", "-"),
		"unknown client":       request(callback, "client_id", "other"),
		"no redirect URI":      request(callback, "redirect_uri", "-"),
		"other path":           request("http://127.0.0.1:50000/other"),
		"longer path":          request(callback + "/more"),
		"query":                request(callback + "?a=b"),
		"other host":           request("http://127.0.0.2:50000/callback"),
		"host that goes on":    request("http://127.0.0.1.example/callback"),
		"user info":            request("http://127.0.0.1:50000@evil.example/callback"),
		"https":                request("https://127.0.0.1:50000/callback"),
		"fragment":             request(callback + "#"),
		"upper case":           request("HTTP://127.0.0.1:50000/callback"),
		"dots":                 request("http://127.0.0.1:50000/x/../callback"),
		"port of six digits":   request("http://127.0.0.1:500000/callback"),
		"empty port":           request("http://127.0.0.1:/callback"),
		"two clients":          {"client_id": {"demo", "demo"}, "redirect_uri": {callback}},
		"two redirect URIs":    {"client_id": {"demo"}, "redirect_uri": {callback, callback}},
		"and all else missing": {"client_id": {"demo"}, "redirect_uri": {"https://evil.example/"}},
	} {
		r := get(t, iss.URL()+"/oauth2/authorize?"+params.Encode())
		if r.status != http.StatusBadRequest || r.header.Get("Location") != "" {
			t.Errorf("%s: %d, to %q", name, r.status, r.header.Get("Location"))
		}
	}
}

func TestAuthorizeErrors(t *testing.T) {
	iss := start(t, nil)
	for _, test := range []struct {
		name, code string
		changes    []string
	}{
		{"no response type", "invalid_request", []string{"response_type", "-"}},
		{"implicit", "unsupported_response_type", []string{"response_type", "token"}},
		{"hybrid", "unsupported_response_type", []string{"response_type", "code id_token"}},
		{"form_post", "invalid_request", []string{"response_mode", "form_post"}},
		{"request object", "request_not_supported", []string{"request", "e30.e30."}},
		{"request URI", "request_uri_not_supported", []string{"request_uri", "https://a.example/"}},
		{"registration", "registration_not_supported", []string{"registration", "{}"}},
		{"no challenge", "invalid_request", []string{"code_challenge", "-"}},
		{"short challenge", "invalid_request", []string{"code_challenge", challenge[1:]}},
		{"challenge with other characters", "invalid_request", []string{"code_challenge", challenge[1:] + "+"}},
		{"no method", "invalid_request", []string{"code_challenge_method", "-"}},
		{"plain", "invalid_request", []string{"code_challenge_method", "plain"}},
		{"unknown scope", "invalid_scope", []string{"scope", "other"}},
		{"malformed scope", "invalid_scope", []string{"scope", "openid  email"}},
		{"quotes in scope", "invalid_scope", []string{"scope", `openid "email"`}},
		{"unknown prompt", "invalid_request", []string{"prompt", "create"}},
		{"none and login", "invalid_request", []string{"prompt", "none login"}},
		{"negative max_age", "invalid_request", []string{"max_age", "-1"}},
		{"max_age in words", "invalid_request", []string{"max_age", "soon"}},
		{"nobody signed in", "login_required", []string{"prompt", "none"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := get(t, iss.URL()+"/oauth2/authorize?"+request(callback, test.changes...).Encode())
			got := location(t, r, callback)
			if got.Get("error") != test.code || got.Get("state") != "the state" || got.Get("iss") != iss.URL() || got.Has("code") {
				t.Errorf("got %v, want %s", got, test.code)
			}
		})
	}
}

func TestAuthorizeRepeatedParameter(t *testing.T) {
	iss := start(t, nil)
	query := request(callback).Encode()
	got := location(t, get(t, iss.URL()+"/oauth2/authorize?"+query+"&state=second"), callback)
	if got.Get("error") != "invalid_request" || got.Has("state") {
		t.Errorf("two states: %v", got)
	}
	got = location(t, get(t, iss.URL()+"/oauth2/authorize?"+query+"&nonce=second"), callback)
	if got.Get("error") != "invalid_request" || got.Get("state") != "the state" {
		t.Errorf("two nonces: %v", got)
	}
	r := get(t, iss.URL()+"/oauth2/authorize?"+query+"&resource=https://a.example&resource=https://b.example")
	if got := location(t, r, "/oauth2/sign-in"); got.Has("error") {
		t.Errorf("two resources: %v", got)
	}
}

// location returns the query of a redirect to target.
func location(t *testing.T, r *reply, target string) url.Values {
	t.Helper()
	to, query, _ := strings.Cut(r.header.Get("Location"), "?")
	if r.status != http.StatusSeeOther || to != target {
		t.Fatalf("%d to %q, want %q", r.status, to, target)
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return params
}

func TestAuthorizeWithPost(t *testing.T) {
	iss := start(t, nil)
	location(t, post(t, iss.URL()+"/oauth2/authorize", request(callback)), "/oauth2/sign-in")
	// RFC 6749, section 3.1, allows a query, but it is not where a form's parameters are.
	if r := post(t, iss.URL()+"/oauth2/authorize?"+request(callback).Encode(), nil); r.status != http.StatusBadRequest {
		t.Errorf("parameters in the query of a POST: %d", r.status)
	}
}

// The second sign-in of a browser shows the consent page alone, unless the request asks for more.
func TestSingleSignOn(t *testing.T) {
	clock := newClock()
	iss := start(t, &issuer.Options{Now: clock.now})
	uri := receiver(t)
	visitor := new(issuer.Visitor)
	for _, test := range []struct {
		name    string
		wait    time.Duration
		changes []string
		signIns int // after it
	}{
		{"first", 0, nil, 1},
		{"second", time.Minute, nil, 1},
		{"prompt=consent", 0, []string{"prompt", "consent"}, 1},
		{"prompt=login", 0, []string{"prompt", "login"}, 2},
		{"prompt=select_account", 0, []string{"prompt", "select_account"}, 3},
		{"young enough", 30 * time.Second, []string{"max_age", "60"}, 3},
		{"too old", 31 * time.Second, []string{"max_age", "60"}, 4},
		{"max_age=0", 0, []string{"max_age", "0"}, 5},
		{"session expired", 9 * time.Hour, nil, 6},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock.advance(test.wait)
			got := answer(t, iss, visitor, request(uri, test.changes...))
			if !got.Has("code") {
				t.Fatalf("authorization response: %v", got)
			}
			// Each sign-in is a page that is shown and a form that is sent.
			if n := iss.Requests("signin"); n != 2*test.signIns {
				t.Errorf("%d requests to the sign-in page, want %d", n, 2*test.signIns)
			}
		})
	}
	got := answer(t, iss, visitor, request(uri, "prompt", "none"))
	if got.Get("error") != "consent_required" {
		t.Errorf("prompt=none: %v", got)
	}
	clock.advance(time.Minute)
	if got := answer(t, iss, visitor, request(uri, "prompt", "none", "max_age", "1")); got.Get("error") != "login_required" {
		t.Errorf("prompt=none, too old: %v", got)
	}
}
