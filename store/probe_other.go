//go:build !(linux || netbsd || openbsd || ((dragonfly || freebsd) && cgo))

package store

import (
	"context"
	"os"
	"runtime"
)

// probePlatform knows what can be known without asking the keychain: whether it
// could ask the person for a password. Over SSH, security(1) fails instead.
func probePlatform(context.Context) (prompts bool, err error) {
	return runtime.GOOS == "darwin" && os.Getenv("SSH_CONNECTION") == "", nil
}

func dbusReason(error) (Reason, bool) { return "", false }

func dbusTransient(error) bool { return false }
