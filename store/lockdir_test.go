//go:build unix

package store

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
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

func TestUserWithoutHome(t *testing.T) {
	const uid = 1<<31 - 5
	t.Setenv("HOME", t.TempDir())
	if dir, err := locksOf(uid, t.TempDir()); err == nil || !strings.Contains(err.Error(), strconv.Itoa(uid)) {
		t.Errorf("%s, %v", dir, err)
	}
}

// The directory of the user's sessions is taken where nobody else can use it.
func TestRuntimeDirectory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has one")
	}
	uid := os.Geteuid()
	home, err := locksOf(uid, filepath.Join(t.TempDir(), "none"))
	if err != nil {
		t.Skip(err)
	}
	for name, mode := range map[string]os.FileMode{"private": 0o700, "open to others": 0o755, "link": 0} {
		base := t.TempDir()
		dir := filepath.Join(base, strconv.Itoa(uid))
		if mode != 0 {
			err = os.Mkdir(dir, mode)
		} else {
			err = os.Symlink(t.TempDir(), dir)
		}
		if err != nil {
			t.Fatal(err)
		}
		want := home
		if mode == 0o700 {
			want = filepath.Join(dir, "oauth-login")
		}
		if got, err := locksOf(uid, base); got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
}
