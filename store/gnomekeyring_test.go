//go:build linux

package store

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// TestGnomeKeyring uses a real one, alone on a bus of its own.
func TestGnomeKeyring(t *testing.T) {
	daemon, err := exec.LookPath("gnome-keyring-daemon")
	if err != nil {
		t.Skip("gnome-keyring-daemon is not installed; make e2e installs it")
	}
	address := startBus(t, "")
	bus := connect(t, address)
	c := newChild(t, address)
	startGnomeKeyring(t, daemon, address, bus)

	t.Run("unlocked", func(t *testing.T) {
		c.roundTrip(t)
		if n := gnomeItems(t, bus); n != 0 {
			t.Errorf("left %d items", n)
		}
	})
	t.Run("sizes", func(t *testing.T) {
		c.succeeds(t, "size:1", "size:40", "size:2500", "size:65536", "size:262144", "size:1500", "size:1501", "delete")
		if n := gnomeItems(t, bus); n != 0 {
			t.Errorf("left %d items", n)
		}
	})
	t.Run("locked", func(t *testing.T) {
		c.succeeds(t, "save:x")
		lockGnomeKeyring(t, bus)
		for _, step := range []string{"probe", "load", "save:y", "delete"} {
			c.fails(t, step, Locked, time.Second)
		}
		// With a display, unlocking is tried. Nothing on this bus can ask.
		c.env = append(c.env, "DISPLAY=:99")
		c.fails(t, "load", Locked, time.Second)
	})
}

// startGnomeKeyring starts the daemon and waits until it owns its name: whoever
// comes before that finds no service.
func startGnomeKeyring(t *testing.T, daemon, address string, bus *dbus.Conn) {
	t.Helper()
	cmd := exec.Command(daemon, "--foreground", "--components=secrets", "--unlock")
	home := shortDir(t)
	cmd.Env = []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + home, "XDG_DATA_HOME=" + home, "DBUS_SESSION_BUS_ADDRESS=" + address}
	cmd.Stdin = strings.NewReader("password") // without a line break, which would belong to it
	start(t, cmd)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		var owned bool
		if err := bus.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, secretsName).Store(&owned); err != nil {
			t.Fatal(err)
		}
		if owned {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("gnome-keyring did not start within 10 s")
		}
	}
}

func lockGnomeKeyring(t *testing.T, bus *dbus.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var locked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	call := bus.Object(secretsName, secretsPath).CallWithContext(ctx, secretsInterface+".Lock", 0, []dbus.ObjectPath{loginCollection})
	if err := call.Store(&locked, &prompt); err != nil || len(locked) != 1 {
		t.Fatalf("locked %v: %v", locked, err)
	}
}

func gnomeItems(t *testing.T, bus *dbus.Conn) int {
	t.Helper()
	var items []dbus.ObjectPath
	if err := property(t.Context(), bus, loginCollection, collectionInterface, "Items", &items); err != nil {
		t.Fatal(err)
	}
	return len(items)
}
