package main

import (
	"os"
	"strings"
	"testing"

	"rsc.io/qr"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// A screen is a size of a terminal, and what is said about it.
type screen struct {
	rows, columns uint16
	env           []string
}

// showDevice signs in with --device at a screen, and returns what is on it.
func showDevice(t *testing.T, s screen, opts *issuer.Options) string {
	t.Helper()
	opts.Device = onDevice(&issuer.Visitor{}, opts)
	provider := startProvider(t, opts)
	p := newHome(t).command(t, "--device", "--issuer", provider.URL(), "--client-id", "cli")
	p.cmd.Env = append(p.cmd.Env, "LC_ALL=C.UTF-8", "TERM=xterm-256color", "NO_COLOR=")
	p.cmd.Env = append(p.cmd.Env, s.env...)
	p.cmd.Stdin, p.cmd.Stderr = os.Stdin, os.Stderr // stand for the terminal
	tty := p.startAt(t, s.rows, s.columns)
	if code := p.wait(t); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, tty.text())
	}
	tty.expect(t, "'oauth-login token' prints") // the last text
	tty.restored(t)
	return tty.text()
}

// TestQR: the page of --device is on the screen as a code that has what the
// address has, dark on light with a margin.
func TestQR(t *testing.T) {
	text := showDevice(t, screen{rows: 50, columns: 100}, &issuer.Options{})
	var address string
	for line := range strings.Lines(text) {
		if strings.Contains(line, "user_code=") {
			address = strings.TrimSpace(line)
		}
	}
	want, err := qr.Encode(address, qr.L)
	if err != nil {
		t.Fatal(err)
	}
	modules := scan(text)
	if len(modules) < want.Size+8 {
		t.Fatalf("%d rows of modules, want %d\n%s", len(modules), want.Size+8, text)
	}
	for y, row := range modules {
		if len(row) != want.Size+8 {
			t.Fatalf("row %d has %d modules, want %d", y, len(row), want.Size+8)
		}
		for x, dark := range row {
			if dark != want.Black(x-4, y-4) { // which is light around the code
				t.Fatalf("the module at %d, %d is wrong", x, y)
			}
		}
	}
}

// scan reads the modules that are on a screen as dark on light.
func scan(text string) (modules [][]bool) {
	for line := range strings.Lines(text) {
		drawn, found := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "\x1b[30;107m")
		drawn, ended := strings.CutSuffix(drawn, "\x1b[0m")
		if !found || !ended {
			continue
		}
		var upper, lower []bool
		for _, c := range drawn {
			upper = append(upper, c == '█' || c == '▀')
			lower = append(lower, c == '█' || c == '▄')
		}
		modules = append(modules, upper, lower)
	}
	return modules
}

// TestNoQR: where it would be broken, or in colours that are not wanted, the
// address has to do.
func TestNoQR(t *testing.T) {
	for name, s := range map[string]screen{
		"narrow":    {rows: 50, columns: 36},
		"low":       {rows: 15, columns: 100},
		"no size":   {},
		"no colour": {rows: 50, columns: 100, env: []string{"NO_COLOR=1"}},
		"dumb":      {rows: 50, columns: 100, env: []string{"TERM=dumb"}},
		"no UTF-8":  {rows: 50, columns: 100, env: []string{"LC_ALL=C"}},
		"events":    {rows: 50, columns: 100, env: []string{"OAUTH_LOGIN_EVENTS=json"}},
	} {
		t.Run(name, func(t *testing.T) {
			if text := showDevice(t, s, &issuer.Options{}); strings.Contains(text, darkLight) || strings.ContainsAny(text, "█▀▄") {
				t.Errorf("it shows\n%s", text)
			}
		})
	}
}
