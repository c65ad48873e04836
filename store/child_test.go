//go:build linux

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// go-keyring connects to one session bus per process, so every test that needs
// another bus uses a Keychain in a process of its own.

const childVariable = "OAUTH_LOGIN_TEST_STEPS"

// TestMain runs the tests, or in a child process the steps or the life that it is
// given.
func TestMain(m *testing.M) {
	if life := os.Getenv(victimVariable); life != "" {
		var v victim
		if err := errors.Join(json.Unmarshal([]byte(life), &v), v.run()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if steps := os.Getenv(childVariable); steps != "" {
		runSteps(strings.Split(steps, " "))
		return
	}
	os.Exit(m.Run())
}

// A stepResult is what came of one step in the child.
type stepResult struct {
	Step, Value, Err string
	Reason           Reason // of an UnavailableError
	NotFound         bool
	Took             time.Duration
}

// runSteps does what the steps say with one Keychain, such as "save:hello",
// "load", "sealed:hello" (a record that proves itself), "size:1000", "delete", "probe"
// or "ready".
func runSteps(steps []string) {
	k := &Keychain{Timeout: time.Second, PromptTimeout: 1500 * time.Millisecond}
	ctx := context.Background()
	out := json.NewEncoder(os.Stdout)
	for _, step := range steps {
		start := time.Now()
		name, argument, _ := strings.Cut(step, ":")
		var value []byte
		var err error
		switch name {
		case "ready":
			var prompts bool
			prompts, err = probePlatform(ctx)
			value = strconv.AppendBool(nil, prompts)
		case "probe":
			err = k.Probe(ctx)
		case "load":
			value, err = k.Load(ctx, testKey)
		case "delete":
			err = k.Delete(ctx, testKey)
		case "save":
			err = k.Save(ctx, testKey, []byte(argument))
		case "sealed":
			err = k.Save(ctx, testKey, recordOf(argument, 1500))
		case "size":
			err = saveAndLoad(ctx, &Keychain{Timeout: 20 * time.Second}, argument)
		}
		result := stepResult{Step: step, Value: string(value), NotFound: errors.Is(err, ErrNotFound), Took: time.Since(start)}
		if err != nil {
			result.Err = err.Error()
		}
		if unavailable, ok := errors.AsType[*UnavailableError](err); ok {
			result.Reason = unavailable.Reason
		}
		if out.Encode(result) != nil {
			os.Exit(1)
		}
	}
}

// saveAndLoad does so with a record of a size.
func saveAndLoad(ctx context.Context, k *Keychain, size string) error {
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	record := recordOf("large", n)
	if n < 50 {
		record = []byte(strings.Repeat("x", n)) // it does not prove itself
	}
	if err := k.Save(ctx, testKey, record); err != nil {
		return err
	}
	got, err := k.Load(ctx, testKey)
	if err == nil && string(got) != string(record) {
		err = fmt.Errorf("%d bytes came back", len(got))
	}
	return err
}

// A child is an environment for steps.
type child struct {
	dir string // home, and the directory of a dbus-launch that tells
	env []string
}

// newChild returns an environment whose session bus is at address, empty for
// none.
func newChild(t *testing.T, address string) *child {
	t.Helper()
	dir := t.TempDir()
	launch := filepath.Join(dir, "dbus-launch")
	if err := os.WriteFile(launch, []byte("#!/bin/sh\n: >"+filepath.Join(dir, "launched")+"\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := &child{dir: dir, env: []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + dir, "DBUS_SESSION_BUS_ADDRESS=" + address}}
	t.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(dir, "launched")); err == nil {
			t.Error("dbus-launch was started")
		}
	})
	return c
}

// run does steps in a new process and returns what came of each.
func (c *child) run(t *testing.T, steps ...string) []stepResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	// The race detector would wait for a second before the process ends.
	cmd.Env = append(c.env, childVariable+"="+strings.Join(steps, " "), "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the steps %q: %v", steps, err)
	}
	var results []stepResult
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var r stepResult
		if err := decoder.Decode(&r); err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		t.Logf("%-10.10s %8v  %.40s%s", r.Step, r.Took.Round(100*time.Microsecond), r.Value, r.Err)
		results = append(results, r)
	}
	if len(results) != len(steps) {
		t.Fatalf("%d results for %q", len(results), steps)
	}
	return results
}

// fails does one step and wants it to fail for a reason within a time.
func (c *child) fails(t *testing.T, step string, want Reason, within time.Duration) {
	t.Helper()
	r := c.run(t, step)[0]
	if r.Reason != want {
		t.Errorf("%s: %q %s, want %q", step, r.Reason, r.Err, want)
	}
	if r.Took > within {
		t.Errorf("%s took %v, want at most %v", step, r.Took, within)
	}
}

// succeeds does steps and wants them to succeed.
func (c *child) succeeds(t *testing.T, steps ...string) []stepResult {
	t.Helper()
	results := c.run(t, steps...)
	for _, r := range results {
		if r.Err != "" {
			t.Errorf("%s: %s", r.Step, r.Err)
		}
	}
	return results
}

// roundTrip stores, loads and deletes.
func (c *child) roundTrip(t *testing.T) {
	t.Helper()
	if r := c.succeeds(t, "probe", "save:one", "save:two", "load"); r[3].Value != "two" {
		t.Errorf("loaded %q", r[3].Value)
	}
	if r := c.succeeds(t, "load", "delete"); r[0].Value != "two" { // in a new process
		t.Errorf("loaded %q", r[0].Value)
	}
	for _, r := range c.run(t, "load", "delete") {
		if !r.NotFound {
			t.Errorf("%s after delete: %q", r.Step, r.Err)
		}
	}
}
