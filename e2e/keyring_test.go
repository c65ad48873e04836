package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	gokeyring "github.com/zalando/go-keyring"
)

// useKeyring is a program that stores a secret in the keyring or prints one. It is a process of its own because go-keyring connects
// once per process, to the bus that the environment names then.
func useKeyring(args []string) error {
	switch args[1] {
	case "set":
		return gokeyring.Set("e2e", "alice", args[2])
	case "get":
		secret, err := gokeyring.Get("e2e", "alice")
		fmt.Print(secret)
		return err
	}
	return fmt.Errorf("unknown verb %q", args[1])
}

// TestKeyring proves that the keyring which the other tests use is one: it keeps what it is given, also when its daemon is killed, and
// it gives nothing away when it is locked.
func TestKeyring(t *testing.T) {
	k := startKeyring(t)
	program := link(t, t.TempDir(), "e2e-keyring")
	use := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(k.env(), "GORACE=atexit_sleep_ms=0") // the race detector's default is a second per process
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	expect := func(when string) {
		t.Helper()
		if got, err := use("get"); err != nil || got != "s3cret" {
			t.Fatalf("%s: got %q, %v", when, got, err)
		}
	}

	if n := k.items(t); n != 0 {
		t.Fatalf("new keyring holds %d items", n)
	}
	if out, err := use("set", "s3cret"); err != nil {
		t.Fatalf("storing: %v: %s", err, out)
	}
	expect("in a new process")
	if n := k.items(t); n != 1 {
		t.Fatalf("keyring holds %d items, want 1", n)
	}
	k.restart(t)
	expect("after a restart of the daemon")

	k.lock(t)
	if got, err := use("get"); err == nil {
		t.Fatalf("locked keyring gave %q", got)
	}
	k.stop()
	if got, err := use("get"); err == nil || !strings.Contains(got, "org.freedesktop.secrets") {
		t.Fatalf("without a daemon: got %q, %v, want an error that names the service", got, err)
	}
}

// TestKeyringVault lets the store test itself with the keyring.
func TestKeyringVault(t *testing.T) {
	testVault(t, testProgram(t, "./store"), startKeyring(t).env(), t.TempDir())
}
