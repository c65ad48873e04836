package store

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// userLocks is the directory of this user's locks. Windows names it, and not a
// variable such as LOCALAPPDATA: processes that use one Credential Manager have
// to meet, whatever their environment says.
func userLocks() (string, error) {
	local, err := windows.KnownFolderPath(windows.FOLDERID_LocalAppData, windows.KF_FLAG_DEFAULT)
	if err != nil {
		return "the directory of locks", err
	}
	return filepath.Join(local, "oauth-login", "locks"), nil
}

// checkPrivate refuses what leads elsewhere. Who may write below the user's own
// folder is what Windows has set up.
func checkPrivate(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() { // neither is a link or a junction
		return errors.New("it is not a directory")
	}
	return nil
}
