package loopback_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
	"github.com/oauth-login/oauth-login/loopback"
)

// A program that has a server of its own: it mounts the receiver there.
type mounted struct {
	path  string // of the redirect URI
	mount func(receiver http.Handler) http.Handler
}

// middleware counts requests, and hides what the ResponseWriter can do beside
// writing.
func middleware(seen *atomic.Int32) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen.Add(1)
			w.Header().Set("X-Program", "ours")
			next.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		})
	}
}

func mounts(seen *atomic.Int32) map[string]mounted {
	return map[string]mounted{
		"chi": {"/callback", func(receiver http.Handler) http.Handler {
			router := chi.NewRouter()
			router.Use(middleware(seen))
			router.Handle("/callback", receiver)
			router.Handle("/callback/done", receiver)
			return router
		}},
		"chi below a prefix": {"/auth/callback", func(receiver http.Handler) http.Handler {
			router := chi.NewRouter()
			router.Route("/auth", func(auth chi.Router) {
				auth.Use(middleware(seen))
				auth.Mount("/callback", receiver)
			})
			return router
		}},
		"mux": {"/callback", func(receiver http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/callback", receiver)
			mux.Handle("/callback/", receiver)
			return middleware(seen)(mux)
		}},
		"mux below a prefix": {"/auth/a%2Fb/callback", func(receiver http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/auth/", http.StripPrefix("/auth", receiver))
			return middleware(seen)(mux)
		}},
		"mux below two prefixes": {"/app/auth/callback", func(receiver http.Handler) http.Handler {
			inner := http.NewServeMux()
			inner.Handle("/auth/", http.StripPrefix("/auth", receiver))
			outer := http.NewServeMux()
			outer.Handle("/app/", http.StripPrefix("/app", middleware(seen)(inner)))
			return outer
		}},
		"rewritten": {"/callback", func(receiver http.Handler) http.Handler {
			return middleware(seen)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.URL.Path = strings.TrimPrefix(r.URL.Path, "/")
				r.URL.Path = "/" + r.URL.Path
				receiver.ServeHTTP(w, r)
			}))
		}},
	}
}

// TestMountedOnServers: a whole login with the router, the middleware and the
// server of the program, twice in a row.
func TestMountedOnServers(t *testing.T) {
	var seen atomic.Int32
	for name, m := range mounts(&seen) {
		t.Run(name, func(t *testing.T) {
			seen.Store(0)
			handler := new(atomic.Pointer[http.Handler])
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(w, r) }))
			defer server.Close()
			iss, client := startTest(t, &issuertest.Options{RedirectURIs: []string{"http://127.0.0.1" + m.path}})
			receiver, err := loopback.NewReceiver(server.URL+m.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			h := m.mount(receiver)
			handler.Store(&h)
			for range 2 {
				token := signInAt(deadline(t), t, iss, client, receiver)
				page := iss.LastPage()
				if token == nil || page.Status != http.StatusOK || page.URL != server.URL+m.path+"/done" || !strings.Contains(page.Body, "Signed in") {
					t.Errorf("the last page is %+v", page)
				}
			}
			got, err := load(t.Context(), server.URL+m.path+"/elsewhere")
			if err != nil || got.status != http.StatusNotFound {
				t.Errorf("another path is %d, %v", got.status, err)
			}
			if seen.Load() < 4 {
				t.Errorf("the middleware saw %d requests", seen.Load())
			}
		})
	}
}

// signInAt is one login without a server of the package's own.
func signInAt(ctx context.Context, t *testing.T, iss *issuertest.Issuer, client *grant.Client, receiver *loopback.Receiver) *grant.Token {
	t.Helper()
	flow, err := client.Authorize(ctx, receiver.RedirectURI())
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		err := iss.Open(ctx, flow.URL)
		for err == nil && iss.LastPage().Status == http.StatusBadRequest { // Receive has not begun
			err = iss.Open(ctx, flow.URL)
		}
		opened <- err
	}()
	var token *grant.Token
	err = receiver.Receive(ctx, flow.Ours, func(ctx context.Context, params url.Values) (err error) {
		token, err = flow.Exchange(ctx, params)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
	return token
}

// TestMountedWithTLS: on a server with a certificate, over HTTP/2 as well.
func TestMountedWithTLS(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		handler := new(atomic.Pointer[loopback.Receiver])
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.Load().ServeHTTP(w, r) }))
		server.EnableHTTP2 = http2
		server.StartTLS()
		defer server.Close()
		receiver, err := loopback.NewReceiver(server.URL+"/callback", nil)
		if err != nil {
			t.Fatal(err)
		}
		handler.Store(receiver)
		s := startToy(t, nil)
		flow, err := s.client.Authorize(t.Context(), receiver.RedirectURI())
		if err != nil {
			t.Fatal(err)
		}
		pages := make(chan page, 1)
		go func() {
			pages <- lastPage(t, server.Client(), server.URL+"/callback?code=secret-code&state="+stateOf(flow.URL))
		}()
		err = receiver.Receive(deadline(t), flow.Ours, func(ctx context.Context, params url.Values) error {
			_, err := flow.Exchange(ctx, params)
			return err
		})
		got := <-pages
		if err != nil || got.status != http.StatusOK || got.url != server.URL+"/callback/done" || (got.body == "HTTP/2.0") != http2 {
			t.Errorf("the last page is %+v, %v", got, err)
		}
	}
}

// lastPage is where a browser ends up, with the protocol in place of the body. It
// tries again as long as Receive has not begun.
func lastPage(t *testing.T, client *http.Client, address string) page {
	for {
		resp, err := client.Get(address)
		if err != nil {
			t.Error(err)
			return page{}
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest || t.Context().Err() != nil {
			return page{url: resp.Request.URL.String(), status: resp.StatusCode, body: resp.Proto}
		}
	}
}
