package grant_test

import (
	"net/url"
	"strings"
	"testing"
)

// Redirects are followed for this GET alone: to the same origin, three times.
func TestDiscoverRedirects(t *testing.T) {
	to := func(location string) endpoint { return always(301, "", "Location", location) }
	hops := func(n int) map[string]endpoint {
		answers := map[string]endpoint{oidcPlace: to("/1"), "/" + string(rune('0'+n)): document(issuer)}
		for i := 1; i < n; i++ {
			answers["/"+string(rune('0'+i))] = to("/" + string(rune('1'+i)))
		}
		return answers
	}
	one := func(location string) map[string]endpoint {
		return map[string]endpoint{oidcPlace: to(location), "/here": document(issuer), "/.well-known/here": document(issuer)}
	}
	tests := []struct {
		name     string
		answers  map[string]endpoint
		ok       bool
		requests int // including the second place, when the first one fails
	}{
		{"absolute", one(issuer + "/here"), true, 2},
		{"path", one("/here"), true, 2},
		{"relative", one("here"), true, 2},
		{"scheme left out", one("//op.example.com/here"), true, 2},
		{"default port", one("https://op.example.com:443/here"), true, 2},
		{"host in upper case", one("HTTPS://OP.EXAMPLE.COM/here"), true, 2},
		{"fragment", one("/here#x"), true, 2},
		{"two hops", hops(2), true, 3},
		{"three hops", hops(3), true, 4},
		{"four hops", hops(4), false, 5},
		{"loop", one(oidcPlace), false, 5},
		{"other host", one("https://evil.example/here"), false, 2},
		{"host above", one("https://example.com/here"), false, 2},
		{"other port", one("https://op.example.com:8443/here"), false, 2},
		{"https to http", one("http://op.example.com/here"), false, 2},
		{"credentials", one("https://user:password@op.example.com/here"), false, 2},
		{"javascript", one("javascript:alert(1)"), false, 2},
		{"file", one("file:///etc/passwd"), false, 2},
		{"malformed", one("https://[::1"), false, 2},
		{"empty", one(""), false, 2},
		{"300 is none", map[string]endpoint{oidcPlace: always(300, "", "Location", "/here"), "/here": document(issuer)}, false, 2},
		{"304 is none", map[string]endpoint{oidcPlace: always(304, "", "Location", "/here"), "/here": document(issuer)}, false, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := places(test.answers)
			_, err := discover(t.Context(), p, issuer, false)
			want := "ok"
			if !test.ok {
				want = "OAUTH_RESPONSE_IS_NOT_CONFORM" + noMetadata
			}
			wantOutcome(t, err, want)
			if len(p.seen) != test.requests {
				t.Errorf("%d requests, want %d", len(p.seen), test.requests)
			}
			for _, r := range p.seen {
				if u, err := url.Parse(r.url); err != nil || !strings.EqualFold(u.Hostname(), "op.example.com") || u.Scheme != "https" || u.User != nil {
					t.Errorf("requested %s", r.url)
				}
			}
		})
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		p := places(map[string]endpoint{oidcPlace: always(status, "", "Location", "/here"), "/here": document(issuer)})
		if _, err := discover(t.Context(), p, issuer, false); err != nil {
			t.Errorf("status %d: %v", status, err)
		}
	}
	p := places(map[string]endpoint{oidcPlace: to("https://sso.evil.example/?session=abc")})
	_, err := discover(t.Context(), p, issuer, false)
	if text := outcome(err) + err.Error(); !strings.Contains(text, "https://sso.evil.example") || strings.Contains(text, "abc") {
		t.Errorf("U06: %v", err)
	}
}

// A loopback issuer may not lead to another port of this machine either.
func TestDiscoverRedirectOnLoopback(t *testing.T) {
	p := places(map[string]endpoint{oidcPlace: always(302, "", "Location", "http://127.0.0.1:9999/here")})
	_, err := discover(t.Context(), p, "http://127.0.0.1:8080", true)
	wantOutcome(t, err, "OAUTH_RESPONSE_IS_NOT_CONFORM"+noMetadata)
}
