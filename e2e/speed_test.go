package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// TestSpeedOfToken holds the token of a login that needs no refresh against a program that does nothing but read its item: in what they
// ask the keychain, and in time, side by side. The times are printed; what they may be depends on the machine.
func TestSpeedOfToken(t *testing.T) {
	p := startProvider(t, providerConfig{AlwaysRefresh: true})
	k := startKeyring(t)
	c := newCommand(t, k)
	running := c.start(t, login(p, "--no-browser")...)
	get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
	running.wait(t).expect(t, exitDone)

	dir := t.TempDir()
	token := buildSmall(t, dir, "..", "./cmd/oauth-login")
	bare := buildSmall(t, dir, ".", "./bare")
	name := sha256.Sum256([]byte("oauth-login/1\n" + p.Issuer + "\nnative\n"))
	runs := []func() *exec.Cmd{
		func() *exec.Cmd { return exec.Command(token, "token") },
		func() *exec.Cmd { return exec.Command(bare, "oauth-login", hex.EncodeToString(name[:16])+".a.0") },
	}
	var asked [2]int
	times := [2][]time.Duration{}
	calls := k.listen(t)
	for round := range 101 {
		for i, run := range runs {
			cmd := run()
			cmd.Env = k.env()
			start := time.Now()
			out, err := cmd.Output()
			times[i] = append(times[i], time.Since(start))
			if err != nil || len(out) < 2 {
				t.Fatalf("%v: %d bytes, %v", cmd.Args, len(out), err)
			}
			if n := calls(); round == 1 { // in the first, the keychain may still hear of the sign-in
				asked[i] = n
			}
		}
	}
	for _, of := range times {
		slices.Sort(of)
	}
	median := func(i int) time.Duration { return times[i][len(times[i])/2].Round(10 * time.Microsecond) }
	ratio := float64(median(0)) / float64(median(1))
	t.Logf("token: %v and %d calls; only the keychain: %v and %d calls; ratio %.2f", median(0), asked[0], median(1), asked[1], ratio)
	if asked[0] != asked[1]+1 { // the look whether it may be asked at all
		t.Errorf("token makes %d calls of the Secret Service, and a program that reads one item makes %d", asked[0], asked[1])
	}
	if ratio > 3 {
		t.Errorf("token takes %.1f times as long as a program that reads one item", ratio)
	}
}

// buildSmall builds a program as it is released.
func buildSmall(t *testing.T, to, module, pkg string) (path string) {
	t.Helper()
	path = filepath.Join(to, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, pkg)
	cmd.Dir = module
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return path
}

// listen counts the calls of the Secret Service on the bus of k. The function that it returns tells how many there were since the last time.
func (k *keyring) listen(t *testing.T) (calls func() int) {
	t.Helper()
	monitor, err := dbus.Connect(k.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { monitor.Close() })
	heard := make(chan *dbus.Message, 1000)
	rule := []string{"type='method_call',destination='" + secretService + "'"}
	if err := monitor.BusObject().Call("org.freedesktop.DBus.Monitoring.BecomeMonitor", 0, rule, uint32(0)).Err; err != nil {
		t.Fatal(err)
	}
	monitor.Eavesdrop(heard)
	return func() (n int) {
		for {
			select {
			case <-heard:
				n++
			case <-time.After(200 * time.Millisecond): // nothing tells when the last one was heard
				return n
			}
		}
	}
}
