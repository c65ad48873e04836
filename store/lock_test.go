package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"

	"github.com/oauth-login/oauth-login/grant"
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

// A valid token is handed out whoever has the lock, and nothing is made for it.
func TestValidTokenTakesNoLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		dir := filepath.Join(t.TempDir(), "locks")
		token, err := s.process(dir).Token(t.Context())
		check(t, token, err, "access", nil)
		if got := s.took(); got != "load" {
			t.Errorf("it took %q", got)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("there is a directory of locks")
		}
		defer hold(t, lockFile(dir))()
		began := time.Now()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				token, err := s.process(dir).Token(t.Context())
				check(t, token, err, "access", nil)
			})
		}
		wg.Wait()
		if took := time.Since(began); took != 0 {
			t.Errorf("50 processes waited %v for a lock", took)
		}
	})
}

func TestWaitForAnotherProcess(t *testing.T) {
	tests := []struct {
		name   string
		held   time.Duration // how long the other process has the lock
		told   int           // how often the person is told
		atMost time.Duration
	}{
		{"short", 900 * time.Millisecond, 0, 950 * time.Millisecond},
		{"long", time.Minute, 1, time.Minute + 50*time.Millisecond},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := after(t, -time.Second, "refresh")
				dir := t.TempDir()
				release := hold(t, lockFile(dir))
				time.AfterFunc(test.held, release)
				source := s.process(dir)
				told := 0
				began := time.Now()
				source.Waiting = func(login bool) {
					if told++; login || time.Since(began) != time.Second {
						t.Errorf("told after %v, login %v", time.Since(began), login)
					}
				}
				var waited time.Duration
				source.Waited = func(login bool, took time.Duration) {
					if waited = took; login {
						t.Error("it was no login that was waited for")
					}
				}
				token, err := source.Token(t.Context())
				check(t, token, err, "access-1", nil)
				if waited < test.held || waited > test.atMost {
					t.Errorf("Waited says %v", waited)
				}
				if told != test.told {
					t.Errorf("told %d times, want %d", told, test.told)
				}
				if took := time.Since(began); took < test.held || took > test.atMost {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// What the person is told does not come after the call.
func TestWaitingIsOverWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		dir := t.TempDir()
		time.AfterFunc(2*time.Second, hold(t, lockFile(dir)))
		source := s.process(dir)
		told := false
		source.Waiting = func(bool) {
			time.Sleep(5 * time.Second)
			told = true
		}
		if _, err := source.Token(t.Context()); err != nil || !told {
			t.Errorf("told %v, %v", told, err)
		}
	})
}

func TestWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		dir := t.TempDir()
		defer hold(t, lockFile(dir))()
		source := s.process(dir)
		calls := map[string]func(context.Context) error{
			"Token":   func(ctx context.Context) error { _, err := source.Token(ctx); return err },
			"Refresh": func(ctx context.Context) error { _, err := source.Refresh(ctx); return err },
			"Delete":  source.Delete,
		}
		for name, call := range calls {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Second, cancel)
			began := time.Now()
			if err := call(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(began); took != 10*time.Second {
				t.Errorf("%s left after %v", name, took)
			}
			synctest.Wait()
		}
	})
}

// A process that hangs with the lock does not take others with it.
func TestWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		dir := t.TempDir()
		defer hold(t, lockFile(dir))()
		began := time.Now()
		_, err := s.process(dir).Token(t.Context())
		locked, ok := errors.AsType[*store.LockError](err)
		if !ok || !locked.Busy || locked.Path != lockFile(dir) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took < time.Minute || took > 90*time.Second {
			t.Errorf("it took %v", took)
		}
		if s.requests() != 0 {
			t.Error("the refresh token was sent without the lock")
		}
	})
}

// Whatever is wrong with the lock, a refresh token is not sent without it.
func TestBrokenLock(t *testing.T) {
	tests := []struct {
		name  string
		unix  bool
		says  string
		build func(t *testing.T, dir string)
	}{
		{"a file is in the place of the directory", false, "", func(t *testing.T, dir string) {
			touch(t, dir)
		}},
		{"a directory is in the place of the file", false, "", func(t *testing.T, dir string) {
			mkdir(t, lockFile(dir), 0o700)
		}},
		{"others may write", true, "others may write to it", func(t *testing.T, dir string) {
			mkdir(t, dir, 0o777)
		}},
		{"a group may write", true, "others may write to it", func(t *testing.T, dir string) {
			mkdir(t, dir, 0o770)
		}},
		{"symbolic link", true, "symbolic link", func(t *testing.T, dir string) {
			mkdir(t, dir+"-elsewhere", 0o700)
			if err := os.Symlink(dir+"-elsewhere", dir); err != nil {
				t.Fatal(err)
			}
		}},
		{"of another user", true, "another user", func(t *testing.T, dir string) {
			mkdir(t, dir, 0o700)
			if err := os.Chown(dir, 12345, 12345); err != nil {
				t.Skip("only root can give a directory away")
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.unix && runtime.GOOS == "windows" {
				t.Skip("Windows has no such directories")
			}
			dir := filepath.Join(t.TempDir(), "locks")
			test.build(t, dir)
			synctest.Test(t, func(t *testing.T) {
				s := nearEnd(t, "refresh")
				source := s.process(dir)
				source.Login = never(t)
				token, err := source.Token(t.Context())
				check(t, token, err, "access", nil) // it lives for 20 seconds
				_, refreshErr := source.Refresh(t.Context())
				time.Sleep(21 * time.Second)
				_, tokenErr := source.Token(t.Context())
				for _, err := range []error{refreshErr, tokenErr} {
					locked, ok := errors.AsType[*store.LockError](err)
					if !ok || locked.Busy || !strings.HasPrefix(locked.Path, dir) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), test.says) {
						t.Errorf("error %v", err)
					}
				}
				if err := source.Delete(t.Context()); err == nil {
					t.Error("deleted without the lock")
				}
				if s.requests() != 0 {
					t.Error("the refresh token was sent")
				}
				s.stored(t)
			})
		})
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// mkdir makes a directory with a mode that no umask changes.
func mkdir(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

// Lock files are private, empty, and stay: whoever removed one would let two in.
func TestLockFilesStay(t *testing.T) {
	s := after(t, -time.Second, "refresh")
	dir := filepath.Join(t.TempDir(), "locks")
	source := s.process(dir)
	if _, err := source.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(lockFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(lockFile(dir))
	if err != nil || !os.SameFile(before, after) || after.Size() != 0 {
		t.Errorf("the lock file is another, or holds something: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 || after.Mode().Perm() != 0o600 {
		t.Errorf("modes %v and %v, %v", info.Mode(), after.Mode(), err)
	}
}

// What a given-up call of the store may still write must not meet what the next
// process writes: the lock is kept until that call has come back.
func TestLockOutlastsCallsThatWereGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		dir := t.TempDir()
		slow := &sluggish{shared: shared{s.shelf}, settled: make(chan struct{})}
		source := s.process(dir)
		source.Store = slow
		stuck := &store.UnavailableError{Reason: store.TimedOut, Backend: "test"}
		s.failSaves(stuck)
		token, err := source.Token(t.Context())
		check(t, token, err, "access-1", stuck)

		// Another one waits until it has come back, and finds that the token is spent.
		s.failSaves(nil)
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			token, err := s.process(dir).Token(t.Context())
			check(t, token, err, "", store.ErrLoginRequired)
			if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
				t.Errorf("another process had the lock after %v", took)
			}
		})
		time.Sleep(time.Second)
		// The same one goes on at once.
		s.failSaves(stuck)
		again := time.Now()
		token, err = source.Token(t.Context())
		check(t, token, err, "access-1", stuck)
		if took := time.Since(again); took != 0 {
			t.Errorf("the same process waited %v", took)
		}
		time.Sleep(9 * time.Second)
		close(slow.settled)
		wg.Wait()
	})
}

// sluggish is a store with a call that was given up.
type sluggish struct {
	shared
	settled chan struct{}
}

func (s *sluggish) Settled() <-chan struct{} { return s.settled }

// A logout in one process is not undone by a refresh in another.
func TestDeleteAndRefreshInTwoProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.delay = 10 * time.Second
		dir := t.TempDir()
		var wg sync.WaitGroup
		wg.Go(func() {
			token, err := s.process(dir).Token(t.Context())
			check(t, token, err, "access-1", nil)
		})
		synctest.Wait()
		wg.Go(func() {
			if err := s.process(dir).Delete(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		time.Sleep(20 * time.Second)
		wg.Wait()
		token, err := s.process(dir).Token(t.Context())
		check(t, token, err, "", store.ErrLoginRequired)
		check(t, token, err, "", store.ErrNotFound)
	})
}

// A program that shares no lock with this one signs in, or out, during a refresh.
func TestRefreshDoesNotUndoWhatOthersDid(t *testing.T) {
	tests := []struct {
		name    string
		other   *grant.Token // nil signs out
		want    grant.Secret
		wantErr string
	}{
		{"signed in", &grant.Token{AccessToken: "other", RefreshToken: "other"}, "other", ""},
		{"signed in, expired", &grant.Token{AccessToken: "other", RefreshToken: "other", Expiry: time.Unix(1, 0)}, "", "replaced"},
		{"signed out", nil, "", store.ErrNotFound.Error()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := after(t, -time.Second, "refresh")
				s.delay = time.Second
				time.AfterFunc(time.Second/2, func() {
					if test.other != nil {
						s.signIn(t, test.other)
					} else if err := s.Memory.Delete(t.Context(), keyOfScene); err != nil {
						t.Error(err)
					}
				})
				token, err := s.source().Token(t.Context())
				check(t, token, nil, test.want, nil)
				if (err != nil) != (test.wantErr != "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
					t.Errorf("error %v, want %q", err, test.wantErr)
				}
				if test.other == nil {
					_, err := s.source().Load(t.Context())
					check(t, nil, err, "", store.ErrNotFound)
				} else if got := s.stored(t).Token.AccessToken; got != "other" {
					t.Errorf("stored %q", string(got))
				}
			})
		})
	}
}

// What is revoked at a logout is what is deleted: a refresh under way is waited
// for, and none begins.
func TestSignOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.delay = 10 * time.Second
		dir := t.TempDir()
		var wg sync.WaitGroup
		wg.Go(func() {
			token, err := s.process(dir).Token(t.Context())
			check(t, token, err, "access-1", nil)
		})
		synctest.Wait()
		offline := errors.New("offline")
		for _, failure := range []error{offline, nil} { // the login stays after the first
			var revoked []grant.Secret
			err := s.process(dir).SignOut(t.Context(), func(_ context.Context, record *store.Record) error {
				revoked = append(revoked, record.Token.RefreshToken)
				if failure == nil {
					wg.Go(func() {
						_, err := s.process(dir).Refresh(t.Context())
						check(t, nil, err, "", store.ErrLoginRequired)
					})
					time.Sleep(time.Second)
				}
				return failure
			})
			if !errors.Is(err, failure) || len(revoked) != 1 || revoked[0] != "refresh-1" {
				t.Errorf("revoked %d, %v", len(revoked), err)
			}
		}
		wg.Wait()
		if _, err := s.source().Load(t.Context()); !errors.Is(err, store.ErrNotFound) || s.requests() != 1 {
			t.Errorf("%d requests, Load: %v", s.requests(), err)
		}
		err := s.source().SignOut(t.Context(), func(context.Context, *store.Record) error {
			t.Error("there is nothing to revoke")
			return nil
		})
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("without a login: %v", err)
		}
	})
}

// Files lock themselves: whoever can use them finds the lock beside them.
func TestEncryptedFileHasLocksOfItsOwn(t *testing.T) {
	home, own := t.TempDir(), filepath.Join(t.TempDir(), "locks")
	identity := filepath.Join(home, "identity")
	key := "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n" // of age's own tests
	if err := os.WriteFile(identity, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(home, "records")
	s := &scene{&provider{good: "refresh", delay: 100 * time.Millisecond}, &shelf{}}
	process := func() *store.Source {
		source := s.source()
		source.Store = &store.EncryptedFile{Dir: dir, Identity: identity}
		return source
	}
	first := process()
	first.Login = func(context.Context, save) (*grant.Token, error) {
		return &grant.Token{AccessToken: "access", RefreshToken: "refresh", Expiry: time.Now()}, nil
	}
	if _, err := first.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			token, err := process().Token(t.Context())
			check(t, token, err, "access-1", nil)
		})
	}
	wg.Wait()
	if n := s.requests(); n != 1 {
		t.Errorf("%d requests", n)
	}
	if _, err := os.Stat(lockFile(filepath.Join(dir, "locks"))); err != nil {
		t.Error(err)
	}
	// Unless somebody names another place.
	elsewhere := process()
	elsewhere.LockDir = own
	defer hold(t, lockFile(filepath.Join(dir, "locks")))()
	token, err := elsewhere.Refresh(t.Context())
	check(t, token, err, "access-2", nil)
	if _, err := os.Stat(lockFile(own)); err != nil {
		t.Error(err)
	}
}
