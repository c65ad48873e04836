package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"
)

// explain turns an error of the operating system into one of this package.
func (e *EncryptedFile) explain(err *error) {
	*err = explainFile(encryptedFileName, *err)
}

func explainFile(backend string, err error) error {
	if unavailable, ok := errors.AsType[*UnavailableError](err); ok {
		if unavailable.Backend == "" {
			unavailable.Backend = backend
		}
		return err
	}
	_, inFile := errors.AsType[*fs.PathError](err)
	_, inLink := errors.AsType[*os.LinkError](err)
	_, inCall := errors.AsType[syscall.Errno](err)
	if !inFile && !inLink && !inCall {
		return err
	}
	unavailable := &UnavailableError{Reason: Failed, Backend: backend, Err: err,
		Hint: "run the command again; if it stays, look at the directory, at the disk and at the limits of the process (ulimit -a)"}
	switch {
	case isDiskFull(err):
		unavailable.Reason, unavailable.Hint = Full, "make room on the disk that holds it, then run the command again"
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		unavailable.Reason, unavailable.Hint = Denied, "make the directory writable for this user, or choose another place for it"
	}
	return unavailable
}

// homeless explains that the system names no place for files.
func homeless(backend string, err error) error {
	hint := "set HOME to your home directory, by its whole name; an XDG variable has to be a whole name, too"
	if runtime.GOOS == "windows" {
		hint = "set AppData and LocalAppData, as the system does for those who sign in to it"
	}
	return &UnavailableError{Reason: Absent, Backend: backend, Err: err, Hint: hint}
}

// Error numbers of Windows, as they are not in package syscall everywhere.
const (
	errorHandleDiskFull = syscall.Errno(39)
	errorDiskFull       = syscall.Errno(112)
)

func isDiskFull(err error) bool {
	if runtime.GOOS == "windows" {
		return errors.Is(err, errorHandleDiskFull) || errors.Is(err, errorDiskFull)
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// unsafe is an error about a file that others can get at, and what mends it.
func unsafe(hint, format string, args ...any) error {
	return &UnavailableError{Reason: Unsafe, Err: fmt.Errorf(format, args...), Hint: hint}
}

// shellWord quotes a path for a command that people copy.
func shellWord(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+@%,:", r)
	}
	if strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
