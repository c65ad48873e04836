package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// What scripts can ask for, beside what testscript has.

// checkExitCode: code N command args... runs a command and compares its exit
// code, which exec does not.
func checkExitCode(ts *testscript.TestScript, _ bool, args []string) {
	want := args[0]
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = fmt.Sprint(exit.ExitCode())
	} else if err != nil {
		got = err.Error()
	}
	if got != want {
		ts.Fatalf("exit code %s, want %s", got, want)
	}
}

// checkFailure: fails N command args... is code for a command that has to fail as
// all of them do: with one error line, one hint line and nothing else on both
// streams together.
func checkFailure(ts *testscript.TestScript, neg bool, args []string) {
	checkExitCode(ts, neg, args)
	lines := strings.SplitAfter(ts.ReadFile("stdout")+ts.ReadFile("stderr"), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "oauth-login: error: ") || !strings.HasPrefix(lines[1], "hint: ") || lines[2] != "" {
		ts.Fatalf("it says %d lines, want one error and one hint", len(lines)-1)
	}
}

// checkHaste: soon N command args... is code for a command that takes less than a
// second. On a busy machine it may try again.
func checkHaste(ts *testscript.TestScript, neg bool, args []string) {
	least := time.Hour
	for range 3 {
		began := time.Now()
		checkExitCode(ts, neg, args)
		if least = min(least, time.Since(began)); least < time.Second {
			return
		}
	}
	ts.Fatalf("it takes %v", least)
}

// checkOpened: opened NOTE args...: the browser was started with the URL that standard
// error shows, and then the args. Its parameter "note" is NOTE.
func checkOpened(ts *testscript.TestScript, _ bool, args []string) {
	_, shown, _ := strings.Cut(ts.ReadFile("stderr"), "\n\n")
	shown, _, _ = strings.Cut(shown, "\n")
	want := append([]string{"fake-browser", shown}, args[1:]...)
	if got := strings.Split(ts.ReadFile("browser-arguments"), "\n"); !slices.Equal(got, want) {
		ts.Fatalf("the browser was started as %q, want %q", got, want)
	}
	u, err := url.Parse(shown)
	ts.Check(err)
	if got := u.Query().Get("note"); got != args[0] {
		ts.Fatalf("the note is %q", got)
	}
}

// findPort sets FREE to a port that nobody listens on.
func findPort(ts *testscript.TestScript, _ bool, _ []string) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	ts.Check(err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	ts.Check(err)
	ts.Check(listener.Close())
	ts.Setenv("FREE", port)
}

// occupyPort listens on a port and sets BUSY to it.
func occupyPort(ts *testscript.TestScript, _ bool, _ []string) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	ts.Check(err)
	ts.Setenv("BUSY", port)
}

// countRequests: count endpoint N.
func countRequests(ts *testscript.TestScript, _ bool, args []string) {
	if got := fmt.Sprint(running(ts).Requests(args[0])); got != args[1] {
		ts.Fatalf("%s requests to the %s endpoint, want %s", got, args[0], args[1])
	}
}

// countClients: clients N: so many clients that have registered themselves are known.
func countClients(ts *testscript.TestScript, _ bool, args []string) {
	if got := fmt.Sprint(len(running(ts).RegisteredClients())); got != args[0] {
		ts.Fatalf("%s registered clients, want %s", got, args[0])
	}
}

// callResource: api STATUS: what the issuer's API answers to the token that the last
// command has printed.
func callResource(ts *testscript.TestScript, _ bool, args []string) {
	req, err := http.NewRequest(http.MethodGet, running(ts).ResourceURL(), nil)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile("stdout")))
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	ts.Check(err)
	resp.Body.Close()
	if got := fmt.Sprint(resp.StatusCode); got != args[0] {
		ts.Fatalf("the API answers %s, want %s", got, args[0])
	}
}

// scanForSecrets looks for every secret that the issuer gave out in the output
// of the last command, and in what the browser was started with.
func scanForSecrets(ts *testscript.TestScript, _ bool, _ []string) {
	texts := map[string]string{"stdout": ts.ReadFile("stdout"), "stderr": ts.ReadFile("stderr")}
	if arguments, err := os.ReadFile(ts.MkAbs("browser-arguments")); err == nil {
		texts["the command line of the browser"] = string(arguments)
	}
	for where, text := range texts {
		for _, secret := range running(ts).Secrets() {
			if strings.Contains(text, secret) {
				ts.Fatalf("%s holds a secret", where)
			}
		}
	}
}

// checkEmptyKeychain: nothing is stored, and the list of logins is empty.
func checkEmptyKeychain(ts *testscript.TestScript, _ bool, _ []string) {
	for _, dir := range []string{"keychain", "config/oauth-login/profiles", ts.Getenv("ENCRYPTED_FILES")} {
		entries, _ := os.ReadDir(ts.MkAbs(dir))
		for _, entry := range entries {
			if !isLock(ts.MkAbs(dir), entry) {
				ts.Fatalf("%s holds %v", dir, entry)
			}
		}
	}
}

// isLock reports whether an entry of a directory is a lock, which holds nothing, or
// a directory of locks.
func isLock(dir string, entry fs.DirEntry) bool {
	if !entry.IsDir() {
		return strings.HasSuffix(entry.Name(), ".lock")
	}
	below := filepath.Join(dir, entry.Name())
	entries, err := os.ReadDir(below)
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !isLock(below, e) })
}

// checkJSON: json path [value]: standard output of the last command is one JSON
// object on one line and nothing else. At the path it has the value, or any.
func checkJSON(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile("stdout")
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil || strings.Count(text, "\n") != 1 {
		ts.Fatalf("standard output is not one JSON object: %v", err)
	}
	for name := range strings.SplitSeq(args[0], ".") {
		switch inner := value.(type) {
		case map[string]any:
			value = inner[name]
		case []any:
			i, err := strconv.Atoi(name)
			ts.Check(err)
			value = inner[i]
		default:
			value = nil
		}
	}
	if value == nil || len(args) > 1 && fmt.Sprint(value) != args[1] {
		ts.Fatalf("%s is %v", args[0], value)
	}
}

// checkEvents: events name...: standard error of the last command is one JSON
// object on each line and nothing else, and these are their names.
func checkEvents(ts *testscript.TestScript, _ bool, args []string) {
	var names []string
	for text := range strings.Lines(ts.ReadFile("stderr")) {
		var e struct {
			Event string `json:"event"`
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil || e.Event == "" {
			ts.Fatalf("%q is no event: %v", text, err)
		}
		names = append(names, e.Event)
	}
	if !slices.Equal(names, args) {
		ts.Fatalf("the events are %v", names)
	}
}
