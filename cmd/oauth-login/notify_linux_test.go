package main

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
)

// TestWaitingHelps: who waits for half a minute reads what may be wrong and what to
// do, at a terminal also how to paste; each line fits, but for addresses.
func TestWaitingHelps(t *testing.T) {
	const redirectURI = "http://127.0.0.1:41234/callback"
	for name, test := range map[string]struct {
		terminal, device bool
		mode             string
		event            loopback.Event
		says, not        []string
	}{
		"terminal": {terminal: true, device: true, event: loopback.Event{Kind: loopback.Waiting},
			says: []string{redirectURI, "Safari", "paste", "hint: --device"}, not: []string{"ignored"}},
		"no terminal": {event: loopback.Event{Kind: loopback.Waiting, Ignored: map[string]int{"wrong path": 1}},
			says: []string{redirectURI, "Safari", "(1 other request was ignored)"}, not: []string{"paste", "--device"}},
		"posted": {terminal: true, mode: "form_post", event: loopback.Event{Kind: loopback.Waiting, Ignored: map[string]int{"wrong path": 1, "prefetch": 2}},
			says: []string{redirectURI, "(3 other requests were ignored)"}, not: []string{"paste", "--device"}},
		"SSH": {terminal: true, device: true, event: loopback.Event{Kind: loopback.AuthorizationURL, URL: "https://issuer.example/authorize"},
			says: []string{"No browser is opened", "\nssh -L 41234:127.0.0.1:41234 ", "paste it here", "hint: --device"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestProgram(t)
			p.getenv = func(variable string) string {
				return map[string]string{"SSH_CONNECTION": "198.51.100.7 50000 203.0.113.9 22"}[variable]
			}
			if test.terminal {
				p.in = openSlave(t)
			}
			client := &grant.Client{ClientID: "cli", ResponseMode: test.mode, Server: &grant.AuthorizationServer{Issuer: "https://issuer.example"}}
			if test.device {
				client.Server.DeviceAuthorizationEndpoint = "https://issuer.example/device"
			}
			test.event.RedirectURI = redirectURI
			p.notifier(t.Context(), &options{}, client)(test.event)
			text := p.stderr.String()
			for _, part := range test.says {
				if !strings.Contains(text, part) {
					t.Errorf("%q is missing in\n%s", part, text)
				}
			}
			for _, part := range test.not {
				if strings.Contains(text, part) {
					t.Errorf("%q is in\n%s", part, text)
				}
			}
			for line := range strings.Lines(wrap(text, 80)) { // as a terminal shows it
				if utf8.RuneCountInString(line) > 81 && !strings.Contains(line, "http") {
					t.Errorf("%q is too long", line)
				}
			}
		})
	}
}

// TestSeat: what the environment says about where the person sits.
func TestSeat(t *testing.T) {
	for name, test := range map[string]struct {
		environment map[string]string
		want        seat
	}{
		"SSH":                {map[string]string{"SSH_CONNECTION": "a"}, overSSH},
		"SSH with a tty":     {map[string]string{"SSH_TTY": "/dev/pts/1"}, overSSH},
		"forwarded":          {map[string]string{"SSH_CONNECTION": "a", "DISPLAY": "localhost:10.0"}, here},
		"desktop":            {map[string]string{"DISPLAY": ":0"}, here},
		"Wayland":            {map[string]string{"WAYLAND_DISPLAY": "wayland-0"}, here},
		"WSL":                {map[string]string{"WSL_DISTRO_NAME": "Debian"}, here},
		"SSH into WSL":       {map[string]string{"WSL_DISTRO_NAME": "Debian", "SSH_CONNECTION": "a"}, overSSH},
		"codespace":          {map[string]string{"CODESPACES": "true", "DISPLAY": ":0"}, inCodespace},
		"codespace, browser": {map[string]string{"CODESPACES": "true", "BROWSER": "/helpers/browser.sh"}, here},
		"dev container":      {map[string]string{"REMOTE_CONTAINERS": "true"}, inContainer},
		"blank":              {map[string]string{"BROWSER": " ", "SSH_TTY": "x"}, overSSH},
	} {
		p := newTestProgram(t)
		p.getenv = func(variable string) string { return test.environment[variable] }
		if got := p.seat(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if !p.opensBrowser(&options{browser: "firefox"}) || p.opensBrowser(&options{browser: "firefox", noBrowser: true}) {
			t.Errorf("%s: --browser is not obeyed", name)
		}
	}
}

// openSlave returns a terminal that nobody sits at.
func openSlave(t *testing.T) *os.File {
	t.Helper()
	_, slave := openPair(t)
	return slave
}
