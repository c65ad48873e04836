//go:build unix

package store

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// The directory follows from the user, not from the environment.
func TestUserLocks(t *testing.T) {
	want, err := userLocks()
	if err != nil {
		t.Skip(err) // a user without a home directory
	}
	for _, name := range []string{"HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "TMPDIR", "USER", "LOGNAME"} {
		t.Setenv(name, t.TempDir())
	}
	if got, err := userLocks(); got != want || err != nil {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

// The directory is the same whether the user has a session or not, and has one
// wherever the user is known.
func TestLocksOf(t *testing.T) {
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		t.Skip("macOS is asked for its users")
	}
	dir := t.TempDir()
	users := filepath.Join(dir, "passwd")
	text := "# comment\nroot:x:0:0:root:/users/root:/bin/sh\nshort:x:1001\nann:x:1000:1000:Ann,,,:/users/ann:/bin/sh\nhomeless:x:1002:1002:::/bin/sh\n" +
		"+::::::\nsecond:x:1000:1000::/users/second:/bin/sh\n"
	if err := os.WriteFile(users, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		uid         int
		users, want string
	}{
		{1000, users, "/users/ann/.cache/oauth-login/locks"},
		{100, users, "/shared/oauth-login-100"},
		{1001, users, "/shared/oauth-login-1001"},
		{1002, users, "/shared/oauth-login-1002"},
		{1003, users, "/shared/oauth-login-1003"}, // of a directory service
		{1000, filepath.Join(dir, "none"), "/shared/oauth-login-1000"},
	} {
		if got, err := locksOf(test.uid, test.users, "/shared"); got != test.want || err != nil {
			t.Errorf("%d: %s, %v; want %s", test.uid, got, err, test.want)
		}
	}
	if _, err := locksOf(1000, dir, "/shared"); err == nil {
		t.Error("users that cannot be read are taken for none")
	}
}

// A directory beside those of other users serves, unless somebody else was there
// first.
func TestLocksBesideThoseOfOthers(t *testing.T) {
	dir, err := locksOf(os.Geteuid(), filepath.Join(t.TempDir(), "none"), t.TempDir())
	if err != nil {
		t.Skip(err)
	}
	unlock, err := fileLocks{dir}.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.Rename(dir, dir+"-moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir+"-moved", dir); err != nil {
		t.Fatal(err)
	}
	if _, err := (fileLocks{dir}).Lock(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("error %v", err)
	}
}

// A lock is had only on the file that others will ask for.
func TestLockFileRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.lock")
	file := flock.New(path)
	if ok, err := file.TryLock(); !ok {
		t.Fatal(err)
	}
	defer file.Unlock()
	if !inPlace(file) {
		t.Error("the lock file is not the one that is there")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if inPlace(file) {
		t.Error("a lock file that was removed is taken for the one that is there")
	}
	touchFile(t, path)
	if inPlace(file) {
		t.Error("a lock file is taken for the one that has come in its place")
	}
}

func touchFile(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What removes old files does not take one that is in use for old.
func TestLockFileIsNew(t *testing.T) {
	locks := fileLocks{t.TempDir()}
	path := filepath.Join(locks.dir, "a.lock")
	old := time.Now().Add(-100 * 24 * time.Hour)
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, old, old)); err != nil {
		t.Fatal(err)
	}
	unlock, err := locks.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if info, err := os.Stat(path); err != nil || time.Since(info.ModTime()) > time.Hour {
		t.Errorf("%v, %v", info, err)
	}
}

// TestProbeLocks: it says where the locks are, or why none can be had, and never waits
// for a login.
func TestProbeLocks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "locks")
	for range 2 {
		if got, err := ProbeLocks(t.Context(), dir); err != nil || got != dir {
			t.Errorf("%s, %v", got, err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	got, err := ProbeLocks(t.Context(), dir)
	if locked, ok := errors.AsType[*LockError](err); !ok || locked.Path != dir || got != dir {
		t.Errorf("where others may write: %s, %v", got, err)
	}
}
