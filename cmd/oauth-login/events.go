package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
)

// With --events json, standard error has one JSON object on each line, and what
// people read is not written. The names below are part of the interface, as the
// exit codes are. Only authorization_url holds what others must not see before the
// login has ended (the state), and device_code what the person types in.

const eventsJSON = "json"

// eventsHelp lists the names.
const eventsHelp = `With --events json, standard error has one JSON object per line in place of
text. Its "event" is one of: listening, authorization_url, no_browser,
browser_failed, ignored, waiting, paste_refused, callback, exchanged, stored,
device_code, end_session_url, warning, hint, and last done or error, with "code"
as the exit code.`

// An event is one line of --events json.
type event struct {
	Event       string         `json:"event"`
	RedirectURI string         `json:"redirect_uri,omitempty"` // listening, authorization_url
	URL         string         `json:"url,omitempty"`          // authorization_url, browser_failed, end_session_url
	ExpiresAt   *time.Time     `json:"expires_at,omitempty"`   // authorization_url, device_code
	Reason      string         `json:"reason,omitempty"`       // ignored, no_browser
	Command     string         `json:"command,omitempty"`      // no_browser: what to run on the machine of the browser
	Ignored     map[string]int `json:"ignored,omitempty"`      // waiting
	Store       string         `json:"store,omitempty"`        // stored

	Unverified []unverifiedJSON `json:"unverified,omitempty"` // ignored, waiting: errors that anybody may have sent

	UserCode                string `json:"user_code,omitempty"` // device_code
	VerificationURI         string `json:"verification_uri,omitempty"`
	VerificationURIComplete string `json:"verification_uri_complete,omitempty"`

	Code    *int     `json:"code,omitempty"`    // done, error: the exit code
	Name    string   `json:"name,omitempty"`    // error
	Message string   `json:"message,omitempty"` // error, warning, hint, browser_failed, paste_refused
	Hints   []string `json:"hints,omitempty"`   // error
}

// events writes lines. It is used by several goroutines.
type events struct {
	mu      sync.Mutex
	encoder *json.Encoder
}

func newEvents(w io.Writer) *events {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // URLs stay as they are
	return &events{encoder: encoder}
}

// emit writes an event, where they are wanted.
func (p *program) emit(e event) {
	if p.events == nil {
		return
	}
	e.Reason, e.Message = printable(e.Reason), printable(e.Message)
	p.events.mu.Lock()
	defer p.events.mu.Unlock()
	_ = p.events.encoder.Encode(e) // as with all that is written there, nobody may be left to read it
}

// emitLogin writes what a login is doing.
func (p *program) emitLogin(e loopback.Event) {
	switch e.Kind {
	case loopback.Listening:
		p.emit(event{Event: "listening", RedirectURI: e.RedirectURI})
	case loopback.AuthorizationURL:
		p.emit(event{Event: "authorization_url", URL: e.URL, RedirectURI: e.RedirectURI, ExpiresAt: timeOf(e.URLExpiry)})
	case loopback.BrowserFailed:
		p.emit(event{Event: "browser_failed", URL: e.URL, Message: e.Err.Error()})
	case loopback.Ignored:
		p.emit(event{Event: "ignored", Reason: e.Reason, Unverified: unverifiedList(e.Unverified)})
	case loopback.Waiting:
		p.emit(event{Event: "waiting", RedirectURI: e.RedirectURI, Ignored: e.Ignored, Unverified: unverifiedList(e.Unverified)})
	case loopback.Received:
		p.emit(event{Event: "callback"})
	}
}

// emitDevice writes what the person has to type in on another device.
func (p *program) emitDevice(flow *grant.DeviceFlow) {
	p.emit(event{
		Event: "device_code", UserCode: flow.UserCode, ExpiresAt: timeOf(flow.Expiry),
		VerificationURI: flow.VerificationURI, VerificationURIComplete: flow.VerificationURIComplete,
	})
}

// emitDone writes the last line of a command that has done its work.
func (p *program) emitDone(code int) { p.emit(event{Event: "done", Code: &code}) }

// emitError writes the last line of one that has not.
func (p *program) emitError(f failure) {
	p.emit(event{Event: "error", Code: &f.code, Name: f.name, Message: f.text, Hints: f.hints})
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
