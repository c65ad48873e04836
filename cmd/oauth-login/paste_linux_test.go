package main

import (
	"context"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// A faraway browser signs in, and cannot reach the command on this machine.
type farawayBrowser struct {
	provider *issuer.Issuer
	answers  chan string
	leave    context.CancelFunc
}

func startFaraway(t *testing.T, opts *issuer.Options) *farawayBrowser {
	t.Helper()
	b := &farawayBrowser{answers: make(chan string, 1)}
	opts.Redirect = func(params url.Values) {
		b.answers <- params.Encode()
		b.leave() // before the browser can follow
	}
	b.provider = startProvider(t, opts)
	return b
}

// address signs in and returns what the browser shows then.
func (b *farawayBrowser) address(t *testing.T, authorizationURL string) string {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	b.leave = leave
	if _, err := new(issuer.Visitor).Visit(ctx, authorizationURL); err == nil {
		t.Fatal("the browser has reached the command")
	}
	u, err := url.Parse(authorizationURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("redirect_uri") + "?" + <-b.answers
}

// TestPaste: the address that the browser ends up at completes the login from the
// terminal while the listener waits, and everything else is explained.
func TestPaste(t *testing.T) {
	browser := startFaraway(t, &issuer.Options{})
	h := newHome(t)
	p := h.command(t, "--issuer", browser.provider.URL(), "--client-id", "cli", "--no-browser")
	p.cmd.Env = append(p.cmd.Env, "SSH_CONNECTION=198.51.100.7 50000 203.0.113.9 22")
	p.cmd.Stdin = os.Stdin
	tty := p.startAtTerminal(t)
	authorizationURL := p.url(t)
	request, err := url.Parse(authorizationURL)
	if err != nil {
		t.Fatal(err)
	}
	redirect, err := url.Parse(request.Query().Get("redirect_uri"))
	if err != nil {
		t.Fatal(err)
	}
	p.says(t, "ssh -L "+redirect.Port()+":127.0.0.1:"+redirect.Port()+" ", "203.0.113.9\n")
	p.says(t, "When the browser has signed in", "not shown")
	tty.listens(t)
	answer := browser.address(t, authorizationURL)
	u, err := url.Parse(answer)
	if err != nil {
		t.Fatal(err)
	}
	code := u.Query().Get("code")
	for _, wrong := range []struct{ text, says string }{
		{"", "nothing was pasted"},
		{code, "a code alone cannot be checked"},
		{"http://other.example/callback?" + u.RawQuery, "the address of another page"},
		{strings.Replace(answer, "state=", "state=x", 1), "not the answer to this login"},
		{answer + "&x=" + strings.Repeat("x", 100<<10), "too long"},
		{"; rm -rf \x1b[2J $(id) `id`", "a code alone cannot be checked"},
	} {
		tty.write(t, wrong.text+"\n")
		p.says(t, "oauth-login: warning: ", wrong.says)
	}
	if n := browser.provider.Requests("token"); n != 0 {
		t.Fatalf("%d token requests", n)
	}
	// More than a terminal's line can have, and a mistake that is rubbed out.
	tty.write(t, "mistake\x15"+answer+"&x="+strings.Repeat("x", 8<<10)+"y\x7f\n"+strings.Repeat("echo left over\n", 700))
	if code := p.wait(t); code != exitDone || !strings.Contains(p.stderr.String(), "Signed in as ada") {
		t.Errorf("exit code %d\n%s", code, &p.stderr)
	}
	tty.restored(t)
	if n := tty.unread(t); n != 0 {
		t.Errorf("%d bytes are left for a shell to run", n)
	}
	for where, text := range map[string]string{"the terminal": tty.text(), "standard error": p.stderr.String(), "standard output": p.stdout.String()} {
		if strings.Contains(text, code) {
			t.Errorf("%s has the code", where)
		}
	}
	if text := tty.text(); text != "" {
		t.Errorf("the terminal shows %q", text)
	}
	if token := h.run(t, "token"); token.cmd.ProcessState.ExitCode() != exitDone {
		t.Errorf("token: %s", &token.stderr)
	}
}

// TestPasteMeetsBrowser: when the browser does come, the terminal is given back
// before the exchange, and nothing of a paste is left in it for a shell.
func TestPasteMeetsBrowser(t *testing.T) {
	gate := newGate("/token")
	provider := startProvider(t, &issuer.Options{Wrap: gate.wrap})
	defer gate.open()
	tty, p := newHome(t).sitAtTerminal(t, "--issuer", provider.URL(), "--client-id", "cli", "--no-browser")
	authorizationURL := p.url(t)
	tty.listens(t)
	tty.write(t, "half of a paste")
	go new(issuer.Visitor).Visit(t.Context(), authorizationURL)
	<-gate.held
	tty.restored(t)
	p.interrupt(t)
	p.expect(t, exitInterrupted, time.Second)
	tty.restored(t)
}

// TestInterruptAtTerminal: Ctrl-C, typed or sent, at each step that waits.
func TestInterruptAtTerminal(t *testing.T) {
	handleSignals(t)
	steps := map[string]struct {
		hang  string // part of the path of the request that is never answered
		visit bool
		args  []string
	}{
		"discovery":     {hang: "/.well-known/"},
		"person":        {},
		"exchange":      {hang: "/token", visit: true},
		"keys":          {hang: "/jwks", visit: true},
		"device":        {args: []string{"--device"}},
		"device answer": {hang: "/token", args: []string{"--device"}},
	}
	press := map[string]func(*testing.T, *terminal, *process){
		"key":        func(t *testing.T, tty *terminal, _ *process) { tty.write(t, "\x03") },
		"quit":       func(t *testing.T, tty *terminal, _ *process) { tty.write(t, "\x1c") },
		"terminated": func(t *testing.T, _ *terminal, p *process) { p.signal(t, syscall.SIGTERM) },
	}
	for name, step := range steps {
		for how, press := range press {
			t.Run(name+"/"+how, func(t *testing.T) {
				gate := newGate(step.hang)
				provider := startProvider(t, &issuer.Options{Wrap: gate.wrap, DeviceInterval: time.Second})
				defer gate.open()
				h := newHome(t)
				tty, p := h.sitAtTerminal(t, append(step.args, "--issuer", provider.URL(), "--client-id", "cli", "--no-browser")...)
				if step.visit {
					go new(issuer.Visitor).Visit(t.Context(), p.url(t))
				}
				switch {
				case step.hang != "":
					<-gate.held
				case step.args == nil:
					tty.listens(t)
				default:
					p.says(t, "and type in this code", "")
				}
				press(t, tty, p)
				p.expect(t, exitInterrupted, time.Second)
				tty.restored(t)
				if entries, _ := os.ReadDir(h.keychain()); len(entries) > 0 {
					t.Errorf("%d logins are stored", len(entries))
				}
			})
		}
	}
}

// TestPasteInBackground: a job in the background leaves the terminal to the shell,
// and is not stopped for touching it.
func TestPasteInBackground(t *testing.T) {
	provider := startProvider(t, &issuer.Options{})
	p := newHome(t).command(t, "--issuer", provider.URL(), "--client-id", "cli", "--no-browser")
	p.cmd.Stdin = os.Stdin
	p.cmd.Path = "/bin/bash"
	p.cmd.Args = append([]string{"bash", "-c", `set -m; oauth-login "$@" <&3 & wait $!`}, p.cmd.Args...)
	tty := p.startAtTerminal(t)
	authorizationURL := p.url(t)
	time.Sleep(100 * time.Millisecond)
	tty.restored(t)
	if _, err := new(issuer.Visitor).Visit(t.Context(), authorizationURL); err != nil {
		t.Error(err)
	}
	if code := p.wait(t); code != exitDone {
		t.Errorf("exit code %d\n%s", code, &p.stderr)
	}
	tty.restored(t)
}

// TestPasteAfterStop: a shell has the terminal show what is typed while the command
// is stopped, and the command sees to that when it goes on.
func TestPasteAfterStop(t *testing.T) {
	browser := startFaraway(t, &issuer.Options{})
	tty, p := newHome(t).sitAtTerminal(t, "--issuer", browser.provider.URL(), "--client-id", "cli", "--no-browser")
	answer := browser.address(t, p.url(t))
	tty.listens(t)
	tty.stop(t, p)
	tty.listens(t)
	tty.write(t, answer+"\n")
	if code := p.wait(t); code != exitDone {
		t.Errorf("exit code %d\n%s", code, &p.stderr)
	}
	if strings.Contains(tty.text(), "code=") {
		t.Errorf("the terminal shows the code:\n%s", tty.text())
	}
	tty.restored(t)
}

// stop stops a process as Ctrl-Z does, has the terminal be as it was before, and lets
// the process go on.
func (tty *terminal) stop(t *testing.T, p *process) {
	t.Helper()
	p.signal(t, syscall.SIGSTOP)
	time.Sleep(50 * time.Millisecond)
	control(t, tty.slave, syscall.TCSETS, unsafe.Pointer(&tty.before))
	if !tty.echoes(t) {
		t.Fatal("the terminal does not show what is typed")
	}
	p.signal(t, syscall.SIGCONT)
}

// TestNoPasteWithoutTerminal: standard input that is none is not read, and nobody
// is invited to paste.
func TestNoPasteWithoutTerminal(t *testing.T) {
	browser := startFaraway(t, &issuer.Options{})
	p := newHome(t).command(t, "--issuer", browser.provider.URL(), "--client-id", "cli", "--no-browser", "--timeout", "2s")
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.start(t)
	answer := browser.address(t, p.url(t))
	if _, err := stdin.Write([]byte(answer + "\n")); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitTimeout || strings.Contains(p.stderr.String(), "paste") {
		t.Errorf("exit code %d\n%s", code, &p.stderr)
	}
}

// TestExecGetsTheTerminal: as it was, also after a sign-in that has listened to it.
func TestExecGetsTheTerminal(t *testing.T) {
	provider := startProvider(t, &issuer.Options{})
	tty, p := newHome(t).sitAtTerminal(t, "exec", "--interactive", "--no-browser", "--issuer", provider.URL(), "--client-id", "cli",
		"--", "sh", "-c", `stty -a; read -r line; printf 'read %s\n' "$line"`)
	authorizationURL := p.url(t)
	tty.listens(t)
	if _, err := new(issuer.Visitor).Visit(t.Context(), authorizationURL); err != nil {
		t.Fatal(err)
	}
	tty.restored(t)
	tty.write(t, "a line\n")
	code, out := p.wait(t), p.stdout.String()
	if code != exitDone || !strings.Contains(out, " icanon ") || !strings.Contains(out, " echo ") || !strings.HasSuffix(out, "read a line\n") {
		t.Errorf("exit code %d\n%s\n%s", code, out, &p.stderr)
	}
}
