package loopback

import "time"

// An EventKind says what has happened.
type EventKind int

const (
	// Listening: the port is open. RedirectURI is what the provider has to know.
	Listening EventKind = iota + 1
	// AuthorizationURL: URL is where the person signs in. Always comes before
	// the browser is opened.
	AuthorizationURL
	// BrowserFailed: Err is why the browser could not be opened. The login goes
	// on, as the person can open URL in another way.
	BrowserFailed
	// BrowserStarted: the program Browser was started, which is to open the browser.
	// It may fail; then another one may follow, or BrowserFailed.
	BrowserStarted
	// Ignored: a request was not the redirect, for Reason.
	Ignored
	// Waiting: 30 seconds have gone by without the redirect. Ignored says what
	// came instead.
	Waiting
	// Received: the redirect is here, and its checks begin.
	Received
	// Done: the checks and Options.Save are over. Err is what the login fails
	// with, nil when the person is signed in.
	Done
)

// An Event is what Options.Notify is told. It never holds a code or a token, nor
// anything else from a request but for Unverified; the state is in URL alone.
type Event struct {
	// Kind says what has happened.
	Kind EventKind
	// RedirectURI is set in every event.
	RedirectURI string
	// Addresses are what is listened on, such as 127.0.0.1:8000: Listening.
	Addresses []string
	// URL is the authorization URL: AuthorizationURL and BrowserFailed.
	URL string
	// URLExpiry is when URL is of no more use, the zero time where that is not
	// known: AuthorizationURL.
	URLExpiry time.Time
	// Browser is the name of a program, or "the system": BrowserStarted.
	Browser string
	// Reason is one of a fixed set of short texts: Ignored.
	Reason string
	// Ignored counts what was ignored so far, by reason: Waiting.
	Ignored map[string]int
	// Unverified are errors that came without a state, nil for none: the one of the
	// request, if it is new, with Ignored, and those so far with Waiting.
	Unverified []Unverified
	// Err is an error: BrowserFailed and Done.
	Err error
}
