package loopback_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/loopback"
)

// TestLog: a logger hears what Notify does, in the same order, but not the URL that
// holds the state, not even from a browser that quotes it.
func TestLog(t *testing.T) {
	s := startToy(t, nil)
	var log bytes.Buffer // written under the lock of the events
	s.client.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	failed := make(chan struct{})
	l := start(t.Context(), t, s.client, &loopback.Options{
		Open: func(_ context.Context, url string) error { return fmt.Errorf("no browser opens %s", url) },
		Notify: func(e loopback.Event) {
			s.client.Logger.Info("mine", "event", e)
			if e.Kind == loopback.BrowserFailed {
				close(failed)
			}
		},
	})
	<-failed
	browse(t, strings.TrimSuffix(l.RedirectURI, "/callback")+"/favicon.ico")
	browse(t, l.callback(t))
	l.succeed(t)
	text := log.String()
	last := 0
	for _, want := range []string{
		`level=DEBUG msg="listening for the redirect" redirect_uri=` + l.RedirectURI,
		`level=DEBUG msg="sending the person to the provider"`,
		`level=INFO msg=mine event.kind="sending the person to the provider" event.redirect_uri=` + l.RedirectURI + "\n",
		`level=WARN msg="the browser could not be opened" redirect_uri=` + l.RedirectURI + ` error="no browser opens [the URL]"`,
		`level=DEBUG msg="a request was ignored" redirect_uri=` + l.RedirectURI + ` reason="wrong path"`,
		`level=DEBUG msg="the redirect is here"`,
		`level=DEBUG msg="the login is over"`,
	} {
		at := strings.Index(text, want)
		if at < last {
			t.Errorf("%s is missing, or too early, in:\n%s", want, text)
		}
		last = max(last, at)
	}
	for _, secret := range []string{l.state(t), "secret-code", "secret-token"} {
		if strings.Contains(text, secret) {
			t.Errorf("a secret is in the log:\n%s", text)
		}
	}
}

// TestLogOfAFailure: the line of the end says why.
func TestLogOfAFailure(t *testing.T) {
	s := startToy(t, refuse)
	var log bytes.Buffer
	s.client.Logger = slog.New(slog.NewTextHandler(&log, nil))
	l := start(t.Context(), t, s.client, nil)
	browse(t, l.callback(t))
	if _, err := l.wait(t); err == nil {
		t.Error("it has not failed")
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "level=WARN msg=refused") || !strings.Contains(text, "invalid_grant") {
		t.Errorf("at the level Info, the log is\n%s", text)
	}
}

// TestEventKindsHaveNames: each its own.
func TestEventKindsHaveNames(t *testing.T) {
	seen := map[string]bool{"unknown event": true}
	for kind := loopback.Listening; kind <= loopback.Done; kind++ {
		if name := kind.String(); seen[name] {
			t.Errorf("%d is called %q", kind, name)
		} else {
			seen[name] = true
		}
	}
	if name := (loopback.Done + 1).String(); name != "unknown event" {
		t.Errorf("what is no event is called %q", name)
	}
}
