//go:build unix

package store

import (
	"io/fs"
	"os"
	"syscall"
)

// checkOwner refuses a file or directory that is not this user's alone.
func checkOwner(path string, info fs.FileInfo) error { return checkMode(path, info, 0o077) }

// checkWriters refuses one that somebody else can change.
func checkWriters(path string, info fs.FileInfo) error { return checkMode(path, info, 0o022) }

func checkMode(path string, info fs.FileInfo, refused fs.FileMode) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid != uint32(os.Geteuid()) {
		return unsafe("run the command as the user that it belongs to, or make it yours: chown $(id -un) "+shellWord(path),
			"%s belongs to another user", path)
	}
	if info.Mode().Perm()&refused != 0 {
		mode := "600"
		if info.IsDir() {
			mode = "700"
		}
		return unsafe("chmod "+mode+" "+shellWord(path), "others can use %s (mode %03o)", path, info.Mode().Perm())
	}
	return nil
}

// checkKeyOwner does the same for a file that the administrator may have put
// there: one of root's may be for a group, as systemd's credentials are.
func checkKeyOwner(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok && stat.Uid == 0 && os.Geteuid() != 0 && info.Mode().Perm()&0o027 == 0 {
		return nil
	}
	return checkOwner(path, info)
}
