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

// TestHideWithin: secrets are hidden in paths, in texts that quote addresses, and where
// one is the beginning of another.
func TestHideWithin(t *testing.T) {
	const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
	const tenant = "9188040d-6c67-4c5b-b112-36a304b66dad"
	r := newRedactor()
	r.hide("access_token", aSecret)
	r.hide("refresh_token", aSecret+"-and-more")
	r.hide("code", aSecret+"-and-more-of-it")
	r.credentials("Basic YWRhOmxvdmUrbGFjZQ==")
	for _, test := range []struct{ what, got, want string }{
		{"a session in a path", r.address("https://a.example/in;jsessionid=0123456789ABCDEF/x"), "https://a.example/in;H/x"},
		{"a JWT in a path", r.address("https://a.example/magic/" + jwt), "https://a.example/magic/H"},
		{"a key in a path", r.address("https://a.example/reset/" + strings.Repeat("0f", 20)), "https://a.example/reset/H"},
		{"a tenant in a path", r.address("https://a.example/" + tenant + "/v2.0"), "https://a.example/" + tenant + "/v2.0"},
		{"a known secret in a path", r.address("https://a.example/" + aSecret + "-and-more/x"), "https://a.example/H/x"},
		{"a word in a query", r.address("https://a.example/?0123456789ABCDEF&client_id=cli"), "https://a.example/?H&client_id=cli"},
		{"a key before an equals sign", r.address("https://a.example/?c2VjcmV0LXNlc3Npb24ta2V5MTIzNA=="), "https://a.example/?H=H"},
		{"a key as the name of a member", compact(r.member("", map[string]any{"9f86d081884c7d659a2feaa0c55ad015": true})), `{"H":true}`},
		{"a name with a digit", r.name("x5t#S256"), "x5t#S256"},
		{"a JWT in a text", r.text("the token " + jwt + " has ended"), "the token H has ended"},
		{"an address in a text", r.text("see https://a.example/x?session=0123456789ABCDEF, or ask"), "see https://a.example/x?session=H or ask"},
		{"credentials in a text", r.text("http://ada:lovelace@a.example failed"), "http://H@a.example failed"},
		{"a password of an address", r.text("bad lovelace"), "bad H"},
		{"a password that is not encoded", r.text("bad love+lace"), "bad H"},
		{"scopes that are addresses", r.value("scope", "openid https://api.example/auth/x.read api://app/.default"), "openid https://api.example/auth/x.read api://app/.default"},
		{"one that begins with another", r.text("bad " + aSecret + "-and-more-of-it, " + aSecret + "-and-more, " + aSecret), "bad H, H, H"},
	} {
		if got := regexp.MustCompile(`(sha256|hidden):[0-9a-f]{8}`).ReplaceAllString(test.got, "H"); got != test.want {
			t.Errorf("%s: %s, want %s", test.what, test.got, test.want)
		}
	}
}

// TestHideBodies: what somebody could guess has no fingerprint that others can make.
func TestHideBodies(t *testing.T) {
	const page = "your one-time code is 123456"
	header := http.Header{"Content-Type": {"text/plain"}}
	one, other := &trace{hide: newRedactor()}, &trace{hide: newRedactor()}
	if got := one.body(header, []byte(page)); got == other.body(header, []byte(page)) || !strings.Contains(got, "hidden:") {
		t.Errorf("got %s", got)
	}
	header.Set("Content-Type", "application/token-introspection+jwt")
	if got := one.body(header, []byte(aSecret)); got != other.body(header, []byte(aSecret)) {
		t.Errorf("got %s", got)
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
