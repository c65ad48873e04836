package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// TestSpeedOfToken holds the token of a login that needs no refresh against programs that do nothing but read its item: one with
// go-keyring, and one with as few calls as there are. The calls are counted; the times are printed, side by side.
func TestSpeedOfToken(t *testing.T) {
	p := startProvider(t, providerConfig{AlwaysRefresh: true})
	k := startKeyring(t)
	c := newCommand(t, k)
	running := c.start(t, login(p, "--no-browser")...)
	get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
	running.wait(t).expect(t, exitDone)

	dir := t.TempDir()
	name := sha256.Sum256([]byte("oauth-login/1\n" + p.Issuer + "\nnative\n"))
	item := hex.EncodeToString(name[:16]) + ".a.0"
	race := newRace(k.env(),
		[]string{buildSmall(t, dir, "..", "./cmd/oauth-login"), "token"},
		[]string{buildSmall(t, dir, ".", "./bare"), "oauth-login", item},
		[]string{buildSmall(t, dir, ".", "./barest"), "oauth-login", item})
	calls := k.listen(t)
	asked := make([]int, len(race.runs))
	for round := range 2 { // in the first, the keychain may still hear of the sign-in
		for i := range race.runs {
			race.run(t, i)
			if n := calls(); round == 1 {
				asked[i] = n
			}
		}
	}
	race.rounds(t, 100)
	t.Logf("calls of the keychain: %d; go-keyring alone: %d; as few as there are: %d", asked[0], asked[1], asked[2])
	figure(t, "token, beside go-keyring alone", race.median(0), race.median(1), race.ratio(0, 1))
	figure(t, "token, beside as few calls as there are", race.median(0), race.median(2), race.ratio(0, 2))
	if asked[0] > asked[2]+1 { // that it need not keep the session
		t.Errorf("token makes %d calls of the Secret Service, and a program that reads one item can do with %d", asked[0], asked[2])
	}
	if ratio := race.ratio(0, 1); ratio > 1.3 {
		t.Errorf("token takes %.2f times as long as a program that reads one item with go-keyring", ratio)
	}
}

// figure logs what something takes and what its limit takes, and adds it to what 'make bench' shows in the end.
func figure(t *testing.T, what string, ours, limit any, ratio float64) {
	t.Helper()
	line := fmt.Sprintf("%-48s %10v %10v %6.2f", what, ours, limit, ratio)
	t.Log(line)
	name := os.Getenv("BENCH_FIGURES")
	if name == "" {
		return
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := fmt.Fprintln(file, line); err != nil {
		t.Fatal(err)
	}
}

// A race runs programs in turn, so that what slows the machine down slows down all of them.
type race struct {
	env   []string
	runs  [][]string
	times [][]time.Duration
}

func newRace(env []string, runs ...[]string) *race {
	return &race{env: env, runs: runs, times: make([][]time.Duration, len(runs))}
}

func (r *race) run(t *testing.T, i int) time.Duration {
	t.Helper()
	cmd := exec.Command(r.runs[i][0], r.runs[i][1:]...)
	cmd.Env = r.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	out, err := cmd.Output()
	took := time.Since(start)
	if err != nil || len(out) < 2 {
		t.Fatalf("%v: %d bytes, %v\n%s", cmd.Args, len(out), err, &stderr)
	}
	return took
}

func (r *race) rounds(t *testing.T, n int) {
	t.Helper()
	for range n {
		for i := range r.runs {
			r.times[i] = append(r.times[i], r.run(t, i))
		}
	}
}

func (r *race) median(i int) time.Duration {
	times := slices.Sorted(slices.Values(r.times[i]))
	return times[len(times)/2].Round(10 * time.Microsecond)
}

// ratio is the median of the ratios of each round.
func (r *race) ratio(i, to int) float64 {
	var ratios []float64
	for n := range r.times[i] {
		ratios = append(ratios, float64(r.times[i][n])/float64(r.times[to][n]))
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// buildSmall builds a program as it is released. It is written once more, as an installer would do: what the linker has written through
// a mapping starts more slowly.
func buildSmall(t *testing.T, to, module, pkg string) (path string) {
	t.Helper()
	path = filepath.Join(to, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, pkg)
	cmd.Dir = module
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.Remove(path)
	}
	if err == nil {
		err = os.WriteFile(path, data, 0o700)
	}
	if err != nil {
		t.Fatal(err)
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
