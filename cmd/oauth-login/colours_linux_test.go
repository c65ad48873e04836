package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// shownAt runs the command at a terminal and returns what that shows.
func (h *home) shownAt(t *testing.T, columns uint16, env []string, args ...string) string {
	t.Helper()
	return show(t, h.command(t, args...), columns, env)
}

// show starts a process at a terminal, waits for its end and returns what that shows.
func show(t *testing.T, p *process, columns uint16, env []string) string {
	t.Helper()
	p.cmd.Env = append(append(p.cmd.Env, "TERM=xterm-256color", "NO_COLOR="), env...)
	p.cmd.Stdout, p.cmd.Stderr = os.Stdout, os.Stderr // stand for the terminal
	tty := p.startAt(t, 24, columns)
	p.wait(t)
	const end = "end of what it shows"
	if _, err := tty.slave.WriteString(end); err != nil {
		t.Fatal(err)
	}
	tty.expect(t, end)
	return strings.ReplaceAll(strings.TrimSuffix(tty.text(), end), "\r\n", "\n")
}

// TestColours: at a terminal, an error stands out and a hint stands back, and nothing
// else is in colour.
func TestColours(t *testing.T) {
	h := newHome(t)
	const want = "oauth-login: \x1b[1merror:\x1b[0m nobody is signed in: login required\n" +
		"\x1b[2mhint:\x1b[0m sign in first: oauth-login --issuer https://issuer.example --client-id ID\n"
	if got := h.shownAt(t, 80, nil, "status"); got != want {
		t.Errorf("it shows %q", got)
	}
}

// TestNoColours: nor where they are not wanted, not known, or not for people.
func TestNoColours(t *testing.T) {
	h := newHome(t)
	for name, tt := range map[string]struct{ env, args []string }{
		"NO_COLOR": {[]string{"NO_COLOR=1"}, nil},
		"dumb":     {[]string{"TERM=dumb"}, nil},
		"no TERM":  {[]string{"TERM="}, nil},
		"events":   {nil, []string{"--events", "json"}},
		"help":     {nil, []string{"--help"}},
		"forced":   {[]string{"NO_COLOR=1", "CLICOLOR_FORCE=1"}, nil},
	} {
		if got := h.shownAt(t, 80, tt.env, append([]string{"status"}, tt.args...)...); strings.Contains(got, "\x1b") || got == "" {
			t.Errorf("%s: it shows %q", name, got)
		}
	}
	p := h.command(t, "status", "--output", "json")
	p.cmd.Env = append(p.cmd.Env, "TERM=xterm", "NO_COLOR=", "CLICOLOR_FORCE=1")
	p.start(t)
	p.wait(t)
	if got := p.stdout.String() + p.stderr.String(); strings.Contains(got, "\x1b") || !strings.Contains(got, "error:") {
		t.Errorf("into a pipe it writes %q", got)
	}
}

// TestNarrowTerminals: no line is wider than the terminal, save for words and
// commands that are to be copied.
func TestNarrowTerminals(t *testing.T) {
	provider := startProvider(t, &issuer.Options{})
	h := newHome(t)
	for _, columns := range []uint16{30, 40, 60, 80, 200} {
		shown := h.shownAt(t, columns, []string{"NO_COLOR=1"}, "token", "--output", "yaml")
		shown += h.shownAt(t, columns, []string{"NO_COLOR=1", "SSH_CONNECTION=198.51.100.7 50000 203.0.113.9 22", "BROWSER="},
			"--issuer", provider.URL(), "--client-id", "cli", "--timeout", "100ms")
		lines := 0
		for line := range strings.Lines(shown) {
			line = strings.TrimSuffix(line, "\n")
			if lines++; columnsOf(line) > min(int(columns), 80) && !regexp.MustCompile(`^ *('?oauth-login |ssh -L |http://)`).MatchString(line) {
				t.Errorf("%d columns: %q", columns, line)
			}
		}
		if lines < 10 {
			t.Errorf("it shows\n%s", shown)
		}
	}
}
