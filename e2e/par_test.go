package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
)

// requests returns the parameters' names of an authorization URL.
func parameters(t *testing.T, address string) (names []string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for name := range u.Query() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestPushedAuthorizationRequest signs in where the provider takes pushed requests only, and where the flag asks for one.
func TestPushedAuthorizationRequest(t *testing.T) {
	for _, tt := range []struct {
		name     string
		required bool
		args     []string
	}{
		{"required", true, nil},
		{"--par", false, []string{"--par"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startProvider(t, providerConfig{Configuration: object{"features": object{
				"pushedAuthorizationRequests": object{"enabled": true, "requirePushedAuthorizationRequests": tt.required},
			}}})
			c := newCommand(t, startKeyring(t))
			running := c.start(t, login(p, append(tt.args, "--no-browser")...)...)
			address := running.url(t)
			if got := parameters(t, address); !slices.Equal(got, []string{"client_id", "request_uri"}) {
				t.Errorf("authorization URL has the parameters %q", got)
			}
			if status := get(t, signInByHand(t, address, person{Login: "alice"})); status != http.StatusOK {
				t.Errorf("last page has status %d", status)
			}
			r := running.wait(t)
			r.expect(t, exitDone)
			if !r.says("open this page to sign in, before ") {
				t.Errorf("nobody says how long the request is good for:\n%s", r.stderr)
			}
			if n := p.count(t, "/request"); n != 1 {
				t.Errorf("%d requests were pushed, want 1", n)
			}
		})
	}
}
