package store

import (
	"errors"
	"fmt"
	"time"
)

// ErrNotFound says that nothing is stored under a key.
var ErrNotFound = errors.New("no login is stored")

// ErrLoginRequired says that there is no token to be had without the person:
// nobody signed in, or the provider does not accept the refresh token any more.
// The cause is in the chain.
var ErrLoginRequired = errors.New("login required")

// ErrNewer says that a login was stored by a newer version of this package. It
// is left as it is.
var ErrNewer = errors.New("the login was stored by a newer version of this program; update this one")

// A DamagedError says that what is stored is not a record, or not the one of
// this login. A new login replaces it; nothing else does.
type DamagedError struct {
	// Reason says what is wrong with it.
	Reason string
	// Copy is the key under which the store keeps what was replaced, empty where
	// nothing is kept, or nothing was replaced yet. See Source.Damaged.
	Copy string
}

// Error says what is wrong with the login.
func (e *DamagedError) Error() string { return "the stored login is damaged: " + e.Reason }

// A Reason says why a store cannot be used.
type Reason string

// The reasons of an UnavailableError.
const (
	Absent    Reason = "absent"     // there is none
	Locked    Reason = "locked"     // and it was not unlocked, or nobody can be asked to
	TimedOut  Reason = "timed out"  // it did not answer
	Denied    Reason = "denied"     // the person or the system refused
	Full      Reason = "full"       // it takes no more entries
	TooBig    Reason = "too big"    // the record is larger than an entry may be
	NotStored Reason = "not stored" // it reported success and did not do what was asked
	Unsafe    Reason = "unsafe"     // other users can get at what it holds
	WrongKey  Reason = "wrong key"  // the passphrase or identity is not the one of what is stored
	Failed    Reason = "failed"     // anything else
)

// An UnavailableError says that a store cannot be used, and why. Tell the
// reasons apart with errors.As.
type UnavailableError struct {
	Reason  Reason // what kind of trouble it is
	Backend string // what people call it, such as "Secret Service"
	Err     error  // the error underneath, nil for none
	Hint    string // the best way out, where it takes more than the Reason to know
}

// Error says which store it is, and why it cannot be used.
func (e *UnavailableError) Error() string {
	text := e.Backend + " "
	switch e.Reason {
	case Absent:
		text += "is not there"
	case Locked:
		text += "is locked"
	case TimedOut:
		text += "does not answer"
	case Denied:
		text += "denied the access"
	case Full:
		text += "is full"
	case TooBig:
		text += "cannot hold a login of this size"
	case Unsafe:
		text += "is not safe"
	case WrongKey:
		text += "does not open with this key"
	case NotStored:
		text += "reported success, but did not do what was asked"
	default:
		text += "failed"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the error underneath, if any.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Hints are the ways out, for the person: whole sentences without a full stop,
// the best one first.
func (e *UnavailableError) Hints() []string {
	if e.Hint != "" {
		return []string{e.Hint}
	}
	if hints := hints[e.Backend][e.Reason]; hints != nil {
		return hints
	}
	switch e.Reason {
	case TooBig:
		return []string{"ask the provider for fewer scopes or claims, so that its tokens become smaller"}
	case TimedOut:
		return []string{"look for a window that asks for a password, then run the command again"}
	case Denied:
		return []string{"run the command again and allow the access"}
	}
	return []string{"run the command again; if it stays, restart the " + e.Backend}
}

// ownSession makes a keychain for one shell, where there is no desktop.
const ownSession = "without a desktop: run 'dbus-run-session -- sh', in it 'gnome-keyring-daemon --unlock', and type a password, Enter and Ctrl-D"

// hints holds what is different from keychain to keychain.
var hints = map[string]map[Reason][]string{
	secretService: {
		Absent:    {"start a keychain such as gnome-keyring or KWallet on the session bus", ownSession},
		Locked:    {"unlock the keyring in the desktop session, then run the command again", ownSession},
		TimedOut:  {"restart the keyring's daemon, or look for a window that asks for its password"},
		NotStored: {"run the command again and confirm the keyring's question, if it asks one"},
	},
	macKeychain: {
		Locked:   {"unlock it, over SSH too: security unlock-keychain"},
		Denied:   {"run the command again and choose Allow, or unlock it: security unlock-keychain"},
		TimedOut: {"look for a window that asks for the keychain's password, then run the command again"},
	},
	windowsVault: {
		Absent: {"sign in at the machine or with Remote Desktop: a network logon, such as SSH with a key, has no Credential Manager"},
		Full:   {"remove entries that you do not need: control keymgr.dll"},
	},
}

func timedOut(backend string, after time.Duration) *UnavailableError {
	return &UnavailableError{Reason: TimedOut, Backend: backend, Err: fmt.Errorf("no answer within %v", after)}
}
