//go:build unix

package store

import (
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
)

// userData is the directory of what this user keeps: it follows from who the user
// is, as their keychain does, and not from variables such as HOME.
func userData() (string, error) {
	owner, err := user.LookupId(strconv.Itoa(os.Geteuid())) // not user.Current, which may take HOME
	if err != nil {
		return "", err
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return filepath.Join(owner.HomeDir, "Library", "Application Support", "oauth-login", "records"), nil
	}
	return filepath.Join(owner.HomeDir, ".local", "share", "oauth-login", "records"), nil
}
