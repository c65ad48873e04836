package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

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

// TestKeyringKilled kills the keyring while the store saves one record after the other. What is there after its restart is the last one
// that was saved, or the one that was being saved.
func TestKeyringKilled(t *testing.T) {
	program := testProgram(t, "./store")
	steps := func(k *keyring, steps ...string) (results []struct{ Value, Err string }) {
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = append(k.env(), "OAUTH_LOGIN_TEST_STEPS="+strings.Join(steps, " "))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
			var r struct{ Value, Err string }
			if err := decoder.Decode(&r); err != nil {
				t.Fatal(err)
			}
			results = append(results, r)
		}
		return results
	}
	k := startKeyring(t)
	last := "first"
	steps(k, "sealed:"+last)
	cut := 0
	for round := range 30 {
		var saves, labels []string
		for i := range 20 {
			label := fmt.Sprintf("round%dsave%d", round, i)
			saves, labels = append(saves, []string{"sealed:", "save:"}[i%2]+label), append(labels, label)
		}
		daemon := k.daemon.Process
		strike := time.AfterFunc(time.Duration(20+rand.IntN(150))*time.Millisecond, func() { daemon.Kill() })
		possible := []string{last}
		for i, r := range steps(k, saves...) {
			if possible = append(possible, labels[i]); r.Err != "" {
				cut++
				break
			}
			possible = possible[len(possible)-1:]
		}
		strike.Stop()
		k.restart(t)
		r := steps(k, "load")[0]
		found := slices.IndexFunc(possible, func(label string) bool { return r.Value == label || strings.Contains(r.Value, " "+label+"-") })
		if found < 0 {
			t.Fatalf("round %d: %.60q, %s; want one of %q", round, r.Value, r.Err, possible)
		}
		last = possible[found]
	}
	if cut < 10 {
		t.Errorf("only %d of 30 rounds were cut short", cut)
	}
}

// TestKeyringVault lets the store test itself with the keyring.
func TestKeyringVault(t *testing.T) {
	testVault(t, testProgram(t, "./store"), startKeyring(t).env(), t.TempDir())
}
