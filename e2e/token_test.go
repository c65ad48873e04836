package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTokens follows the tokens of one login from the keychain through two refreshes and a restart of the keyring to the logout.
func TestTokens(t *testing.T) {
	const short = 2 // seconds: shorter than any margin that the command may leave
	p := startProvider(t, providerConfig{AlwaysRefresh: true, Behavior: behavior{AccessTokenTTL: short}})
	k := startKeyring(t)
	c := newCommand(t, k)
	running := c.start(t, login(p, "--no-browser")...)
	get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
	running.wait(t).expect(t, exitDone)

	token := func() string {
		t.Helper()
		r := c.run(t, "token")
		r.expect(t, exitDone)
		token, newline := strings.CutSuffix(r.stdout, "\n")
		if token == "" || !newline || strings.ContainsAny(token, " \n") {
			t.Fatalf("stdout is %d bytes that are not a token and a newline", len(r.stdout))
		}
		return token
	}
	expire := func() { time.Sleep((short + 1) * time.Second) }

	expire()
	first := token()
	expire()
	p.behave(t, behavior{AccessTokenTTL: 3600})
	second := token() // takes the refresh token that the first refresh has saved
	want := []string{"authorization_code", "refresh_token", "refresh_token"}
	if got := p.grants(t); !slices.Equal(got, want) {
		t.Errorf("token requests are %q, want %q", got, want)
	}
	if status, _ := p.userinfo(t, first); status != http.StatusUnauthorized {
		t.Errorf("first token is not expired, userinfo answered %d: the test proves nothing", status)
	}
	if status, sub := p.userinfo(t, second); status != http.StatusOK || sub != "alice" {
		t.Errorf("userinfo with the token answered %d, %q", status, sub)
	}

	quiet := len(p.requests(t))
	if token() != second {
		t.Error("a new process has another token")
	}
	k.restart(t)
	if token() != second {
		t.Error("after a restart of the keyring, the token is another")
	}
	r := c.run(t, "status")
	r.expect(t, exitDone)
	if said := r.stdout + r.stderr; !strings.Contains(said, p.Issuer) || !strings.Contains(said, "alice") {
		t.Errorf("status does not say who is signed in where:\n%s", said)
	}
	if n := len(p.requests(t)) - quiet; n != 0 {
		t.Errorf("provider was asked %d times for what the keychain holds", n)
	}

	c.run(t, "logout").expect(t, exitDone)
	if left := p.usable(t, "RefreshToken"); len(left) != 0 {
		t.Errorf("refresh token is still good at the provider: %+v", left)
	}
	if n := k.items(t); n != 0 {
		t.Errorf("keychain still holds %d items", n)
	}
	expectLoginRequired(t, c)
}

// TestTokenRevoked proves that a refresh token that the provider no longer takes leads to "login required".
func TestTokenRevoked(t *testing.T) {
	p := startProvider(t, providerConfig{AlwaysRefresh: true, Behavior: behavior{AccessTokenTTL: 1}})
	c := newCommand(t, startKeyring(t))
	expectLoginRequired(t, c)
	running := c.start(t, login(p, "--no-browser")...)
	get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
	running.wait(t).expect(t, exitDone)

	time.Sleep(2 * time.Second)
	p.behave(t, behavior{Answers: []cannedAnswer{
		{Path: "/token", Times: 100, Status: http.StatusBadRequest, Body: object{"error": "invalid_grant"}},
	}})
	expectLoginRequired(t, c)
}

func expectLoginRequired(t *testing.T, c *command) {
	t.Helper()
	r := c.run(t, "token")
	if r.expect(t, exitLoginRequired); !r.says("login required", "hint:") {
		t.Errorf("stderr does not say what to do:\n%s", r.stderr)
	}
}
