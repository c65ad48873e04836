//go:build linux || netbsd || openbsd || ((dragonfly || freebsd) && cgo)

package store

import "github.com/godbus/dbus/v5"

const (
	itemInterface    = "org.freedesktop.Secret.Item"
	sessionInterface = "org.freedesktop.Secret.Session"
)

// Glance reads an item as go-keyring does, with fewer calls and less waiting where
// nothing has to be unlocked, which is what nearly every use of a login consists of:
// it finds the item in the usual collection (Secret Service API, version 0.2). It
// starts nothing and makes nothing ask for a password, so it needs no look before. ok
// is false where there is more to it, also when no item was found, which a locked
// collection may say of one that it has.
func (osRing) Glance(service, user string) (secret string, ok bool) {
	if findBus() != nil {
		return "", false
	}
	bus, err := dbus.SessionBus() // which the probe and go-keyring use too
	if err != nil {
		return "", false
	}
	ask := func(path dbus.ObjectPath, method string, args ...any) *dbus.Call {
		return bus.Object(secretsName, path).Go(method, dbus.FlagNoAutoStart, make(chan *dbus.Call, 1), args...)
	}
	// Two questions at once.
	opening := ask(secretsPath, secretsInterface+".OpenSession", "plain", dbus.MakeVariant(""))
	finding := ask(loginCollection, collectionInterface+".SearchItems", map[string]string{"username": user, "service": service})
	var output dbus.Variant
	var session dbus.ObjectPath
	var items []dbus.ObjectPath
	found := (<-finding.Done).Store(&items) == nil && len(items) > 0
	if (<-opening.Done).Store(&output, &session) != nil {
		return "", false
	}
	// Nobody waits for the end of the session, which also ends with the connection.
	defer bus.Object(secretsName, session).Go(sessionInterface+".Close", dbus.FlagNoAutoStart|dbus.FlagNoReplyExpected, nil)
	if !found {
		return "", false
	}
	var item struct {
		Session           dbus.ObjectPath
		Parameters, Value []byte
		ContentType       string
	}
	if (<-ask(items[0], itemInterface+".GetSecret", session).Done).Store(&item) != nil {
		return "", false
	}
	return string(item.Value), true
}
