package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

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
