//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// othersRead reports whether others can read a file. One of root's may be for a
// group, as the credentials of systemd are, and a pipe is its maker's concern.
func othersRead(info fs.FileInfo) bool {
	mode := info.Mode().Perm()
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid == 0 && os.Geteuid() != 0 {
		mode &^= 0o040
	}
	return info.Mode().IsRegular() && mode&0o044 != 0
}
