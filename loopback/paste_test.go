package loopback_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
)

// A board is what the person pastes into, and what is said to it.
type board struct {
	submit chan func(string) error
	ended  chan struct{}
}

// pasteInto makes options with something to paste into.
func pasteInto(opts *loopback.Options) (*loopback.Options, *board) {
	b := &board{submit: make(chan func(string) error, 1), ended: make(chan struct{})}
	opts.NoBrowser = true
	opts.Paste = func(ctx context.Context, submit func(string) error) {
		b.submit <- submit
		<-ctx.Done()
		close(b.ended)
	}
	return opts, b
}

func TestPaste(t *testing.T) {
	provider := startToy(t, nil)
	opts, board := pasteInto(&loopback.Options{})
	l := start(t.Context(), t, provider.client, opts)
	submit := <-board.submit
	host := strings.TrimPrefix(strings.TrimSuffix(l.RedirectURI, "/callback"), "http://")
	answer := "code=secret-code&state=" + l.state(t)
	for text, want := range map[string]string{
		"":                           "nothing was pasted",
		" \t":                        "nothing was pasted",
		"secret-code":                "a code alone cannot be checked",
		"?" + answer:                 "a code alone cannot be checked",
		host + "/callback?" + answer: "that is no address",
		"http:///callback?" + answer: "that is no address",
		"javascript:alert(1)":        "that is no address",
		l.URL:                        "another page",
		"https://" + host + "/callback?" + answer:         "another page",
		"http://evil.example/callback?" + answer:          "another page",
		"http://ada@" + host + "/callback?" + answer:      "another page",
		"http://127.0.0.1:1/callback?" + answer:           "another page",
		"http://" + host + "/callback/done?" + answer:     "another page",
		"http://" + host + "/other/../callback?" + answer: "another page",
		l.RedirectURI:                                                      "not the answer to this login",
		l.RedirectURI + "?code=secret-code":                                "not the answer to this login",
		l.RedirectURI + "?error=access_denied":                             "not the answer to this login",
		l.RedirectURI + "?code=secret-code&state=other":                    "not the answer to this login",
		l.RedirectURI + "#" + answer:                                       "not the answer to this login",
		l.RedirectURI + "?state=" + l.state(t) + "&" + answer:              "not the answer to this login",
		l.RedirectURI + "?%zz&" + answer:                                   "damaged",
		l.RedirectURI + "?x=" + strings.Repeat("x", 17<<10) + "&" + answer: "too long",
	} {
		err := submit(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", text, err, want)
			continue
		}
		checkSilent(t, l, err.Error())
	}
	if provider.tokens.Load() != 0 {
		t.Fatal("a token was asked for")
	}
	// What a browser makes of the redirect URI, and a careless copy of that.
	if err := submit("  HTTP://" + host + "/callback?" + answer + "#_=_\n"); err != nil {
		t.Fatal(err)
	}
	if err := submit(l.callback(t)); err == nil || !strings.Contains(err.Error(), "has its answer already") {
		t.Errorf("once more: %v", err)
	}
	l.succeed(t)
	<-board.ended
	if n := provider.tokens.Load(); n != 1 {
		t.Errorf("%d token requests", n)
	}
	if len(l.seen(loopback.Received)) != 1 || len(l.seen(loopback.Ignored)) != 0 {
		t.Errorf("the events are %v", l.events)
	}
}

// TestPasteMeetsBrowser: what was pasted is over when the browser brings the
// redirect, before the exchange.
func TestPasteMeetsBrowser(t *testing.T) {
	opts, board := pasteInto(&loopback.Options{})
	provider := startToy(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-board.ended:
		default:
			t.Error("the person can still paste")
		}
		refuse(w, r)
	})
	l := start(t.Context(), t, provider.client, opts)
	submit := <-board.submit
	browse(t, l.callback(t))
	if _, err := l.wait(t); err == nil {
		t.Error("the login has not failed")
	}
	if submit(l.callback(t)) == nil || provider.tokens.Load() != 1 {
		t.Error("the code was used twice")
	}
}

// TestPasteEnds: with the context, and with the time.
func TestPasteEnds(t *testing.T) {
	provider := startToy(t, nil)
	opts, board := pasteInto(&loopback.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	l := start(ctx, t, provider.client, opts)
	submit := <-board.submit
	cancel()
	if _, err := l.wait(t); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	<-board.ended
	_ = submit(l.callback(t)) // whatever it says
	opts, board = pasteInto(&loopback.Options{Timeout: 1})
	l = start(t.Context(), t, provider.client, opts)
	_, err := l.wait(t)
	if _, ok := errors.AsType[*loopback.TimeoutError](err); !ok {
		t.Errorf("it ended with %v", err)
	}
	<-board.ended
	if submit := <-board.submit; submit(l.callback(t)) == nil || provider.tokens.Load() != 0 {
		t.Error("the answer was taken when the login had ended")
	}
}

// TestPasteAsTheContextEnds: an address is taken if and only if the login goes on
// with it.
func TestPasteAsTheContextEnds(t *testing.T) {
	for name, late := range map[string]time.Duration{"at once": 0, "later": time.Second, "before": -1} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var submitted error
			receiver, err := loopback.NewReceiver("https://cli.example/back", &loopback.Options{
				Paste: func(ctx context.Context, submit func(string) error) {
					if late < 0 {
						submitted = submit("https://cli.example/back?state=1")
						cancel()
						return
					}
					cancel()
					time.Sleep(late) // until nobody waits for it any more
					submitted = submit("https://cli.example/back?state=1")
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			finished := false
			err = receiver.Receive(ctx, func(url.Values) bool { return true }, func(ctx context.Context, _ url.Values) error {
				finished = true
				return ctx.Err()
			})
			if !errors.Is(err, context.Canceled) || finished != (submitted == nil) || late > 0 && finished || late < 0 && !finished {
				t.Errorf("%s: submit %v, finished %v, error %v", name, submitted, finished, err)
			}
		})
	}
}

// TestPasteEndsWithPanic: also then, Paste can give back what it has taken.
func TestPasteEndsWithPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts, board := pasteInto(&loopback.Options{Notify: func(e loopback.Event) {
			if e.Kind == loopback.Waiting {
				panic("a mistake of the program")
			}
		}})
		receiver, err := loopback.NewReceiver("https://cli.example/back", opts)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if recover() == nil {
				t.Error("there was no panic")
			}
			select {
			case <-board.ended:
			default:
				t.Error("Paste goes on")
			}
		}()
		_ = receiver.Receive(t.Context(), func(url.Values) bool { return false }, func(context.Context, url.Values) error { return nil })
	})
}

// TestPasteOfRefusal: the person can bring a no as well.
func TestPasteOfRefusal(t *testing.T) {
	provider := startToy(t, nil)
	opts, board := pasteInto(&loopback.Options{})
	l := start(t.Context(), t, provider.client, opts)
	if err := (<-board.submit)(l.RedirectURI + "?error=access_denied&state=" + l.state(t)); err != nil {
		t.Fatal(err)
	}
	_, err := l.wait(t)
	if refusal, ok := errors.AsType[*grant.Error](err); !ok || refusal.Code != "access_denied" {
		t.Errorf("it ended with %v", err)
	}
}

// TestPasteOfPosted: an answer that was to be posted is refused in an address,
// however it came.
func TestPasteOfPosted(t *testing.T) {
	provider := startToy(t, nil)
	provider.client.ResponseMode = "form_post"
	opts, board := pasteInto(&loopback.Options{})
	l := start(t.Context(), t, provider.client, opts)
	if err := (<-board.submit)(l.callback(t)); err != nil {
		t.Fatal(err)
	}
	_, err := l.wait(t)
	if check, ok := errors.AsType[*grant.CheckError](err); !ok || check.Check != "authorization_response.mode" || provider.tokens.Load() != 0 {
		t.Errorf("it ended with %v", err)
	}
}

// TestPasteIntoReceiver: in the server of an embedder it works the same, also with
// a query in the redirect URI.
func TestPasteIntoReceiver(t *testing.T) {
	opts, board := pasteInto(&loopback.Options{})
	receiver, err := loopback.NewReceiver("https://cli.example/back?tenant=a", opts)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		submit := <-board.submit
		if submit("https://cli.example/back?state=2") == nil {
			t.Error("another state was taken")
		}
		if err := submit("https://CLI.example:443/back?tenant=a&state=1"); err != nil {
			t.Error(err)
		}
	}()
	ours := func(params url.Values) bool { return params.Get("state") == "1" }
	err = receiver.Receive(t.Context(), ours, func(_ context.Context, params url.Values) error {
		if params.Get("state") != "1" {
			t.Errorf("the parameters are %v", params)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestPasteOfSigned: a signed answer has its state inside, and what is not signed
// is refused after all.
func TestPasteOfSigned(t *testing.T) {
	provider := startToy(t, nil)
	provider.client.ResponseMode, provider.client.Server.JWKSURI = "jwt", startHanging(t)+"/jwks"
	opts, board := pasteInto(&loopback.Options{})
	l := start(t.Context(), t, provider.client, opts)
	submit := <-board.submit
	response := func(state string) string {
		encode := base64.RawURLEncoding.EncodeToString
		claims := `{"iss":"` + provider.client.Server.Issuer + `","aud":"toy","exp":9999999999,"code":"secret-code","state":"` + state + `"}`
		return l.RedirectURI + "?response=" + encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(claims)) + "."
	}
	if err := submit(response("other")); err == nil {
		t.Error("another state was taken")
	}
	if err := submit(response(l.state(t))); err != nil {
		t.Fatal(err)
	}
	_, err := l.wait(t)
	if _, ok := errors.AsType[*grant.CheckError](err); !ok || provider.tokens.Load() != 0 {
		t.Errorf("it ended with %v", err)
	}
	checkSilent(t, l)
}
