//go:build linux || netbsd || openbsd || ((dragonfly || freebsd) && cgo)

package store

import "github.com/godbus/dbus/v5"

const (
	itemInterface    = "org.freedesktop.Secret.Item"
	sessionInterface = "org.freedesktop.Secret.Session"
)

// Glance reads an item as go-keyring does, with fewer calls where nothing has to be
// unlocked, which is what nearly every use of a login consists of: it finds the item
// in the usual collection (Secret Service API, version 0.2). It starts nothing and
// makes nothing ask for a password, so it needs no look before. ok is false where
// there is more to it, also when no item was found, which a locked collection may say
// of one that it has.
func (osRing) Glance(service, user string) (secret string, ok bool) {
	if findBus() != nil {
		return "", false
	}
	bus, err := dbus.SessionBus() // which the probe and go-keyring use too
	if err != nil {
		return "", false
	}
	ask := func(path dbus.ObjectPath, method string, args ...any) *dbus.Call {
		return bus.Object(secretsName, path).Call(method, dbus.FlagNoAutoStart, args...)
	}
	// The search comes first, and is waited for: now and then gnome-keyring (42 to 50,
	// 2026) does not know a client that has just come. It answers a search with an error
	// then, but a session that is asked for makes it abort.
	var items []dbus.ObjectPath
	found := ask(loginCollection, collectionInterface+".SearchItems", map[string]string{"username": user, "service": service})
	if found.Store(&items) != nil || len(items) == 0 {
		return "", false
	}
	var output dbus.Variant
	var session dbus.ObjectPath
	if ask(secretsPath, secretsInterface+".OpenSession", "plain", dbus.MakeVariant("")).Store(&output, &session) != nil {
		return "", false
	}
	defer ask(session, sessionInterface+".Close")
	var item struct {
		Session           dbus.ObjectPath
		Parameters, Value []byte
		ContentType       string
	}
	if ask(items[0], itemInterface+".GetSecret", session).Store(&item) != nil {
		return "", false
	}
	return string(item.Value), true
}
