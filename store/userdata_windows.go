package store

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// userData is the directory of what this user keeps on this machine. Windows
// names it, and not a variable such as LOCALAPPDATA.
func userData() (string, error) {
	local, err := windows.KnownFolderPath(windows.FOLDERID_LocalAppData, windows.KF_FLAG_DEFAULT)
	if err != nil {
		return "", err
	}
	return filepath.Join(local, "oauth-login", "records"), nil
}
