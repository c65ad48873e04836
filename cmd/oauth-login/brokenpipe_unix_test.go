//go:build unix

package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// TestNobodyReads: a login is not lost because nobody reads what a command says while
// it refreshes, as with 'token --verbose 2>&1 | head -2'. Output that nobody takes ends
// it as SIGPIPE does.
func TestNobodyReads(t *testing.T) {
	provider := startProvider(t, &issuer.Options{AccessTokenTTL: time.Second})
	h := newHome(t)
	if p := h.run(t, "--issuer", provider.URL(), "--client-id", "cli"); p.cmd.ProcessState.ExitCode() != exitDone {
		t.Fatalf("login: %s", &p.stderr)
	}
	for _, args := range []string{"token --verbose", "token --trace -", "token --events json", "userinfo --verbose"} {
		time.Sleep(1100 * time.Millisecond) // it has to be refreshed
		p := h.command(t, strings.Fields(args)...)
		p.cmd.Stderr = brokenPipe(t)
		p.start(t)
		if code := p.wait(t); code != exitDone || p.stdout.String() == "" {
			t.Errorf("%s: exit code %d", args, code)
		}
	}
	time.Sleep(1100 * time.Millisecond)
	for _, args := range []string{"token --verbose", "token --output json", "status", "userinfo", "version"} {
		p := h.command(t, strings.Fields(args)...)
		p.cmd.Stdout = brokenPipe(t)
		p.start(t)
		if code := p.wait(t); code != exitNotRead || strings.Contains(p.stderr.String(), "error") {
			t.Errorf("%s: exit code %d\n%s", args, code, &p.stderr)
		}
	}
	if p := h.run(t, "token"); p.cmd.ProcessState.ExitCode() != exitDone {
		t.Errorf("the login is lost: %s", &p.stderr)
	}
	if p := h.run(t, "exec", "--", "sh", "-c", "kill -PIPE $$"); p.cmd.ProcessState.ExitCode() == exitDone {
		t.Error("a command is started without SIGPIPE")
	}
}

// brokenPipe returns a pipe that nobody reads.
func brokenPipe(t *testing.T) *os.File {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	t.Cleanup(func() { writer.Close() })
	return writer
}
