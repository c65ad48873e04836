//go:build unix

package loopback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary plays other programs too, by these variables.
const (
	recordVar  = "LOOPBACK_TEST_RECORD"  // a browser: where to write what it was started with
	failVar    = "LOOPBACK_TEST_FAIL"    // a browser: names of those that cannot open anything
	releaseVar = "LOOPBACK_TEST_RELEASE" // a browser: stays open until this file exists
	openVar    = "LOOPBACK_TEST_OPEN"    // an embedder: opens this URL
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(recordVar) != "" && os.Getenv(openVar) == "":
		os.Exit(playBrowser())
	case os.Getenv(openVar) != "":
		u := os.Getenv(openVar)
		os.Unsetenv(openVar)
		if err := openURL(context.Background(), "", u, nobody); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A launch is what a fake browser was started with.
type launch struct {
	Name  string
	Args  []string
	PID   int
	Group int    // process group
	Input string // what it could read
}

func playBrowser() int {
	name := filepath.Base(os.Args[0])
	input, _ := io.ReadAll(io.LimitReader(os.Stdin, 10))
	record, err := json.Marshal(launch{name, os.Args[1:], os.Getpid(), syscall.Getpgrp(), string(input)})
	if err != nil {
		return 9
	}
	f, err := os.OpenFile(os.Getenv(recordVar), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 9
	}
	fmt.Fprintf(f, "%s\n", record)
	f.Close()
	fmt.Println("Opening in existing browser session.")
	fmt.Fprintln(os.Stderr, "[1:1] GPU stall")
	if slices.Contains(strings.Split(os.Getenv(failVar), ","), name) {
		return 3
	}
	release := os.Getenv(releaseVar)
	for release != "" && !exists(release) && exists(filepath.Dir(release)) { // the test may have ended early
		time.Sleep(10 * time.Millisecond)
	}
	return 0
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// browsers puts fake programs of these names on a PATH that has nothing else.
// The returned function tells what was started.
func browsers(t *testing.T, names ...string) (launches func() []launch) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	record := filepath.Join(t.TempDir(), "record")
	t.Setenv(recordVar, record)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else each program takes a second to end
	t.Setenv("PATH", dir)
	t.Setenv("BROWSER", "")
	t.Setenv("WSL_DISTRO_NAME", "")
	return func() (all []launch) {
		data, err := os.ReadFile(record)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var l launch
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			all = append(all, l)
		}
		return all
	}
}

func nobody(string) {} // is told what was started

// opener is the program that opens a browser here.
func opener() string { return systemOpeners("")[len(systemOpeners(""))-1][0] }

const testURL = `https://issuer.example/a?x=1&y=%20%26^"'$(x)` + "`y`;z|<>"

func TestOpenURL(t *testing.T) {
	system := opener()
	tests := []struct {
		name    string
		command string
		env     map[string]string
		found   []string // programs on PATH
		want    []string // of the last one that was started
		started int      // default: 1
	}{
		{name: "system", found: []string{system}, want: []string{system, testURL}},
		{name: "command", command: "firefox", found: []string{"firefox", system}, want: []string{"firefox", testURL}},
		{name: "arguments", command: `firefox  --private-window "--profile=my profile" '' %s`, found: []string{"firefox"},
			want: []string{"firefox", "--private-window", "--profile=my profile", "", testURL}},
		{name: "inside an argument", command: "chromium --app=%s --x", found: []string{"chromium"},
			want: []string{"chromium", "--app=" + testURL, "--x"}},
		{name: "program with a space", command: `"my browser" %s`, found: []string{"my browser"}, want: []string{"my browser", testURL}},
		{name: "command before BROWSER", command: "firefox", env: map[string]string{"BROWSER": "chromium"}, found: []string{"firefox", "chromium"},
			want: []string{"firefox", testURL}},
		{name: "BROWSER", env: map[string]string{"BROWSER": "chromium --new-window"}, found: []string{"chromium", system},
			want: []string{"chromium", "--new-window", testURL}},
		{name: "list in BROWSER", env: map[string]string{"BROWSER": ":none:firefox %s:chromium:other", failVar: "firefox"},
			found: []string{"firefox", "chromium", "other", system}, want: []string{"chromium", testURL}, started: 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			launches := browsers(t, test.found...)
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			if name, err := Opener(test.command); err != nil || !slices.Contains(test.found, name) || len(launches()) > 0 {
				t.Errorf("it would be opened by %q (%v), after the start of %v", name, err, launches())
			}
			var told []string
			if err := openURL(t.Context(), test.command, testURL, func(name string) { told = append(told, name) }); err != nil {
				t.Fatal(err)
			}
			got := launches()
			if len(got) != max(test.started, 1) {
				t.Fatalf("started %v", got)
			}
			last := got[len(got)-1]
			if len(told) != len(got) || told[len(told)-1] != last.Name {
				t.Errorf("told of %q, not of %v", told, got)
			}
			if !slices.Equal(append([]string{last.Name}, last.Args...), test.want) {
				t.Errorf("started %s with %q, want %q", last.Name, last.Args, test.want)
			}
			if last.Input != "" || last.Group != last.PID {
				t.Errorf("it is not on its own: %+v", last)
			}
		})
	}
}

func TestOpenURLInWSL(t *testing.T) {
	if opener() == "open" {
		t.Skip("there is no WSL on macOS")
	}
	const plain = "https://issuer.example/a?x=1&y=%20%26%5E%22%27%24%28x%29%60y%60%3Bz%7C%3C%3E"
	all := []string{"wslview", "rundll32.exe", "powershell.exe", "xdg-open", "cmd.exe", "explorer.exe"}
	wants := [][]string{
		{"wslview", plain},
		{"rundll32.exe", "url.dll,FileProtocolHandler", plain},
		{"powershell.exe", "-NoProfile", "-NonInteractive", "-Command", "Start-Process '" + plain + "'"},
		{"xdg-open", testURL},
	}
	for i, want := range wants {
		launches := browsers(t, all[i:]...)
		t.Setenv("WSL_DISTRO_NAME", "Debian")
		if err := openURL(t.Context(), "", testURL, nobody); err != nil {
			t.Fatal(err)
		}
		got := launches()
		if len(got) != 1 || !slices.Equal(append([]string{got[0].Name}, got[0].Args...), want) {
			t.Errorf("started %v, want %q", got, want)
		}
	}
}

// TestOpenURLFails: what cannot be opened is said, and what the person has chosen
// is not replaced by something else.
func TestOpenURLFails(t *testing.T) {
	system := opener()
	tests := []struct {
		name    string
		command string
		env     map[string]string
		text    string
		started int
	}{
		{name: "nothing installed", env: map[string]string{"PATH": "/var/empty"}, text: "executable file not found in $PATH"},
		{name: "opener fails", env: map[string]string{failVar: system}, text: system + ": exit status 3", started: 1},
		{name: "not installed", command: "firefox %s", text: `exec: "firefox": executable file not found in $PATH`},
		{name: "quote", command: `firefox "%s`, text: "the browser command has a quote without an end"},
		{name: "no program", command: `"" %s`, text: "the browser command names no program"},
		{name: "list", env: map[string]string{"BROWSER": "none:" + system, failVar: system},
			text: `exec: "none": executable file not found in $PATH; ` + system + ": exit status 3", started: 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			launches := browsers(t, system)
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			_, missing := Opener(test.command)
			err := openURL(t.Context(), test.command, testURL, nobody)
			if (missing == nil) != (test.started > 0) {
				t.Errorf("Opener says %v", missing)
			}
			if err == nil || !strings.HasSuffix(err.Error(), test.text) || strings.Contains(err.Error(), "issuer.example") {
				t.Errorf("the error is %v, want %s", err, test.text)
			}
			if got := launches(); len(got) != test.started {
				t.Errorf("started %v", got)
			}
		})
	}
}

// TestOpenURLIsSilent: whatever a browser prints does not get out of a program
// that opens one.
func TestOpenURLIsSilent(t *testing.T) {
	launches := browsers(t, opener())
	t.Setenv(openVar, testURL)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(self).CombinedOutput()
	if err != nil || len(out) != 0 {
		t.Errorf("the output is %q, %v", out, err)
	}
	if len(launches()) != 1 {
		t.Error("no browser was started")
	}
}

// TestBrowserInForeground: a browser that does not end is an open browser. It
// outlives the login, nobody waits for it, and when it ends it is gone.
func TestBrowserInForeground(t *testing.T) {
	launches := browsers(t, "firefox", "chromium")
	release := filepath.Join(t.TempDir(), "release")
	t.Setenv(releaseVar, release)
	t.Setenv("BROWSER", "firefox:chromium")
	t.Cleanup(func() { _ = os.WriteFile(release, nil, 0o600) })

	begin := time.Now()
	if err := openURL(t.Context(), "", testURL, nobody); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < launchTime || took > launchTime+time.Second {
		t.Errorf("it counted as open after %v", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	begin = time.Now()
	if err := openURL(ctx, "", testURL, nobody); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("the end of the login waited %v for the browser", took)
	}

	started := launches()
	for range 1000 { // the second one was not waited for
		if len(started) == 2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
		started = launches()
	}
	if len(started) != 2 || started[0].Name != "firefox" || started[1].Name != "firefox" {
		t.Fatalf("started %v", started)
	}
	for _, l := range started {
		if err := syscall.Kill(l.PID, 0); err != nil {
			t.Errorf("the browser is gone: %v", err)
		}
	}
	if err := os.WriteFile(release, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, l := range started {
		for range 200 {
			if syscall.Kill(l.PID, 0) != nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err := syscall.Kill(l.PID, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("it is still there, if only as a zombie: %v", err)
		}
	}
}
