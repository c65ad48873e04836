//go:build !unix && !windows

package store

import "errors"

func userLocks() (string, error) {
	return "the directory of locks", errors.ErrUnsupported
}

func checkPrivate(string) error { return nil }
