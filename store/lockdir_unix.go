//go:build unix

package store

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

const (
	userList    = "/etc/passwd"
	everybodys  = "/tmp"
	sharedPlace = "oauth-login-" // and the number of the user
)

// userLocks is the directory of this user's locks. It follows from the user and
// the machine, and not from variables such as HOME or TMPDIR: processes that use
// one keychain have to meet, whatever their environment says. Nor does it follow
// from what comes and goes, such as /run/user/UID, which is there as long as the
// user has a session: two processes would hold one lock each.
func userLocks() (string, error) { return locksOf(os.Geteuid(), userList, everybodys) }

// locksOf is below the home directory that the system itself knows. Users of a
// directory service (LDAP) and those of a container that are but a number have
// none there, and get a directory of their own beside those of others.
func locksOf(uid int, users, shared string) (string, error) {
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		owner, err := user.LookupId(strconv.Itoa(uid)) // not user.Current, which may take HOME
		if err != nil {
			return "the directory of locks", fmt.Errorf("the user %d has no home directory: %w", uid, err)
		}
		return filepath.Join(owner.HomeDir, "Library", "Caches", "oauth-login", "locks"), nil
	}
	home, err := homeIn(users, uid)
	if err != nil {
		return users, err
	}
	if home == "" {
		return filepath.Join(shared, sharedPlace+strconv.Itoa(uid)), nil
	}
	return filepath.Join(home, ".cache", "oauth-login", "locks"), nil
}

// homeIn is the home directory that a file of users (passwd(5)) has for one, ""
// for none. It is not os/user that looks it up: with cgo that asks directory
// services too, and a program built so would not meet one that is not.
func homeIn(users string, uid int) (home string, err error) {
	file, err := os.Open(users)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		// name:password:UID:GID:comment:home:shell
		if fields := strings.Split(lines.Text(), ":"); len(fields) > 5 && fields[2] == strconv.Itoa(uid) && filepath.IsAbs(fields[5]) {
			return fields[5], nil
		}
	}
	return "", lines.Err()
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
