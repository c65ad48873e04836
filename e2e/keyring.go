package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	secretService   = "org.freedesktop.secrets"
	secretPath      = dbus.ObjectPath("/org/freedesktop/secrets")
	loginCollection = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")
)

// busConfig is a session bus without service directories: nothing is started by asking for it, so the daemon that a test starts
// is the only one that can own the name.
const busConfig = `<busconfig>
<type>session</type>
<listen>unix:path=%s</listen>
<auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>
`

// keyring is a gnome-keyring with an unlocked login collection, alone on a private session bus.
type keyring struct {
	dir     string // home, runtime and data directory, and the bus's socket
	address string // of the bus
	bus     *dbus.Conn
	daemon  *exec.Cmd
}

// startKeyring starts a bus and a keyring, and stops both when the test ends.
func startKeyring(t *testing.T) *keyring {
	t.Helper()
	k := newKeyring(t)
	k.start(t)
	return k
}

// newKeyring starts a bus without a keyring.
func newKeyring(t *testing.T) *keyring {
	t.Helper()
	dir, err := os.MkdirTemp("", "ss") // not t.TempDir: the path of a socket has at most 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, name := range []string{"run", "data"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	k := &keyring{dir: dir}
	k.startBus(t)
	return k
}

func (k *keyring) startBus(t *testing.T) {
	t.Helper()
	config := filepath.Join(k.dir, "bus.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, filepath.Join(k.dir, "bus")), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--print-address=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting the bus (setup.sh installs what it needs): %v", err)
	}
	t.Cleanup(func() { kill(cmd) })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("bus did not start: %v", err)
	}
	k.address = strings.TrimSpace(line)
	if k.bus, err = dbus.Connect(k.address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.bus.Close() })
}

// start starts the daemon and waits until it owns its name: a client that came earlier would find no service.
func (k *keyring) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command("gnome-keyring-daemon", "--foreground", "--components=secrets", "--unlock")
	cmd.Env = k.env()
	cmd.Stdin = strings.NewReader("password") // without a newline, which would belong to it
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting the keyring (setup.sh installs what it needs): %v", err)
	}
	k.daemon = cmd
	t.Cleanup(func() { kill(cmd) })

	deadline := time.Now().Add(10 * time.Second)
	for owned := false; !owned; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("keyring did not start within 10 s")
		}
		if err := k.bus.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, secretService).Store(&owned); err != nil {
			t.Fatal(err)
		}
	}
}

// stop ends the daemon as a crash would. What it has said to be stored stays in the data directory.
func (k *keyring) stop() { kill(k.daemon) }

// restart replaces the daemon with a new one on the same data, as signing out of a desktop and in again would.
func (k *keyring) restart(t *testing.T) {
	t.Helper()
	k.stop()
	k.start(t)
}

// lock locks the collection. Nothing on this bus can ask a person for the password.
func (k *keyring) lock(t *testing.T) {
	t.Helper()
	var locked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	call := k.bus.Object(secretService, secretPath).
		CallWithContext(deadline(t), "org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{loginCollection})
	if err := call.Store(&locked, &prompt); err != nil {
		t.Fatal(err)
	}
	if len(locked) != 1 {
		t.Fatalf("locked %v, prompt %v: want the login collection", locked, prompt)
	}
}

// items returns how many items the collection holds, whoever stored them.
func (k *keyring) items(t *testing.T) int {
	t.Helper()
	var value dbus.Variant
	call := k.bus.Object(secretService, loginCollection).
		CallWithContext(deadline(t), "org.freedesktop.DBus.Properties.Get", 0, "org.freedesktop.Secret.Collection", "Items")
	if err := call.Store(&value); err != nil {
		t.Fatal(err)
	}
	items, ok := value.Value().([]dbus.ObjectPath)
	if !ok {
		t.Fatalf("items of the collection are %s, not paths", value.Signature())
	}
	return len(items)
}

// env is the whole environment of a program that uses the keyring. A bus address is all that leads to it; the directories keep the
// program away from those of the person who runs the tests.
func (k *keyring) env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + k.dir,
		"XDG_RUNTIME_DIR=" + filepath.Join(k.dir, "run"),
		"XDG_DATA_HOME=" + filepath.Join(k.dir, "data"),
		"DBUS_SESSION_BUS_ADDRESS=" + k.address,
		"OAUTH_LOGIN_LOCK_DIR=" + filepath.Join(k.dir, "locks"), // not HOME's, as locks are the user's, whatever HOME says
	}
}

// deadline is a context for calls that hang when the other side is dead.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// kill ends a process at once. A second call does nothing.
func kill(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}
