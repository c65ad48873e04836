package main

import (
	"testing"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
)

// TestStillWaiting: what is said after 30 seconds names the redirect URI to register,
// byte for byte, and quotes an error that came without a state.
func TestStillWaiting(t *testing.T) {
	client := &grant.Client{ClientID: "cli", Server: &grant.AuthorizationServer{Issuer: "https://issuer.example"}}
	for _, test := range []struct {
		options options
		event   loopback.Event
		want    string
	}{
		{
			options{ports: "1717", preset: presetOf("salesforce")},
			loopback.Event{
				Kind: loopback.Waiting, RedirectURI: "http://localhost:1717/OauthRedirect", Ignored: map[string]int{"wrong path": 1, "wrong or missing state": 2},
				Unverified: []loopback.Unverified{{Code: "invalid_scope", Description: "unknown"}, {Code: "access_denied"}},
			},
			`Still waiting for the browser (3 other requests were ignored). What may help:
- The provider may have said (unverified, as any web page can send it) "invalid_scope: unknown" and "access_denied"
- The provider shows an error: this redirect URI has to be registered there, exactly as it is: http://localhost:1717/OauthRedirect
  'oauth-login providers salesforce' says where.
- The browser insists on https (Safari's "Warn before connecting to a website over HTTP", Brave): allow this page, or use another browser.
`,
		},
		{
			options{ports: anyPort},
			loopback.Event{Kind: loopback.Waiting, RedirectURI: "http://127.0.0.1:41234/callback"},
			`Still waiting for the browser. What may help:
- The provider shows an error: this redirect URI has to be registered there, exactly as it is: http://127.0.0.1:41234/callback
  The port is another one each time. A provider that compares ports wants a fixed one: --port 8000.
- The browser insists on https (Safari's "Warn before connecting to a website over HTTP", Brave): allow this page, or use another browser.
`,
		},
	} {
		p := newTestProgram(t)
		p.notifier(t.Context(), &test.options, client)(test.event)
		if got := p.stderr.String(); got != test.want {
			t.Errorf("it says\n%s\nand not\n%s", got, test.want)
		}
	}
}
