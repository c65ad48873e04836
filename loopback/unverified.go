package loopback

import (
	"net/url"
	"slices"
	"strings"
)

// An Unverified is an error that came to the redirect URI without a state. Some
// providers send theirs so, but every web page can send a browser there with
// whatever words it likes: it is noise, and ends nothing. Show it to a person who
// waits in vain, with that said, and use it for nothing else.
//
// It holds printable ASCII without quotation marks and backslashes (RFC 6749,
// section 4.1.2.1), with ? for everything else, and is short.
type Unverified struct {
	// Code is error, at most 40 bytes; Description is error_description, at most
	// 120 bytes, "" for none.
	Code, Description string
}

// maxUnverified is how many different ones are kept of an attempt, so that nobody
// can fill the memory or the screen with them.
const maxUnverified = 2

// unverified returns the error in a redirect without a state.
func unverified(params url.Values) (e Unverified, ok bool) {
	if params.Has("state") || len(params["error"]) != 1 || params.Get("error") == "" {
		return e, false
	}
	return Unverified{quotable(params.Get("error"), 40), quotable(params.Get("error_description"), 120)}, true
}

// quotable shortens a text and leaves in it what may be shown between quotation
// marks.
func quotable(text string, longest int) string {
	const more = "..."
	if len(text) > longest {
		text = text[:longest-len(more)] + more
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return '?'
		}
		return c
	}, text)
}

// keep keeps an error, and reports whether it did: not if it was there before or
// there are enough of them.
func (a *attempt) keep(e Unverified) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.unverified) >= maxUnverified || slices.Contains(a.unverified, e) {
		return false
	}
	a.unverified = append(a.unverified, e)
	return true
}

// kept returns the errors that were kept, nil for none.
func (a *attempt) kept() []Unverified {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.unverified)
}
