package loopback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/oauth-login/oauth-login/grant"
)

const (
	hintAfter    = 30 * time.Second // Waiting
	writeTimeout = 10 * time.Second // for an answer, all of which are small
)

// A Receiver is the http.Handler that takes a redirect, for programs that have
// a server of their own. It answers the path of its redirect URI and the path
// below that ends in /done, so mount it on both:
//
//	receiver, err := loopback.NewReceiver("http://127.0.0.1:8080/callback", nil)
//	...
//	router.Handle("/callback", receiver)
//	router.Handle("/callback/done", receiver)
//
// It looks at the whole path, wherever it is mounted, also below http.StripPrefix. What the program's own
// server answers before any handler, to what is no request, is not its concern.
type Receiver struct {
	redirect *redirect
	pages    *pages
	router   http.Handler
	opts     *Options

	notifying sync.Mutex // one event at a time
	receiving atomic.Bool
	current   atomic.Pointer[attempt] // the one that waits, or the last one that ended with an outcome
}

// NewReceiver returns the handler for redirects to a redirect URI, http or
// https. Of the options, which may be nil, it uses FormPost, Paste, Notify, Timeout,
// Page and SignedInURL.
func NewReceiver(redirectURI string, opts *Options) (*Receiver, error) {
	if opts == nil {
		opts = new(Options)
	}
	r := &Receiver{opts: opts}
	var err error
	if r.redirect, err = parseRedirect(redirectURI); err != nil {
		return nil, err
	}
	if opts.SignedInURL != "" {
		if err := checkOpenable(opts.SignedInURL); err != nil {
			return nil, argumentError("SignedInURL: %v", err)
		}
	}
	r.pages = newPages(opts.Page)
	r.router = r.routes()
	return r, nil
}

// routes: the checks come in the order in which they are listed here.
func (r *Receiver) routes() http.Handler {
	router := chi.NewRouter()
	router.Use(r.onlyMethods, r.onlyHost)
	page := router.With(r.onlyNavigation)
	page.Get(r.redirect.done(), r.serveOutcome)
	if r.opts.FormPost {
		page.Post(r.redirect.path, r.servePosted)
		page.Get(r.redirect.path, r.serveUnposted)
	} else {
		page.Get(r.redirect.path, r.serveCallback)
	}
	router.MethodNotAllowed(r.refuseMethod)
	router.NotFound(func(w http.ResponseWriter, _ *http.Request) { r.ignore(w, wrongPath) })
	return router
}

// RedirectURI is the redirect URI to announce to the provider.
func (r *Receiver) RedirectURI() string { return r.redirect.uri }

// ServeHTTP answers a redirect when it has been dealt with, and everything else
// with a refusal.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	// A fresh routing context: without it, chi would go on with the rest of
	// the path that a router around this one has left.
	ctx := context.WithValue(req.Context(), chi.RouteCtxKey, chi.NewRouteContext())
	r.router.ServeHTTP(w, r.whole(req.WithContext(ctx)))
}

// whole returns a request with the path that the browser has asked for, of which
// http.StripPrefix may have left a part. A path that is ours is left alone, whoever
// has put it there.
func (r *Receiver) whole(req *http.Request) *http.Request {
	asked, err := url.ParseRequestURI(req.RequestURI)
	if err != nil || r.redirect.routes(req.URL) || !r.redirect.routes(asked) {
		return req
	}
	restored := *req.URL
	restored.Path, restored.RawPath = asked.Path, asked.RawPath
	req.URL = &restored // req is a copy
	return req
}

// serveCallback takes a redirect with its parameters in the address.
func (r *Receiver) serveCallback(w http.ResponseWriter, req *http.Request) {
	params, err := grant.ParseAuthResponse(req.URL.RawQuery)
	if err != nil {
		r.ignore(w, badQuery)
		return
	}
	r.serveRedirect(w, req, redirection{params: params})
}

// serveRedirect holds the browser until the outcome is known. The redirect
// after it takes the code out of the browser's address bar and history.
func (r *Receiver) serveRedirect(w http.ResponseWriter, req *http.Request, got redirection) {
	a := r.current.Load()
	if a == nil || !a.ours(got.params) {
		r.disown(w, got.params)
		return
	}
	welcome(req) // before the login can end
	a.settle(got)
	select {
	case <-a.finished:
	case <-req.Context().Done():
		farewell(req)
		return
	}
	// The time for the answer begins now, not with the request. A server without
	// deadlines returns an error, and needs none.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	stay(w, req)
	r.pages.redirect(w, r.redirect.done())
}

// serveOutcome serves the page that is shown last.
func (r *Receiver) serveOutcome(w http.ResponseWriter, req *http.Request) {
	a := r.current.Load()
	if a == nil {
		r.ignore(w, noOutcome)
		return
	}
	outcome, ok := a.result()
	if !ok {
		r.ignore(w, noOutcome)
		return
	}
	keep(req)
	if outcome == SignedIn && r.opts.SignedInURL != "" {
		// Not a redirect: a provider whose policy has form-action would have Chromium
		// stop it, as it comes after the form on the provider's page (Content Security
		// Policy Level 3, section 6.4.1). The HTML Standard has the header.
		w.Header().Set("Refresh", "0; url="+r.opts.SignedInURL)
	}
	r.pages.write(w, outcome.status(), outcome)
	_ = http.NewResponseController(w).Flush() // the server may be closed from here on
	farewell(req)
}

// disown answers a redirect that is not ours. An error in it is kept for the person.
func (r *Receiver) disown(w http.ResponseWriter, params url.Values) {
	var unproven []Unverified
	a := r.current.Load()
	if e, ok := unverified(params); ok && a != nil && a.keep(e) {
		unproven = []Unverified{e}
	}
	r.count(wrongState, unproven...)
	r.pages.write(w, wrongState.status(), Unknown)
}

// ignore answers noise.
func (r *Receiver) ignore(w http.ResponseWriter, n noise) {
	r.count(n)
	r.pages.write(w, n.status(), Unknown)
}

// refuse is ignore for what no handler has seen.
func (r *Receiver) refuse(w io.Writer, n noise) error {
	r.count(n)
	return r.pages.send(w, n.status(), Unknown)
}

// count counts noise while a login waits.
func (r *Receiver) count(n noise, unproven ...Unverified) {
	if a := r.current.Load(); a != nil && a.count(n) {
		r.notify(Event{Kind: Ignored, Reason: string(n), Unverified: unproven})
	}
}

// notify hands an event to the program, one at a time.
func (r *Receiver) notify(e Event) {
	if r.opts.Notify == nil {
		return
	}
	e.RedirectURI = r.redirect.uri
	r.notifying.Lock()
	defer r.notifying.Unlock()
	r.opts.Notify(e)
}

// Receive waits for one redirect that is ours, calls finish with its
// parameters, and then lets the browser see what came of it. It returns the
// error of finish, a *TimeoutError, or the error of ctx.
//
// ours tells the redirect of this login from noise, such as Flow.Ours; it may be
// called by several goroutines at once. finish is called once at most, on the
// goroutine of the caller and with ctx: it goes on when the browser leaves. A
// *grant.Error of the authorization endpoint becomes the page Refused, any other
// error the page Failed.
//
// A redirect that comes before Receive is noise, so call it as soon as the browser is
// on its way. One Receive may run at a time. Afterwards the same redirect, sent again, leads
// to the same page, until the next Receive.
func (r *Receiver) Receive(ctx context.Context, ours func(url.Values) bool, finish func(ctx context.Context, params url.Values) error) error {
	a, err := r.begin(ours, finish)
	if err != nil {
		return err
	}
	return r.receive(ctx, a, finish)
}

// begin makes redirects welcome. A call of receive has to follow.
func (r *Receiver) begin(ours func(url.Values) bool, finish func(context.Context, url.Values) error) (*attempt, error) {
	if ours == nil || finish == nil {
		return nil, argumentError("ours and finish are required")
	}
	if !r.receiving.CompareAndSwap(false, true) {
		return nil, argumentError("another login is being received")
	}
	a := newAttempt(ours)
	r.current.Store(a)
	return a, nil
}

func (r *Receiver) receive(ctx context.Context, a *attempt, finish func(context.Context, url.Values) error) error {
	defer r.receiving.Store(false)
	outcome := Failed // of a finish that does not return
	defer func() { a.finish(outcome) }()
	stop := r.pasting(ctx, a)
	defer stop() // a second time does nothing
	got, err := r.await(ctx, a)
	stop()
	if err != nil {
		r.current.Store(nil) // nothing can come of it any more
		return err
	}
	r.notify(Event{Kind: Received})
	if err = got.refusal; err == nil {
		err = finish(ctx, got.params)
	}
	r.notify(Event{Kind: Done, Err: err})
	outcome = outcomeOf(err)
	return err
}

// await returns the redirect.
func (r *Receiver) await(ctx context.Context, a *attempt) (redirection, error) {
	hint := time.NewTimer(hintAfter)
	defer hint.Stop()
	timeout := r.opts.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	var late <-chan time.Time // never, for a negative timeout
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		late = timer.C
	}
	for {
		select {
		case got := <-a.redirect:
			return got, nil
		case <-hint.C:
			r.notify(Event{Kind: Waiting, Ignored: a.counts(), Unverified: a.kept()})
		case <-late:
			if got, ok := a.expire(); ok {
				return got, nil
			}
			return redirection{}, &TimeoutError{After: timeout, Ignored: a.counts(), Unverified: a.kept()}
		case <-ctx.Done():
			if got, ok := a.expire(); ok { // whoever brought it was told that the login goes on
				return got, nil
			}
			return redirection{}, ctx.Err()
		}
	}
}

// A TimeoutError says that the redirect did not come in time.
type TimeoutError struct {
	// After is how long it was waited for.
	After time.Duration
	// Ignored counts the requests that came instead, by reason.
	Ignored map[string]int
	// Unverified are errors among them that came without a state, nil for none. The
	// text of the error does not have them.
	Unverified []Unverified
}

// Error tells a browser that never came from one that was turned away.
func (e *TimeoutError) Error() string {
	text := fmt.Sprintf("the browser did not come back within %v: ", e.After)
	total := 0
	var reasons []string
	for reason, count := range e.Ignored {
		total += count
		reasons = append(reasons, fmt.Sprintf("%s: %d", reason, count))
	}
	slices.Sort(reasons)
	switch total {
	case 0:
		return text + "there was no request at all"
	case 1:
		return text + "1 request was ignored (" + reasons[0] + ")"
	}
	return text + fmt.Sprintf("%d requests were ignored (%s)", total, strings.Join(reasons, ", "))
}

// outcomeOf returns what the person is told about an error.
func outcomeOf(err error) Outcome {
	if err == nil {
		return SignedIn
	}
	if refusal, ok := errors.AsType[*grant.Error](err); ok && refusal.Endpoint == "authorization" {
		return Refused
	}
	return Failed
}
