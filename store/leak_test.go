package store_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/internal/issuer"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// usage is what a process could run out of. Ports are among the files.
type usage struct{ goroutines, files int }

func used() usage {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil { // another system than Linux
		files = nil
	}
	return usage{runtime.NumGoroutine(), len(files)}
}

// wantNoLeak waits until no more is used than before.
func wantNoLeak(t *testing.T, before usage) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		after := used()
		if after.goroutines <= before.goroutines && after.files <= before.files {
			return
		}
		if time.Now().After(deadline) {
			stacks := make([]byte, 64<<10)
			t.Fatalf("used are %+v, before %+v:\n%s", after, before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// A household is one provider with two clients, whose logins go on at the same time
// in one process.
type household struct {
	iss     *issuer.Issuer
	clients []*grant.Client
	visitor issuer.Visitor
}

func newHousehold(t *testing.T) *household {
	t.Helper()
	iss, err := issuer.Start(&issuer.Options{Clients: []issuer.Client{{ID: "one"}, {ID: "two"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { iss.Close() })
	h := &household{iss: iss}
	for _, id := range []string{"one", "two"} {
		h.clients = append(h.clients, &grant.Client{Issuer: iss.URL(), ClientID: id, Scopes: []string{"openid", "offline_access"}, AllowInsecureRequests: true})
	}
	return h
}

// source returns a login of its own: nothing is stored yet.
func (h *household) source(client *grant.Client, opts loopback.Options) *store.Source {
	return &store.Source{Client: client, Store: new(store.Memory), Login: func(ctx context.Context, save save) (*grant.Token, error) {
		opts.Save = save
		return loopback.Login(ctx, client, &opts)
	}}
}

func (h *household) closeIdle() {
	for _, client := range h.clients {
		client.CloseIdleConnections()
	}
}

// manyTimes calls do for the numbers up to n, some at a time.
func manyTimes(n int, do func(i int)) {
	var next atomic.Int64
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				do(int(i))
			}
		})
	}
	done.Wait()
}

// A thousand logins of two clients, eight at a time, and a thousand that are
// cancelled, each somewhere else on its way, leave no goroutine, file or port
// behind; and each gets its own person's token.
func TestNothingIsLeft(t *testing.T) {
	const logins = 1000
	h := newHousehold(t)
	open := func(ctx context.Context, address string) error {
		_, err := h.visitor.Visit(ctx, address)
		return err
	}
	signIn := func(i int) {
		source := h.source(h.clients[i%2], loopback.Options{Open: open})
		token, err := source.SignIn(t.Context())
		if err != nil {
			t.Error(err)
		} else if token.IDToken.Audience[0] != source.Client.ClientID || token.RefreshToken == "" {
			t.Errorf("%s got the token of %s", source.Client.ClientID, token.IDToken.Audience)
		}
	}
	signIn(0)
	h.closeIdle()
	before := used()

	start := time.Now()
	manyTimes(logins, signIn)
	h.closeIdle()
	wantNoLeak(t, before)
	t.Logf("%d logins took %v", logins, time.Since(start))

	start = time.Now()
	var late atomic.Int32
	manyTimes(logins, func(i int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		opts := loopback.Options{Open: open}
		h.cancelAt(i%5, &opts, cancel)
		source := h.source(h.clients[i%2], opts)
		if _, err := source.SignIn(ctx); err == nil {
			late.Add(1)
		} else if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := source.Settle(t.Context()); err != nil {
			t.Error(err)
		}
	})
	h.closeIdle()
	wantNoLeak(t, before)
	t.Logf("%d cancelled ones took %v, %d of them came to their end", logins, time.Since(start), late.Load())
	if late.Load() > logins/10 {
		t.Errorf("%d of %d logins were not cancelled", late.Load(), logins)
	}
}

// cancelAt has a login cancelled at one of five steps.
func (h *household) cancelAt(step int, opts *loopback.Options, cancel func()) {
	at := func(kind loopback.EventKind) func(loopback.Event) {
		return func(e loopback.Event) {
			if e.Kind == kind {
				cancel()
			}
		}
	}
	switch step {
	case 0:
		cancel() // before it has begun
	case 1:
		opts.Notify = at(loopback.Listening)
	case 2:
		opts.Notify = at(loopback.AuthorizationURL)
	case 3:
		opts.Open = func(context.Context, string) error { cancel(); return nil } // nobody comes
	case 4:
		opts.Notify = at(loopback.Received)
	}
}
