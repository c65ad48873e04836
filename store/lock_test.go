package store_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"

	"github.com/oauth-login/oauth-login/store"
)

// shared is a store without locks of its own, as a keychain is, so that files
// are locked for it. Its Sources are as good as processes: nothing else is
// shared among them.
type shared struct{ *shelf }

// Lock hides that of Memory.
func (shared) Lock() {}

// process is a Source in a process of its own.
func (s *scene) process(dir string) *store.Source {
	source := s.source()
	source.Store, source.LockDir = shared{s.shelf}, dir
	return source
}

// lockFile is that of the login of a scene.
func lockFile(dir string) string { return filepath.Join(dir, keyOfScene+".lock") }

// hold takes a lock as another process would, which then has to be told to end.
func hold(t *testing.T, path string) (release func()) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	file := flock.New(path)
	if ok, err := file.TryLock(); !ok {
		t.Fatalf("%s is locked already: %v", path, err)
	}
	t.Cleanup(func() { file.Unlock() })
	return func() { file.Unlock() }
}

func TestManyProcessesRefreshOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.delay = 300 * time.Millisecond
		dir := filepath.Join(t.TempDir(), "a", "b")
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				token, err := s.process(dir).Token(t.Context())
				check(t, token, err, "access-1", nil)
			})
		}
		wg.Wait()
		if n := s.requests(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

// A refresh token that the server refuses is sent once by all who wait to send it.
// Who comes later asks the server again, which may have been mistaken.
func TestManyProcessesShareARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "spent")
		s.delay = 300 * time.Millisecond
		dir := filepath.Join(t.TempDir(), "locks")
		one := s.process(dir)
		var wg sync.WaitGroup
		for i := range 30 {
			source := one
			if i%2 == 0 {
				source = s.process(dir)
			}
			wg.Go(func() {
				_, err := source.Token(t.Context())
				check(t, nil, err, "", store.ErrLoginRequired)
			})
			wg.Go(func() {
				_, err := source.Refresh(t.Context())
				check(t, nil, err, "", store.ErrLoginRequired)
			})
		}
		wg.Wait()
		if n := s.requests(); n != 1 {
			t.Errorf("%d requests", n)
		}
		time.Sleep(time.Second)
		for _, source := range []*store.Source{one, s.process(dir)} {
			_, err := source.Token(t.Context())
			check(t, nil, err, "", store.ErrLoginRequired)
		}
		if n := s.requests(); n != 3 {
			t.Errorf("%d requests in the end", n)
		}
		for _, file := range visible(t, dir) {
			if text, err := os.ReadFile(filepath.Join(dir, file)); err != nil || strings.Contains(string(text), "spent") {
				t.Errorf("%s: %q, %v", file, text, err)
			}
		}
		if err := one.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		if files := visible(t, dir); len(files) != 1 {
			t.Errorf("a deleted login leaves %v", files)
		}
	})
}

// A refresh, and the wait for one, may take as long as the requests of the client.
func TestSlowRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.delay = 100 * time.Second
		dir := t.TempDir()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				source := s.process(dir)
				source.Client.HTTPClient.Timeout = 2 * time.Minute
				token, err := source.Token(t.Context())
				check(t, token, err, "access-1", nil)
			})
		}
		wg.Wait()
	})
}

// A refusal from a time when the clock was wrong is none for those who come later.
func TestRefusalOfTheFuture(t *testing.T) {
	s := after(t, -time.Second, "refresh")
	s.answer = func(url.Values) (int, any) { return 400, map[string]any{"error": "invalid_grant"} }
	dir := t.TempDir()
	token, err := s.process(dir).Token(t.Context())
	check(t, token, err, "", store.ErrLoginRequired)
	file := strings.TrimSuffix(lockFile(dir), ".lock") + ".refused"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	hash, _, _ := strings.Cut(string(text), " ")
	if err := os.WriteFile(file, fmt.Appendf(nil, "%s %d\n", hash, time.Now().Add(time.Hour).UnixNano()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.answer = nil // the server has come to its senses
	token, err = s.process(dir).Token(t.Context())
	check(t, token, err, "access-2", nil)
}

// An API has refused the token of all of them: one new token is enough.
func TestManyProcessesForceOneRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		s.delay = 300 * time.Millisecond
		dir := t.TempDir()
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				source := s.process(dir)
				if i%2 == 0 { // has used the token; the others only know of the store
					if _, err := source.Token(t.Context()); err != nil {
						t.Error(err)
					}
				}
				token, err := source.Refresh(t.Context())
				check(t, token, err, "access-1", nil)
			})
		}
		wg.Wait()
		if n := s.requests(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

// What an API has refused is the token that the process knows. If there is
// another one by now, it need not be bought.
func TestRefreshTakesWhatAnotherProcessHasGot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		dir := t.TempDir()
		source := s.process(dir)
		if _, err := source.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		token, err := s.process(dir).Refresh(t.Context())
		check(t, token, err, "access-1", nil)
		token, err = source.Refresh(t.Context())
		check(t, token, err, "access-1", nil)
		token, err = source.Refresh(t.Context())
		check(t, token, err, "access-2", nil)
	})
}
