package e2e

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKeychainTrouble proves that a keychain that cannot be used is an error within 4 seconds, whichever way it is in trouble and
// whatever the command: exit code 6, one line that says what is wrong, hints, nobody asked to sign in, and no daemon started.
func TestKeychainTrouble(t *testing.T) {
	p := startProvider(t, providerConfig{AlwaysRefresh: true})
	troubles := []struct {
		name string
		make func(t *testing.T, k *keyring) (env []string)
		says string
	}{
		{"no bus", func(t *testing.T, k *keyring) []string { return []string{"DBUS_SESSION_BUS_ADDRESS="} }, "no session bus"},
		{"no bus at the address", func(t *testing.T, k *keyring) []string {
			return []string{"DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent"}
		}, "session bus"},
		{"a bus that starts itself", func(t *testing.T, k *keyring) []string { return []string{"DBUS_SESSION_BUS_ADDRESS=autolaunch:"} }, "session bus"},
		{"dead bus", func(t *testing.T, k *keyring) []string { return []string{"DBUS_SESSION_BUS_ADDRESS=" + deadBus(t, k)} }, "does not answer"},
		{"no service", func(t *testing.T, k *keyring) []string { k.stop(); return nil }, "nothing on the session bus"},
		{"locked, no prompter", func(t *testing.T, k *keyring) []string { k.lock(t); return nil }, "locked"},
		{"locked, no prompter, display", func(t *testing.T, k *keyring) []string { k.lock(t); return []string{"DISPLAY=:99"} }, "locked"},
		{"stopped daemon", func(t *testing.T, k *keyring) []string { k.suspend(t); return nil }, "does not answer"},
		{"prompt dismissed", func(t *testing.T, k *keyring) []string {
			return k.replace(t, &troubled{locked: true, answer: "dismiss"})
		}, "dismissed"},
		{"prompt unanswered", func(t *testing.T, k *keyring) []string { return k.replace(t, &troubled{locked: true}) }, "does not answer"},
	}
	for _, trouble := range troubles {
		t.Run(trouble.name, func(t *testing.T) {
			t.Parallel()
			k := startKeyring(t)
			c := newCommand(t, k)
			running := c.start(t, login(p, "--no-browser")...)
			get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
			running.wait(t).expect(t, exitDone)

			env := append(append(k.env(), trouble.make(t, k)...), tellingLauncher(t))
			c = &command{path: c.path, env: env}
			for _, args := range [][]string{{"token"}, {"status"}, {"logout"}, login(p, "--no-browser"), {"token", "--interactive", "--no-browser"}} {
				expectTrouble(t, c, trouble.says, args)
			}
		})
	}
}

// expectTrouble wants a command to fail at once, for want of a keychain.
func expectTrouble(t *testing.T, c *command, says string, args []string) {
	t.Helper()
	start := time.Now()
	r := c.run(t, args...)
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("%q took %v", args, took)
	}
	r.expect(t, exitStoreUnavailable)
	lines := strings.Split(strings.TrimSuffix(r.stderr, "\n"), "\n")
	hints := len(lines) - 1
	if !strings.HasPrefix(lines[0], "oauth-login: error: ") || hints < 1 || strings.Count(r.stderr, "hint: ") < 1 || !r.says(says) {
		t.Errorf("%q says, in place of one error with %q and hints:\n%s", args, says, r.stderr)
	}
	for _, line := range lines[1:] {
		if !strings.HasPrefix(line, "hint: ") {
			t.Errorf("%q says too much: %s", args, line)
		}
	}
}

// TestKeychainThatForgets proves that a keychain that says to have stored what it has lost is found out before anybody signs in.
func TestKeychainThatForgets(t *testing.T) {
	p := startProvider(t, providerConfig{})
	k := startKeyring(t)
	k.replace(t, &troubled{forgets: true})
	expectTrouble(t, newCommand(t, k), "reported success", login(p, "--no-browser"))
}

// TestKeychainWaitsForThePerson proves that whoever sits at a terminal gets the time to type a password, and is told what is waited for.
func TestKeychainWaitsForThePerson(t *testing.T) {
	p := startProvider(t, providerConfig{AlwaysRefresh: true})
	k := startKeyring(t)
	service := &troubled{locked: true, answer: "unlock", after: 5 * time.Second}
	env := append(k.env(), k.replace(t, service)...)
	c := &command{path: built(t), env: env}
	running := c.startOnTerminal(t, login(p, "--no-browser")...)
	get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
	r := running.wait(t)
	r.expect(t, exitDone)
	if !r.says("Waiting for the keychain (Secret Service)", "password") {
		t.Errorf("nobody was told what is waited for:\n%s", r.stderr)
	}
	if service.prompted != 1 {
		t.Errorf("asked %d times for the password", service.prompted)
	}
	r = c.run(t, "token")
	r.expect(t, exitDone)
	if r.says("Waiting") {
		t.Errorf("an unlocked keychain is waited for:\n%s", r.stderr)
	}
}

// TestKeePassXC proves that KeePassXC is a keychain like any other, for logins and for records of all sizes. Refreshes are left out: each
// process that replaces an item asks the person, who is not there.
func TestKeePassXC(t *testing.T) {
	p := startProvider(t, providerConfig{AlwaysRefresh: true})
	k := startKeePassXC(t)
	c := newCommand(t, k)
	running := c.start(t, login(p, "--no-browser")...)
	get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
	running.wait(t).expect(t, exitDone)
	r := c.run(t, "token")
	if r.expect(t, exitDone); len(r.stdout) < 2 {
		t.Errorf("the token has %d bytes", len(r.stdout))
	}
	c.run(t, "logout").expect(t, exitDone)
	expectLoginRequired(t, c)
	testVault(t, testProgram(t, "./store"), k.env(), t.TempDir())
}

// testVault runs the store's own test of a keychain, with records of up to 1 MiB.
func testVault(t *testing.T, program string, env []string, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "-test.v", "-test.run=^TestVault$")
	cmd.Env = append(env, "OAUTH_LOGIN_TEST_VAULT="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestVault") {
		t.Errorf("%v\n%s", err, out)
	}
}

// testProgram builds the tests of a package of the product.
func testProgram(t *testing.T, pkg string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "test")
	cmd := exec.Command("go", "test", "-c", "-o", path, pkg)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return path
}

// deadBus is the address of a socket that takes connections and never answers.
func deadBus(t *testing.T, k *keyring) (address string) {
	t.Helper()
	path := filepath.Join(k.dir, "dead")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go io.Copy(io.Discard, conn)
		}
	}()
	return "unix:path=" + path
}

// suspend stops the daemon without ending it: it keeps its name and answers nobody.
func (k *keyring) suspend(t *testing.T) {
	t.Helper()
	if err := k.daemon.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// replace puts another service in the place of the daemon, on a desktop where it could ask the person something.
func (k *keyring) replace(t *testing.T, s *troubled) (env []string) {
	t.Helper()
	k.stop()
	s.start(t, k)
	return []string{"DISPLAY=:99"}
}

// tellingLauncher puts a dbus-launch in front of all others that fails the test when it is started. It returns the PATH.
func tellingLauncher(t *testing.T) (path string) {
	t.Helper()
	dir := t.TempDir()
	told := filepath.Join(dir, "told")
	if err := os.WriteFile(filepath.Join(dir, "dbus-launch"), []byte("#!/bin/sh\necho \"$@\" >>"+told+"\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := os.Stat(told); err == nil {
			t.Error("dbus-launch was started")
		}
	})
	return "PATH=" + dir + ":" + os.Getenv("PATH")
}
