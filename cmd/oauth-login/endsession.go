package main

import (
	"context"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
)

// An endSession is how to sign out at the provider, in the browser (OpenID Connect
// RP-Initiated Logout 1.0).
type endSession struct {
	url   grant.Secret // says who signs out, with the ID token
	plain grant.Secret // does not, so that the provider has to ask
}

// prepareEndSession makes the addresses while the login is still there, nil where
// the provider has none.
func (p *program) prepareEndSession(ctx context.Context, client *grant.Client, token *grant.Token) *endSession {
	with, err := client.EndSessionURL(ctx, token, "", "")
	if err == nil {
		var without grant.Secret
		if without, err = client.EndSessionURL(ctx, nil, "", ""); err == nil {
			return &endSession{with, without}
		}
	}
	p.warning("the session at the provider stays, as it cannot be ended from here: %v", err)
	return nil
}

// endSession opens the browser. An address with the ID token is neither shown nor
// an argument of a program.
func (p *program) endSession(ctx context.Context, o *options, ending *endSession) error {
	if p.trace != nil {
		p.trace.write("- ", "the page to sign out at: %s", p.trace.hide.address(string(ending.url)))
	}
	if p.opensBrowser(o) {
		err := loopback.OpenSecret(ctx, string(ending.url), &loopback.Options{Browser: o.browser})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			p.say("The browser signs out at the provider")
			return nil
		}
		p.warning("the browser could not be opened: %v", err)
	}
	p.emit(event{Event: "end_session_url", URL: string(ending.plain)})
	p.say("Open this page to sign out at the provider:\n\n%s\n", string(ending.plain))
	return nil
}
