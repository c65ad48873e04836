package e2e

import (
	"slices"
	"testing"
	"time"
)

// TestWindows follows a login from the sign-in to the logout as on Windows: the tokens are in its Credential Manager.
func TestWindows(t *testing.T) {
	const short = 2 // seconds: shorter than any margin that the command may leave
	p := startProvider(t, providerConfig{AlwaysRefresh: true, Behavior: behavior{AccessTokenTTL: short}})
	w := startWine(t)
	c := &command{path: w.install(t, "oauth-login", "./cmd/oauth-login", "build"), env: w.env}
	expectLoginRequired(t, c)

	running := c.start(t, login(p, "--no-browser")...)
	get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
	r := running.wait(t)
	r.expect(t, exitDone)
	if !r.says("alice", "Windows Credential Manager") {
		t.Errorf("stderr does not say who signed in and where the tokens are:\n%s", r.stderr)
	}
	time.Sleep((short + 1) * time.Second)
	p.behave(t, behavior{AccessTokenTTL: 3600})
	first := c.run(t, "token")
	first.expect(t, exitDone)
	second := c.run(t, "token")
	second.expect(t, exitDone)
	if want := []string{"authorization_code", "refresh_token"}; !slices.Equal(p.grants(t), want) {
		t.Errorf("token requests are %q, want %q", p.grants(t), want)
	}
	if first.stdout == "" || first.stdout != second.stdout {
		t.Errorf("the refreshed token was not kept: %d and %d bytes", len(first.stdout), len(second.stdout))
	}
	c.run(t, "status").expect(t, exitDone)
	c.run(t, "logout").expect(t, exitDone)
	if left := p.usable(t, "RefreshToken"); len(left) != 0 {
		t.Errorf("refresh token is still good at the provider: %+v", left)
	}
	expectLoginRequired(t, c)
}

// TestWindowsVault lets the store test itself with the Credential Manager.
func TestWindowsVault(t *testing.T) {
	w := startWine(t)
	testVault(t, w.install(t, "store", "./store", "test", "-c"), w.env, `C:\records`)
}
