package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
)

// notifier tells the person what a login is doing.
func (p *program) notifier(ctx context.Context, o *options, client *grant.Client) func(loopback.Event) {
	return func(e loopback.Event) {
		p.emitLogin(e)
		p.trace.login(e)
		switch e.Kind {
		case loopback.AuthorizationURL:
			p.say("Open this page to sign in%s:\n\n%s\n", before(e.URLExpiry), address(e.URL))
			if !p.opensBrowser(o) {
				p.helpWithoutBrowser(ctx, o, client, e.RedirectURI)
			}
		case loopback.BrowserFailed:
			p.warning("the browser could not be opened: %v", e.Err)
			p.hint("open the page above yourself, or name a browser with --browser")
			p.helpWithoutBrowser(ctx, o, client, e.RedirectURI)
		case loopback.Waiting:
			p.stillWaiting(ctx, o, client, e)
		case loopback.Listening:
			p.detail(o, "listening on %s for %s", strings.Join(e.Addresses, " and "), e.RedirectURI)
		case loopback.BrowserStarted:
			p.detail(o, "the browser is opened by %s", e.Browser)
		case loopback.Ignored:
			p.detail(o, "ignored a request: %s", e.Reason)
		case loopback.Received:
			p.detail(o, "the answer has arrived, fetching the tokens")
		}
	}
}

// before says until when a page can be opened.
func before(expiry time.Time) string {
	if expiry.IsZero() {
		return ""
	}
	return ", before " + expiry.Local().Format("15:04:05")
}

// stillWaiting helps with what goes wrong out of our sight: the provider that
// shows an error of its own, and the browser that cannot reach this machine.
func (p *program) stillWaiting(ctx context.Context, o *options, client *grant.Client, e loopback.Event) {
	p.say("Still waiting for the browser%s. What may help:", ignored(e.Ignored))
	if said := quoteUnverified(e.Unverified); said != "" {
		p.say("- The provider may have said %s", said)
	}
	p.say("- The provider shows an error: this redirect URI has to be registered there, exactly as it is: %s", e.RedirectURI)
	if o.ports == anyPort && o.redirectURI == "" {
		p.say("  The port is another one each time. A provider that compares ports wants a fixed one: --port 8000.")
	}
	if o.preset != nil {
		p.say("  'oauth-login providers %s' says where.", o.preset.Name)
	}
	p.say("- The browser insists on https (Safari's \"Warn before connecting to a website over HTTP\", Brave): allow this page, or use another browser.")
	if p.paste(o, client) != nil {
		p.say("- The browser is on another machine: copy the address of its last page, paste it here and press Enter. What is pasted is not shown.")
	}
	if offersDevice(ctx, client) {
		p.hint("--device signs in with a browser on any other device")
	}
}

// ignored says how many requests were not the answer.
func ignored(reasons map[string]int) string {
	total := 0
	for _, count := range reasons {
		total += count
	}
	switch total {
	case 0:
		return ""
	case 1:
		return " (1 other request was ignored)"
	}
	return fmt.Sprintf(" (%d other requests were ignored)", total)
}
