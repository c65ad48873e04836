// Command barest reads one item of the keychain with as few calls as there are, and prints it: the limit for oauth-login's token.
package main

import (
	"fmt"
	"os"

	"github.com/godbus/dbus/v5"
)

const (
	name       = "org.freedesktop.secrets"
	service    = dbus.ObjectPath("/org/freedesktop/secrets")
	collection = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")
)

func main() {
	secret, err := read(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(secret)
}

func read(of, user string) (string, error) {
	bus, err := dbus.SessionBus()
	if err != nil {
		return "", err
	}
	var output dbus.Variant
	var session dbus.ObjectPath
	var items []dbus.ObjectPath
	var item struct {
		Session           dbus.ObjectPath
		Parameters, Value []byte
		ContentType       string
	}
	attributes := map[string]string{"username": user, "service": of}
	for range 10 { // now and then, gnome-keyring (42 to 50, 2026) does not know a client that has just come
		err = bus.Object(name, collection).Call("org.freedesktop.Secret.Collection.SearchItems", 0, attributes).Store(&items)
		if err == nil {
			break
		}
	}
	if err != nil {
		return "", err
	}
	if len(items) == 0 {
		return "", fmt.Errorf("no item of %s for %s", of, user)
	}
	// Not first: it aborts then when it does not know the client.
	if err := bus.Object(name, service).Call("org.freedesktop.Secret.Service.OpenSession", 0, "plain", dbus.MakeVariant("")).Store(&output, &session); err != nil {
		return "", err
	}
	err = bus.Object(name, items[0]).Call("org.freedesktop.Secret.Item.GetSecret", 0, session).Store(&item)
	return string(item.Value), err
}
