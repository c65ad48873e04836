// Package loopback signs a person in once, the way RFC 8252 says native
// applications should: it listens on a loopback address, sends the person to
// the provider in the system's browser, and takes the redirect back.
//
// # What to call
//
// Most programs need one call:
//
//	client := &grant.Client{Issuer: "https://issuer.example", ClientID: "my-cli", Scopes: []string{"openid"}}
//	token, err := loopback.Login(ctx, client, nil)
//
// A program that shows something sets Options.Notify, one that keeps the tokens
// sets Options.Save. Nothing is printed and nothing is stored by this package; a
// client with a Logger tells it every event, at the level Debug, or Warn for a browser
// that cannot be opened. The authorization URL goes to Notify and to the browser, and
// nowhere else.
//
// Programs that do more between redirect URI and redirect, such as dynamic
// registration, call Listen and Server.Receive. Those that have an HTTP server
// already mount a Receiver on it.
//
// # What the receiver does
//
// It listens on what it announces: 127.0.0.1, or [::1], or both of them for
// localhost, and never on all addresses. The first redirect with the right
// state settles the login; every other request is noise, answered with a fixed
// 4xx page and counted, but it never ends the login. Of errors without a state, which
// some providers send, two are kept for the person: see Unverified. The redirect is a GET, or
// a form that is posted where the client's ResponseMode is form_post or
// form_post.jwt; the other kind is refused. The browser waits until
// the tokens are checked and saved. Then it is sent to a page without a code in
// its address, which says what came of it: signed in, refused, or failed. The
// pages are constant: nothing of a request is in them.
//
// # The browser
//
// The address has to be https, or http to a loopback host. It is handed over as
// one argument of a program, without a shell in between. Options.Browser comes
// first, then the environment variable BROWSER, then the openers of WSL, then
// those that package github.com/pkg/browser knows. What a browser prints is
// discarded, and it stays open when the program is interrupted. A browser that
// cannot be opened is an event, not an error: the person has the URL.
//
// Meanwhile a connection to the token endpoint is kept open, without a request on
// it, so that the tokens come one round trip after the redirect: see
// grant.Flow.KeepWarm.
//
// A browser on another machine ends up at a redirect URI that does not answer
// there, with the redirect in its address bar. Options.Paste takes that address
// from the person, through the same checks.
//
// # How it ends
//
// With a token, or with one of these errors: what package grant says of a
// refusal, the error of Options.Save, a *BindError, a *TimeoutError, or the
// error of the context, which ends every step. Then the port is closed, and no
// goroutine is left but those that wait for a browser in the foreground to
// quit, so that it leaves no zombie behind.
package loopback

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"sync"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

const (
	defaultTimeout  = 5 * time.Minute  // an account picker, a password manager and a second factor take time
	exchangeTimeout = 30 * time.Second // from the redirect to saved tokens, at least
)

// Options are the options of Login, Listen and NewReceiver. The zero value
// works.
type Options struct {
	// RedirectHost is the host in the redirect URI, and what is listened on:
	// "127.0.0.1" (default), "[::1]", or "localhost", which listens on both.
	RedirectHost string
	// Ports are tried in this order; 0 is any free port. nil means any free
	// port.
	Ports []int
	// CallbackPath is the path of the redirect URI. Default: "/callback".
	CallbackPath string
	// RedirectURI is the whole redirect URI as it is registered, sent byte for
	// byte. It has to be http on one of the hosts above; host, port and path
	// are taken from it, and the three fields above are not used.
	RedirectURI string
	// FormPost takes the redirect as a form that a page of the provider posts,
	// and in no other way (OAuth 2.0 Form Post Response Mode). Login sets it by
	// the client's ResponseMode.
	FormPost bool

	// Browser is the command that opens the browser, such as
	// `firefox --private-window %s`. It is split at spaces, and quotes of both
	// kinds keep words together; nothing else is special, as no shell is
	// involved. %s becomes the URL; without %s, the URL is the last argument.
	// Default: see the package comment. A batch file of Windows is refused.
	Browser string
	// NoBrowser opens no browser at all.
	NoBrowser bool
	// Open opens the URL in place of Browser. It runs in the background; its
	// context ends with the login, which waits for it to return. Its error
	// becomes an event.
	Open func(ctx context.Context, url string) error

	// Paste reads what the person pastes while the redirect is waited for, for
	// browsers on another machine, which cannot bring it. It calls submit with
	// the address that such a browser ends up at, which goes through the same
	// checks as a redirect that is brought. submit returns nil when the login
	// goes on with it, and else an error that explains to the person, without
	// quoting it, what is wrong with the address; the wait goes on then. The
	// context ends with the wait, which waits for Paste to return. nil: there is
	// nothing to paste into.
	Paste func(ctx context.Context, submit func(address string) error)
	// Save keeps the token. It runs after all checks and before the browser is
	// told that the person is signed in; its error fails the login. It has what
	// is left of 30 seconds, or of twice the timeout of the client's HTTPClient if
	// that is longer. nil saves nothing.
	Save func(ctx context.Context, token *grant.Token) error
	// Trace is told the parameters of the redirect, before they are checked any
	// further than that they carry the right state, for a record of what has happened.
	// They are secret: they hold the code. nil: nobody is told.
	Trace func(params url.Values)
	// Notify is told what happens, one event at a time, from several
	// goroutines. It must return soon. nil: silence.
	Notify func(Event)
	// Timeout is how long to wait for the person. 0 means 5 minutes; with a
	// negative value, only the context ends the wait.
	Timeout time.Duration
	// Page returns the page for an outcome, as a complete HTML document in
	// UTF-8, or nil for the one that is built in. It is called once for each
	// outcome, before the login starts. Inline styles and data: images work on
	// such a page, scripts and everything from elsewhere do not. html/template makes
	// good ones.
	Page func(Outcome) []byte
	// SignedInURL is where the browser goes on to from the page SignedIn, at once,
	// when the tokens are checked and saved and not before: https, or http to a
	// loopback host. It goes there as the URL is, with nothing of the login in it;
	// nothing that comes with a request has a say in it (RFC 9700, section 4.11.1).
	// Empty: it stays on the page, as does one that goes nowhere by itself.
	SignedInURL string
}

// Login signs a person in: it listens, makes the authorization request with
// client, opens the browser, waits for the redirect, exchanges it for a token,
// saves that, and tells the browser what came of it. opts may be nil.
//
// The package comment lists the errors.
func Login(ctx context.Context, client *grant.Client, opts *Options) (*grant.Token, error) {
	if opts == nil {
		opts = new(Options)
	}
	own := *opts
	if client != nil {
		own.FormPost = client.ResponseMode == "form_post" || client.ResponseMode == "form_post.jwt"
		own.Notify = logging(ctx, client.Logger, opts.Notify)
	}
	opts = &own
	server, err := Listen(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer server.Close()
	notify := server.receiver.notify
	notify(Event{Kind: Listening, Addresses: server.addresses()})
	flow, err := client.Authorize(ctx, server.RedirectURI())
	if err != nil {
		return nil, err
	}
	notify(Event{Kind: AuthorizationURL, URL: flow.URL, URLExpiry: flow.URLExpiry})

	var beside sync.WaitGroup
	defer beside.Wait()
	besideCtx, stop := context.WithCancel(ctx)
	defer stop()
	beside.Go(func() { openBrowser(besideCtx, opts, flow.URL, notify) })
	beside.Go(func() { flow.KeepWarm(besideCtx) })

	var token *grant.Token
	err = server.Receive(ctx, flow.Ours, func(ctx context.Context, params url.Values) (err error) {
		if opts.Trace != nil {
			opts.Trace(maps.Clone(params))
		}
		ctx, cancel := context.WithTimeout(ctx, exchangeTime(client))
		defer cancel()
		token, err = complete(ctx, flow, params, opts.Save)
		return err
	})
	if err != nil {
		return nil, err
	}
	return token, nil
}

// exchangeTime is how long it may take from the redirect to saved tokens. That
// are two requests, one for the tokens and one for the keys.
func exchangeTime(client *grant.Client) time.Duration {
	if client.HTTPClient == nil {
		return exchangeTimeout
	}
	return max(exchangeTimeout, 2*client.HTTPClient.Timeout)
}

// complete turns the redirect into a token that is saved.
func complete(ctx context.Context, flow *grant.Flow, params url.Values, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
	token, err := flow.Exchange(ctx, params)
	if err != nil || save == nil {
		return token, err
	}
	if err := save(ctx, token); err != nil {
		return nil, fmt.Errorf("the tokens could not be saved: %w", err)
	}
	return token, nil
}

// openBrowser tells when the browser cannot be opened, and that is all.
func openBrowser(ctx context.Context, opts *Options, url string, notify func(Event)) {
	if opts.NoBrowser {
		return
	}
	err := checkOpenable(url)
	switch {
	case err != nil:
	case opts.Open != nil:
		err = opts.Open(ctx, url)
	default:
		err = openURL(ctx, opts.Browser, url, func(program string) {
			if ctx.Err() == nil {
				notify(Event{Kind: BrowserStarted, Browser: program})
			}
		})
	}
	if err != nil && ctx.Err() == nil {
		notify(Event{Kind: BrowserFailed, URL: url, Err: err})
	}
}
