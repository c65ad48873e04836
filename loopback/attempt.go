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

	mu      sync.Mutex
	settled bool
	ended   bool // finished is closed
	outcome Outcome
	ignored map[string]int

	unverified []Unverified // at most maxUnverified
}

func newAttempt(ours func(url.Values) bool) *attempt {
	return &attempt{
		ours: ours, redirect: make(chan redirection, 1), finished: make(chan struct{}), ignored: make(map[string]int),
	}
}

// A redirection is a redirect that has come.
type redirection struct {
	params  url.Values
	refusal error // why it fails the login, nil for one that may be exchanged
}

// settle takes a redirect that is ours, and reports whether it was the first.
// Those after it only wait for what comes of that one.
func (a *attempt) settle(got redirection) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.settled {
		return false
	}
	a.settled = true
	a.redirect <- got
	return true
}

// finish makes the outcome known.
func (a *attempt) finish(outcome Outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settled, a.ended, a.outcome = true, true, outcome
	close(a.finished)
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
