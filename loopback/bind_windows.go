package loopback

import (
	"errors"
	"slices"
	"syscall"
)

// Error codes of Winsock; package syscall has its own, invented values for
// their names.
const (
	wsaEProtoNoSupport = syscall.Errno(10043)
	wsaEAFNoSupport    = syscall.Errno(10047)
	wsaEAddrInUse      = syscall.Errno(10048)
	wsaEAddrNotAvail   = syscall.Errno(10049)
)

// isTaken reports whether another port may work. A port in a range that
// Hyper-V or WSL has reserved leads to WSAEACCES.
func isTaken(err error) bool {
	return errors.Is(err, wsaEAddrInUse) || errors.Is(err, syscall.WSAEACCES)
}

// isWithoutIPv6 reports whether this machine has no ::1 at all.
func isWithoutIPv6(err error) bool {
	return errors.Is(err, wsaEAddrNotAvail) || errors.Is(err, wsaEAFNoSupport) || errors.Is(err, wsaEProtoNoSupport)
}

func bindHint(attempts []error) string {
	reserved := func(err error) bool { return errors.Is(err, syscall.WSAEACCES) }
	if !slices.ContainsFunc(attempts, reserved) {
		return ""
	}
	return " (Windows reserves ports: netsh interface ipv4 show excludedportrange protocol=tcp)"
}
