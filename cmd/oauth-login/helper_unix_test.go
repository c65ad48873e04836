//go:build unix

package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// TestLoginRequiredAtOnce: where a login is needed and nobody can be asked, every
// verb says so within a second, whether there was never a login or one that has
// expired, and opens no browser.
func TestLoginRequiredAtOnce(t *testing.T) {
	provider := startProvider(t, &issuer.Options{AccessTokenTTL: time.Second})
	const attributes = "protocol=https\nhost=git.example\n\n"
	commands := []struct{ stdin, args string }{
		{"", "token"},
		{"", "token --id-token"},
		{"", "token --format exec-credential --issuer URL"},
		{"", "token --output json"},
		{"", "exec -- sh -c exit"},
		{"", "userinfo"},
		{attributes, "git-credential --for-host git.example --issuer URL get"},
		{"git.example", "docker-credential --for-host git.example --issuer URL get"},
	}
	never, expired := newHome(t), newHome(t)
	if p := expired.run(t, "--issuer", provider.URL(), "--client-id", "cli", "--scope", "openid"); p.cmd.ProcessState.ExitCode() != exitDone {
		t.Fatalf("login:\n%s", &p.stderr)
	}
	time.Sleep(1100 * time.Millisecond)
	opened := provider.Requests("authorize")
	for _, h := range []*home{never, expired} {
		for _, command := range commands {
			p := h.command(t, strings.Fields(strings.ReplaceAll(command.args, "URL", provider.URL()))...)
			p.cmd.Stdin = strings.NewReader(command.stdin)
			p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			p.start(t)
			p.expect(t, exitLoginRequired, time.Second)
			if !strings.Contains(p.stderr.String(), "login required") {
				t.Errorf("%s says\n%s", command.args, &p.stderr)
			}
		}
	}
	if provider.Requests("authorize") != opened {
		t.Error("a browser was opened")
	}
}
