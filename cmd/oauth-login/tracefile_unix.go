//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// noFollow opens no symbolic link, and waits for nobody at the other end of a pipe.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// isOwn reports whether a file is this user's, and nobody else can read it.
func isOwn(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Uid == uint32(os.Geteuid()) && info.Mode().Perm()&0o077 == 0
}
