package loopback_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
)

// ask sends a request to a handler, without a network.
func ask(h http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

func isState(state string) func(url.Values) bool {
	return func(params url.Values) bool { return len(params["state"]) == 1 && params.Get("state") == state }
}

func newReceiver(t *testing.T, opts *loopback.Options) *loopback.Receiver {
	t.Helper()
	r, err := loopback.NewReceiver("http://127.0.0.1:8080/callback", opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTimeout(t *testing.T) {
	tests := []struct {
		name    string
		timeout time.Duration
		noise   []string
		after   time.Duration
		text    string
	}{
		{name: "default", after: 5 * time.Minute, text: "the browser did not come back within 5m0s: there was no request at all"},
		{name: "own", timeout: time.Minute, after: time.Minute, noise: []string{"/favicon.ico"},
			text: "the browser did not come back within 1m0s: 1 request was ignored (wrong path: 1)"},
		{name: "some noise", timeout: time.Hour, after: time.Hour, noise: []string{"/", "/callback?state=x", "/favicon.ico"},
			text: "the browser did not come back within 1h0m0s: 3 requests were ignored (wrong or missing state: 1, wrong path: 2)"},
	}
	for _, test := range tests {
		inBubble(t, test.name, func(t *testing.T) {
			r := newReceiver(t, &loopback.Options{Timeout: test.timeout})
			go func() {
				time.Sleep(time.Second)
				for _, target := range test.noise {
					ask(r, "http://127.0.0.1:8080"+target)
				}
			}()
			begin := time.Now()
			err := r.Receive(t.Context(), isState("s"), func(context.Context, url.Values) error {
				t.Error("noise has settled the login")
				return nil
			})
			timeout, ok := errors.AsType[*loopback.TimeoutError](err)
			if !ok || timeout.After != test.after || err.Error() != test.text {
				t.Errorf("the error is %v", err)
			}
			if took := time.Since(begin); took != test.after {
				t.Errorf("took %v", took)
			}
			if w := ask(r, "http://127.0.0.1:8080/callback?state=s"); w.Code != http.StatusBadRequest {
				t.Errorf("a redirect that is too late gets %d", w.Code)
			}
		})
	}
}

// TestWaiting: after 30 seconds the program is told what has come so far, once.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []loopback.Event
		begin := time.Now()
		r := newReceiver(t, &loopback.Options{Timeout: -1, Notify: func(e loopback.Event) {
			if e.Kind == loopback.Waiting {
				events = append(events, e)
				if took := time.Since(begin); took != 30*time.Second {
					t.Errorf("the hint came after %v", took)
				}
			}
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		go func() {
			time.Sleep(time.Second)
			ask(r, "http://127.0.0.1:8080/favicon.ico")
		}()
		err := r.Receive(ctx, isState("s"), func(context.Context, url.Values) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 24*time.Hour {
			t.Errorf("the error is %v after %v", err, time.Since(begin))
		}
		want := map[string]int{"wrong path": 1}
		if len(events) != 1 || !maps.Equal(events[0].Ignored, want) || events[0].RedirectURI != r.RedirectURI() {
			t.Errorf("the hints are %v", events)
		}
	})
}

// receive plays one login through h, and returns the answer to its redirect. It
// is for a synctest bubble.
func receive(t *testing.T, r *loopback.Receiver, h http.Handler, callback string) *httptest.ResponseRecorder {
	t.Helper()
	answers := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		synctest.Wait() // until Receive waits
		answers <- ask(h, callback)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.Receive(ctx, isState("s"), func(context.Context, url.Values) error { return nil }); err != nil {
		t.Errorf("the error is %v", err)
	}
	return <-answers
}

// inBubble runs a subtest with a clock of its own.
func inBubble(t *testing.T, name string, test func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// TestMounted: the receiver works on the router of an embedder, however that
// hands on its requests, and for one login after the other.
func TestMounted(t *testing.T) {
	mount := map[string]func(*loopback.Receiver) http.Handler{
		"alone": func(r *loopback.Receiver) http.Handler { return r },
		"net/http": func(r *loopback.Receiver) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("GET /callback", r)
			mux.Handle("GET /callback/done", r)
			return mux
		},
		"chi handle": func(r *loopback.Receiver) http.Handler {
			router := chi.NewRouter()
			router.Handle("/callback", r)
			router.Handle("/callback/done", r)
			return router
		},
		"chi mount": func(r *loopback.Receiver) http.Handler {
			router := chi.NewRouter()
			router.Mount("/callback", r)
			return router
		},
	}
	const callback = "http://127.0.0.1:8080/callback"
	for name, wrap := range mount {
		inBubble(t, name, func(t *testing.T) {
			r := newReceiver(t, nil)
			h := wrap(r)
			if w := ask(h, callback+"?state=s"); w.Code != http.StatusBadRequest {
				t.Errorf("before a login, the redirect gets %d", w.Code)
			}
			for range 2 {
				w := receive(t, r, h, callback+"?state=s")
				if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/callback/done" {
					t.Errorf("the redirect gets %d", w.Code)
				}
				if w := ask(h, callback+"/done"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Signed in") {
					t.Errorf("the last page is %d %s", w.Code, w.Body)
				}
				if w := ask(h, callback+"?state=s"); w.Code != http.StatusSeeOther {
					t.Errorf("a reload gets %d", w.Code)
				}
			}
		})
	}
}

// TestReceiverAddress: an embedder's server may have any name, and TLS. The
// redirect URI stays as it is, and a browser that writes it in another way finds
// it.
func TestReceiverAddress(t *testing.T) {
	for uri, asked := range map[string]string{
		"https://login.example/callback":        "https://login.example/callback?",
		"https://login.example:443/callback":    "https://login.example/callback?",
		"http://LOCALHOST:80/a%20b":             "http://localhost/a%20b?",
		"http://127.0.0.1:8080":                 "http://127.0.0.1:8080/?",
		"http://[::1]:8080/callback/":           "http://[::1]:8080/callback/?",
		"http://127.0.0.1:8080/callback?a=b":    "http://127.0.0.1:8080/callback?a=b&",
		"http://127.0.0.1:8080/tenant%2Fa/back": "http://127.0.0.1:8080/tenant%2Fa/back?",
	} {
		inBubble(t, uri, func(t *testing.T) {
			r, err := loopback.NewReceiver(uri, nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.RedirectURI() != uri {
				t.Errorf("it was changed to %s", r.RedirectURI())
			}
			w := receive(t, r, r, asked+"state=s")
			if w.Code != http.StatusSeeOther {
				t.Fatalf("the redirect gets %d", w.Code)
			}
			base, err := url.Parse(asked)
			if err != nil {
				t.Fatal(err)
			}
			last, err := base.Parse(w.Header().Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			if w := ask(r, last.String()); w.Code != http.StatusOK || last.RawQuery != "" {
				t.Errorf("the last page %s is %d", last, w.Code)
			}
		})
	}
}

// TestReceiveArguments: one at a time, and with both functions.
func TestReceiveArguments(t *testing.T) {
	r := newReceiver(t, nil)
	never := func(url.Values) bool { return false }
	finish := func(context.Context, url.Values) error { return nil }
	if err := r.Receive(t.Context(), nil, finish); !errors.Is(err, grant.ErrArgument) {
		t.Errorf("without ours: %v", err)
	}
	if err := r.Receive(t.Context(), never, nil); !errors.Is(err, grant.ErrArgument) {
		t.Errorf("without finish: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() { first <- r.Receive(ctx, never, finish) }()
		synctest.Wait()
		if err := r.Receive(ctx, never, finish); !errors.Is(err, grant.ErrArgument) {
			t.Errorf("a second one at the same time: %v", err)
		}
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("the first one: %v", err)
		}
	})
}

// TestFinishPanics: the panic is the caller's, and the browser is told that the
// login has failed.
func TestFinishPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t, nil)
		go func() {
			synctest.Wait()
			ask(r, "http://127.0.0.1:8080/callback?state=s")
		}()
		defer func() {
			if recover() != "from finish" {
				t.Error("the panic was swallowed")
			}
			if w := ask(r, "http://127.0.0.1:8080/callback/done"); w.Code != http.StatusInternalServerError {
				t.Errorf("the last page is %d", w.Code)
			}
		}()
		_ = r.Receive(t.Context(), isState("s"), func(context.Context, url.Values) error { panic("from finish") })
	})
}

// TestOwnPages: an embedder's pages are served as they are, with a policy that
// lets them have styles.
func TestOwnPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t, &loopback.Options{Page: func(o loopback.Outcome) []byte {
			if o != loopback.SignedIn {
				return nil
			}
			return []byte("<!DOCTYPE html><title>Ours</title>")
		}})
		receive(t, r, r, "http://127.0.0.1:8080/callback?state=s")
		w := ask(r, "http://127.0.0.1:8080/callback/done")
		policy := w.Header().Get("Content-Security-Policy")
		if w.Body.String() != "<!DOCTYPE html><title>Ours</title>" || !strings.Contains(policy, "style-src 'unsafe-inline'") {
			t.Errorf("the page is %s with the policy %s", w.Body, policy)
		}
		w = ask(r, "http://127.0.0.1:8080/callback")
		checkSecure(t, w.Header())
		if !strings.Contains(w.Body.String(), "No sign-in waits here") {
			t.Errorf("the page that is built in is %s", w.Body)
		}
	})
}
