//go:build unix

package loopback

import (
	"errors"
	"syscall"
)

// isTaken reports whether another port may work.
func isTaken(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

// isWithoutIPv6 reports whether this machine has no ::1 at all.
func isWithoutIPv6(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) ||
		errors.Is(err, syscall.EPROTONOSUPPORT)
}

func bindHint([]error) string { return "" }
