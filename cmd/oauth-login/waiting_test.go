package main

import (
	"testing"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
)

// TestStillWaiting: what is said after 30 seconds names the redirect URI to register,
// byte for byte, and quotes an error that came without a state.
func TestStillWaiting(t *testing.T) {
	p := newTestProgram(t)
	client := &grant.Client{ClientID: "cli", Server: &grant.AuthorizationServer{Issuer: "https://issuer.example"}}
	p.notifier(t.Context(), &options{}, client)(loopback.Event{
		Kind: loopback.Waiting, RedirectURI: "http://localhost:1717/OauthRedirect", Ignored: map[string]int{"wrong path": 1, "wrong or missing state": 2},
		Unverified: []loopback.Unverified{{Code: "invalid_scope", Description: "unknown"}, {Code: "access_denied"}},
	})
	const want = `Still waiting for the browser (3 other requests were ignored). What may help:
- The provider may have said (unverified, as any web page can send it) "invalid_scope: unknown" and "access_denied"
- The provider shows an error: this redirect URI has to be registered there, exactly as it is: http://localhost:1717/OauthRedirect
- The browser insists on https (Safari's "Warn before connecting to a website over HTTP", Brave): allow this page, or use another browser.
`
	if got := p.stderr.String(); got != want {
		t.Errorf("it says\n%s\nand not\n%s", got, want)
	}
}
