//go:build linux || netbsd || openbsd || ((dragonfly || freebsd) && cgo)

package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/godbus/dbus/v5"
)

// The Secret Service API, version 0.2.
const (
	secretsName         = "org.freedesktop.secrets"
	secretsPath         = dbus.ObjectPath("/org/freedesktop/secrets")
	secretsInterface    = "org.freedesktop.Secret.Service"
	collectionInterface = "org.freedesktop.Secret.Collection"
	loginCollection     = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")
	errServiceUnknown   = "org.freedesktop.DBus.Error.ServiceUnknown"
	errNameHasNoOwner   = "org.freedesktop.DBus.Error.NameHasNoOwner"
)

// probePlatform asks the session bus whether there is a Secret Service that can
// be used. It starts nothing and makes nothing ask for a password. prompts says
// that the service may ask, and somebody can answer.
//
// The connection is the one that go-keyring will use, so nothing is done twice. A
// bus that takes connections and says nothing keeps both waiting for ever, and a
// daemon that is stopped for as long as it is.
func probePlatform(ctx context.Context) (prompts bool, err error) {
	if err := findBus(); err != nil {
		return false, absent("there is no session bus: %w", err)
	}
	bus, err := dbus.SessionBus()
	if err != nil {
		return false, absent("the session bus cannot be used: %w", err)
	}
	return askBus(ctx, bus)
}

// findBus finds the address of the bus as go-keyring does, but without its last
// resort, dbus-launch. It ends up in the environment, where go-keyring finds it.
func findBus() error {
	if address := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); address != "" && address != "autolaunch:" {
		return nil
	}
	bus, err := dbus.SessionBusPrivateNoAutoStartup()
	if err != nil {
		return err
	}
	return bus.Close()
}

// askBus asks for the state of the usual collection before it is known to be
// there: nearly always, that is all there is to ask.
func askBus(ctx context.Context, bus *dbus.Conn) (prompts bool, err error) {
	asks := asksAlways(bus)
	locked, err := isLocked(ctx, bus, loginCollection)
	if err == nil && !locked {
		return asks(), nil
	}
	var collections []dbus.ObjectPath
	err = property(ctx, bus, secretsPath, secretsInterface, "Collections", &collections)
	if dbusError, ok := errors.AsType[dbus.Error](err); ok && slices.Contains([]string{errServiceUnknown, errNameHasNoOwner}, dbusError.Name) {
		return startable(ctx, bus)
	}
	if err != nil {
		return false, &UnavailableError{Reason: Failed, Backend: secretService, Err: err}
	}
	prompts, err = lockState(ctx, bus, collections)
	return prompts || err == nil && asks(), err
}

// asksAlways finds out, while other questions are under way, whether the person
// may be asked although nothing is locked: KeePassXC asks for every program that
// it has not seen, and (2.7.4, 2026) for every item that is to be replaced.
func asksAlways(bus *dbus.Conn) (asks func() bool) {
	if !display() {
		return func() bool { return false }
	}
	owner := bus.BusObject().Go("org.freedesktop.DBus.NameHasOwner", 0, make(chan *dbus.Call, 1), "org.keepassxc.KeePassXC.MainWindow")
	return func() bool {
		var owned bool
		return (<-owner.Done).Store(&owned) == nil && owned
	}
}

func absent(format string, args ...any) error {
	return &UnavailableError{Reason: Absent, Backend: secretService, Err: fmt.Errorf(format, args...)}
}

// property asks for a property, without starting what owns it.
func property(ctx context.Context, bus *dbus.Conn, path dbus.ObjectPath, iface, name string, value any) error {
	var v dbus.Variant
	get := bus.Object(secretsName, path).
		Go("org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart, make(chan *dbus.Call, 1), iface, name)
	select {
	case <-get.Done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := get.Store(&v); err != nil {
		return err
	}
	return v.Store(value)
}

func isLocked(ctx context.Context, bus *dbus.Conn, collection dbus.ObjectPath) (locked bool, err error) {
	err = property(ctx, bus, collection, collectionInterface, "Locked", &locked)
	return locked, err
}

// startable tells whether the bus would start a service when it is called. A
// service that was just started is locked, so it may ask.
func startable(ctx context.Context, bus *dbus.Conn) (prompts bool, err error) {
	var names []string
	if err := bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.ListActivatableNames", 0).Store(&names); err != nil {
		return false, &UnavailableError{Reason: Failed, Backend: secretService, Err: err}
	}
	if !slices.Contains(names, secretsName) {
		return false, absent("nothing on the session bus provides %s", secretsName)
	}
	return display(), nil
}

// lockState looks at the collection that go-keyring will use: login, or else
// the default one.
func lockState(ctx context.Context, bus *dbus.Conn, collections []dbus.ObjectPath) (prompts bool, err error) {
	path := loginCollection
	if !slices.Contains(collections, path) {
		err := bus.Object(secretsName, secretsPath).
			CallWithContext(ctx, secretsInterface+".ReadAlias", dbus.FlagNoAutoStart, "default").Store(&path)
		switch missing := err != nil || path == "/"; {
		case missing && display():
			return true, nil // the service may offer to make one
		case missing:
			return false, absent("it has no collection, and there is no display to make one on")
		}
	}
	locked, err := isLocked(ctx, bus, path)
	if err != nil {
		return false, &UnavailableError{Reason: Failed, Backend: secretService, Err: err}
	}
	switch {
	case !locked:
		return false, nil
	case display():
		return true, nil
	case isKWallet(ctx, bus):
		return false, nil // it says so of wallets that it opens without a question
	}
	// A prompt could still appear, on a desktop that nobody sits at: the session
	// bus of somebody who came over SSH is that of the machine's screen.
	return false, &UnavailableError{Reason: Locked, Backend: secretService, Err: errors.New("there is no display to unlock it on")}
}

// display reports whether a prompt could be seen.
func display() bool { return os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != "" }

func isKWallet(ctx context.Context, bus *dbus.Conn) bool {
	owner := func(name string) (unique string) {
		if bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, name).Store(&unique) != nil {
			return ""
		}
		return unique
	}
	secrets := owner(secretsName)
	for _, name := range []string{"org.kde.kwalletd5", "org.kde.kwalletd6", "org.kde.secretservicecompat"} {
		if secrets != "" && owner(name) == secrets {
			return true
		}
	}
	return false
}

// dbusReason tells what an error of the bus or of the service means.
func dbusReason(err error) (Reason, bool) {
	e, ok := errors.AsType[dbus.Error](err)
	if !ok {
		return "", false
	}
	switch e.Name {
	case "org.freedesktop.Secret.Error.IsLocked":
		return Locked, true
	case errServiceUnknown, errNameHasNoOwner:
		return Absent, true
	}
	return "", false
}

// dbusTransient reports whether an item went away between two calls.
func dbusTransient(err error) bool {
	e, ok := errors.AsType[dbus.Error](err)
	return ok && slices.Contains([]string{
		"org.freedesktop.DBus.Error.UnknownMethod", "org.freedesktop.DBus.Error.UnknownObject", "org.freedesktop.Secret.Error.NoSuchObject",
	}, e.Name)
}
