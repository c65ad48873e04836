package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// TestTokenTakesOneLook: with a valid token, that is one look into the store, and
// neither a lock nor a place for one.
func TestTokenTakesOneLook(t *testing.T) {
	provider, err := issuer.Start(&issuer.Options{Clients: []issuer.Client{{ID: "cli"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	p := newTestProgram(t)
	shelf := &lookedAt{}
	p.keychain = shelf
	if code := p.runAndVisit(t.Context(), []string{"--issuer", provider.URL(), "--client-id", "cli", "--no-browser"}); code != exitDone {
		t.Fatalf("login: exit code %d\n%s", code, p.stderr)
	}
	shelf.looks.Store(0)
	locks := filepath.Join(t.TempDir(), "locks")
	out := new(bytes.Buffer)
	p.out = out
	if code := p.run(t.Context(), []string{"token", "--lock-dir", locks}); code != exitDone || out.Len() == 0 {
		t.Errorf("token: exit code %d\n%s", code, p.stderr)
	}
	if n := shelf.looks.Load(); n != 1 {
		t.Errorf("it looked %d times", n)
	}
	if _, err := os.Stat(locks); err == nil {
		t.Error("there is a place for locks")
	}
}

// lookedAt counts the looks into a store.
type lookedAt struct {
	countingStore
	looks atomic.Int32
}

func (s *lookedAt) Load(ctx context.Context, key string) ([]byte, error) {
	s.looks.Add(1)
	return s.countingStore.Load(ctx, key)
}
