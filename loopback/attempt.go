package loopback

import (
	"maps"
	"net/url"
	"sync"
)

// An attempt is one login from the receiver's point of view. Handlers bring it
// the redirect; Receive brings it the outcome.
type attempt struct {
	ours     func(url.Values) bool
	redirect chan redirection // has room for the one that is sent
	finished chan struct{}    // closed when the outcome is known
	quiet    chan struct{}    // closed when, after that, no browser waits for the outcome any more

	mu      sync.Mutex
	settled bool
	ended   bool // finished is closed
	outcome Outcome
	guests  int // browsers that brought the redirect and have not had the page yet
	ignored map[string]int
}

func newAttempt(ours func(url.Values) bool) *attempt {
	return &attempt{
		ours: ours, redirect: make(chan redirection, 1), ignored: make(map[string]int),
		finished: make(chan struct{}), quiet: make(chan struct{}),
	}
}

// A redirection is a redirect that has come.
type redirection struct {
	params  url.Values
	refusal error // why it fails the login, nil for one that may be exchanged
}

// accept takes a redirect that is ours. The first one settles the attempt; those
// after it only wait for what comes of that.
func (a *attempt) accept(got redirection) bool {
	if !a.ours(got.params) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.settled {
		a.settled = true
		a.redirect <- got
	}
	a.guests++
	return true
}

// finish makes the outcome known.
func (a *attempt) finish(outcome Outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settled, a.ended, a.outcome = true, true, outcome
	close(a.finished)
	if a.guests == 0 {
		a.closeQuiet()
	}
}

// expire stops the attempt from being settled, unless it has been: then it
// returns the redirect.
func (a *attempt) expire() (got redirection, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.settled {
		return <-a.redirect, true
	}
	a.settled = true
	return redirection{}, false
}

// result returns the outcome, once it is known.
func (a *attempt) result() (outcome Outcome, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.outcome, a.ended
}

// leave notes that a browser has its page, or has gone away.
func (a *attempt) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.guests == 0 {
		return // somebody has looked at the page without having brought the redirect
	}
	a.guests--
	if a.guests == 0 && a.ended {
		a.closeQuiet()
	}
}

// closeQuiet is for a.mu held. Browsers may come and go after the first quiet.
func (a *attempt) closeQuiet() {
	select {
	case <-a.quiet:
	default:
		close(a.quiet)
	}
}

// count counts noise, and reports whether somebody still wants to know.
func (a *attempt) count(n noise) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ignored[string(n)]++
	return !a.ended
}

func (a *attempt) counts() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.ignored)
}
