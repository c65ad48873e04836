package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

const aSecret = "tMYRvYAwHKsS8dRyqHSd0Xgl"

// TestHide: what is known to be harmless is shown, and nothing else.
func TestHide(t *testing.T) {
	r := newRedactor()
	const sha, hidden = "sha256:<8>", "hidden:<8>"
	for _, test := range []struct{ what, got, want string }{
		{"a shown value", r.value("scope", "openid email"), "openid email"},
		{"a secret", r.value("code", aSecret), sha},
		{"a short one", r.value("state", "af0ifjsldkj"), hidden},
		{"what people type in", r.value("user_code", "BCDF-GHJK"), hidden},
		{"an unknown value", r.value("launch", "yes"), hidden},
		{"an empty value", r.value("code", ""), ""},
		{"a secret in a text", r.text("the code " + aSecret + " is unknown"), "the code " + sha + " is unknown"},
		{"control characters", r.value("error_description", "a\x1b[31m\nb"), "a [31m b"},
		{"a page", r.address("https://issuer.example/a/b?client_id=cli&code=" + aSecret + "&x=1"), "https://issuer.example/a/b?client_id=cli&code=" + sha + "&x=" + hidden},
		{"a name and a password", r.address("https://ada:lovelace@issuer.example/"), "https://" + hidden + "@issuer.example/"},
		{"a fragment", r.address("https://issuer.example/#access_token=" + aSecret), "https://issuer.example/#access_token=" + sha},
		{"a fragment without names", r.address("https://issuer.example/#" + aSecret), "https://issuer.example/#" + hidden},
		{"a query without names", r.address("https://issuer.example/?xyz"), "https://issuer.example/?" + hidden},
		{"a damaged query", r.address("https://issuer.example/?code=%zz"), "https://issuer.example/?" + hidden},
		{"a redirect URI in a query", r.address("https://issuer.example/?redirect_uri=http%3A%2F%2F127.0.0.1%3Fcode%3D" + aSecret), "https://issuer.example/?redirect_uri=http://127.0.0.1?code=" + sha},
		{"no page", r.address("data:text/html,x"), hidden},
		{"no URL", r.address("https://%zz"), hidden},
		{"a relative address", r.address("/done?code=" + aSecret), "/done?code=" + sha},
		{"a long name", r.name(strings.Repeat("x", 49)), hidden},
		{"a name with a line break", r.name("a\nb"), hidden},
		{"credentials", r.credentials("Bearer " + aSecret), "Bearer " + sha},
		{"credentials without a scheme", r.credentials(aSecret), sha},
		{"a password", r.credentials("Basic YWRhOmxvdmUlMjBsYWNl"), "Basic " + hidden},
		{"that password elsewhere", r.text("bad secret: love lace"), "bad secret: " + hidden},
	} {
		if got := regexp.MustCompile(`(sha256|hidden):[0-9a-f]{8}`).ReplaceAllString(test.got, "$1:<8>"); got != test.want {
			t.Errorf("%s: %s, want %s", test.what, test.got, test.want)
		}
	}
	if r.hide("code", aSecret) != newRedactor().hide("access_token", aSecret) {
		t.Error("a long secret has another fingerprint elsewhere")
	}
	if r.hide("", "ada") == newRedactor().hide("", "ada") || r.hide("", "ada") != r.hide("x", "ada") || r.hide("", "ada") == r.hide("", "eve") {
		t.Error("others could guess what is hidden, or equal ones differ")
	}
}

// TestHideHeaders: cookies and whatever a server makes up are hidden, and so is what
// a challenge has beside what the specifications know.
func TestHideHeaders(t *testing.T) {
	tr := &trace{hide: newRedactor()}
	got := tr.header(http.Header{
		"Set-Cookie": {"session=" + aSecret}, "X-Token": {aSecret}, "Date": {"now"}, "Location": {"https://a.example/?code=" + aSecret},
		"Www-Authenticate": {`DPoP error="invalid_token", algs="ES256", nonce="` + aSecret + `"`, `Negotiate ` + aSecret + `==`, `"broken ` + aSecret},
	})
	got = regexp.MustCompile(`[0-9a-f]{8}\b`).ReplaceAllString(got, "8")
	const want = `Date: now
Location: https://a.example/?code=sha256:8
Set-Cookie: hidden:8
Www-Authenticate: dpop algs="ES256" error="invalid_token" nonce="sha256:8"
Www-Authenticate: negotiate sha256:8
Www-Authenticate: hidden:8
X-Token: hidden:8
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

// FuzzHide: a secret is not shown, whatever stands before and after it and wherever it
// is, and nothing of a body can begin a line of a trace.
func FuzzHide(f *testing.F) {
	f.Add("access_token", "", "")
	f.Add("error_description", "code=", "&x")
	f.Add("redirect_uri", "https://a.example/?code=", "#x")
	f.Add("a\x00b", "{\"", "\n")
	f.Fuzz(func(t *testing.T, name, before, after string) {
		value := before + aSecret + after
		body, err := json.Marshal(map[string]any{"access_token": aSecret, name: []any{value, map[string]any{name: value}}})
		if err != nil {
			t.Skip()
		}
		form := url.Values{name: {value}, "code": {aSecret}}.Encode()
		var out strings.Builder
		tr := &trace{out: &out, hide: newRedactor()}
		tr.write("1 < ", "%s", tr.body(http.Header{}, body)+tr.body(http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form))+
			tr.hide.address("https://a.example/?"+form)+"\n"+tr.header(http.Header{"Set-Cookie": {value}, "Authorization": {value}}))
		if strings.Contains(out.String(), aSecret) {
			t.Errorf("%q shows it:\n%s", name, out.String())
		}
		for line := range strings.Lines(out.String()) {
			if !strings.HasPrefix(line, "1 <") {
				t.Errorf("a line begins with %q", line)
			}
		}
	})
}
