//go:build unix

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// userLocks is the directory of this user's locks. It follows from the user and
// the machine, and not from variables such as HOME or XDG_RUNTIME_DIR: processes
// that use one keychain have to meet, whatever their environment says.
func userLocks() (string, error) { return locksOf(os.Geteuid(), "/run/user") }

func locksOf(uid int, runtimeDirs string) (string, error) {
	if runtime.GOOS == "linux" {
		// Local, and in memory. It is there as long as the user has a session.
		dir := filepath.Join(runtimeDirs, strconv.Itoa(uid))
		if info, err := os.Lstat(dir); err == nil && info.IsDir() && checkOwner(dir, info) == nil {
			return filepath.Join(dir, "oauth-login"), nil
		}
	}
	owner, err := user.LookupId(strconv.Itoa(uid)) // not user.Current, which may take HOME
	if err != nil {
		return "the directory of locks", fmt.Errorf("the user %d has no home directory: %w", uid, err)
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(owner.HomeDir, "Library", "Caches", "oauth-login", "locks"), nil
	}
	return filepath.Join(owner.HomeDir, ".cache", "oauth-login", "locks"), nil
}

// checkPrivate refuses a directory in which others could hold locks, or put
// other files in their place.
func checkPrivate(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return errors.New("it is a symbolic link")
	case !info.IsDir():
		return errors.New("it is not a directory")
	case !ok || owner.Uid != uint32(os.Geteuid()):
		return errors.New("it belongs to another user")
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others may write to it, as its mode is %#o", info.Mode().Perm())
	}
	return nil
}
