package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// TestPassphraseIsAskedAtTheTerminal: twice when it is chosen, once later, never
// shown, whatever the standard streams are.
func TestPassphraseIsAskedAtTheTerminal(t *testing.T) {
	provider := startProvider(t, &issuer.Options{})
	h := newHome(t)
	const choose, again, ask = "Choose a passphrase: ", "The same again: ", "Passphrase of the logins in "

	tty, p := h.startAtTerminal(t, "--issuer", provider.URL(), "--client-id", "cli", "--store", "encrypted-file")
	tty.expect(t, "It cannot be recovered")
	tty.answer(t, choose, "horse ö") // nine bytes, seven characters
	tty.expect(t, "That is too short")
	tty.answer(t, choose, "correct horse")
	tty.answer(t, again, "battery staple")
	tty.expect(t, "They differ.")
	tty.answer(t, choose, "correct horse")
	tty.answer(t, again, "correct horse")
	if code := p.wait(t); code != exitDone {
		t.Fatalf("login: exit code %d\n%s", code, &p.stderr)
	}

	tty, p = h.startAtTerminal(t, "token")
	tty.answer(t, ask, "correct horse")
	if code := p.wait(t); code != exitDone || len(strings.Fields(p.stdout.String())) != 1 {
		t.Errorf("token: exit code %d\n%s", code, &p.stderr)
	}
	if !tty.echoes(t) {
		t.Error("the terminal shows nothing any more")
	}
	for _, secret := range []string{"horse", "staple"} {
		if strings.Contains(tty.text(), secret) || strings.Contains(p.stderr.String(), secret) {
			t.Error("the passphrase was shown")
		}
	}

	tty, p = h.startAtTerminal(t, "status")
	tty.answer(t, ask, "wrong")
	if code := p.wait(t); code != exitStoreUnavailable {
		t.Errorf("with a wrong passphrase: exit code %d\n%s", code, &p.stderr)
	}
	tty, p = h.startAtTerminal(t, "token")
	tty.answer(t, ask, "")
	if code := p.wait(t); code != exitStoreUnavailable || !strings.Contains(p.stderr.String(), "no passphrase was typed") {
		t.Errorf("without a passphrase: exit code %d\n%s", code, &p.stderr)
	}
}

// TestPassphraseIsChosenOnce: whoever chooses another one in a second terminal is told
// before they sign in.
func TestPassphraseIsChosenOnce(t *testing.T) {
	provider := startProvider(t, &issuer.Options{})
	h := newHome(t)
	first, p := h.startAtTerminal(t, "--issuer", provider.URL(), "--client-id", "cli", "--no-browser", "--store", "encrypted-file")
	first.answer(t, "Choose a passphrase: ", "correct horse")
	first.answer(t, "The same again: ", "correct horse")
	authorizationURL := p.url(t)
	second, q := h.startAtTerminal(t, "--issuer", provider.URL(), "--client-id", "other", "--no-browser", "--store", "encrypted-file")
	second.answer(t, "Passphrase of the logins in ", "battery staple")
	if code := q.wait(t); code != exitStoreUnavailable || !strings.Contains(q.stderr.String(), "another process has just chosen another passphrase") ||
		strings.Contains(q.stderr.String(), "/oauth2/authorize") {
		t.Errorf("exit code %d\n%s", code, &q.stderr)
	}
	if _, err := new(issuer.Visitor).Visit(t.Context(), authorizationURL); err != nil {
		t.Error(err)
	}
	if code := p.wait(t); code != exitDone {
		t.Errorf("exit code %d\n%s", code, &p.stderr)
	}
}

// TestPassphraseCanBeInterrupted: Ctrl-C at the prompt ends the command, with
// the terminal as it was, and nothing is stored.
func TestPassphraseCanBeInterrupted(t *testing.T) {
	handleSignals(t)
	provider := startProvider(t, &issuer.Options{})
	h := newHome(t)
	for name, press := range map[string]func(t *testing.T, tty *terminal, p *process){
		"key":    func(t *testing.T, tty *terminal, _ *process) { tty.write(t, "correct\x03") },
		"quit":   func(t *testing.T, tty *terminal, _ *process) { tty.write(t, "correct\x1c") },
		"signal": func(t *testing.T, _ *terminal, p *process) { p.interrupt(t) },
	} {
		t.Run(name, func(t *testing.T) {
			tty, p := h.startAtTerminal(t, "--issuer", provider.URL(), "--client-id", "cli", "--store", "encrypted-file")
			tty.prompt(t, "Choose a passphrase: ")
			press(t, tty, p)
			p.expect(t, exitInterrupted, time.Second)
			tty.restored(t)
			if provider.Requests("authorize") != 0 {
				t.Error("a browser was opened")
			}
			dir := filepath.Join(h.data(), "oauth-login", "encrypted")
			entries, err := os.ReadDir(dir)
			for _, entry := range entries {
				if !isLock(dir, entry) {
					t.Errorf("%s is stored, %v", entry, err)
				}
			}
		})
	}
}

// A terminal is the person's side of a pseudo-terminal.
type terminal struct {
	master *os.File
	slave  *os.File // the command's side
	before syscall.Termios
	shown  lockedBuffer
	read   int // how much of it was looked at
}

// A passphrase is not shown either when the command goes on after a stop.
func TestPassphraseAfterStop(t *testing.T) {
	provider := startProvider(t, &issuer.Options{})
	h := newHome(t)
	tty, p := h.startAtTerminal(t, "--issuer", provider.URL(), "--client-id", "cli", "--no-browser", "--store", "encrypted-file")
	tty.prompt(t, "Choose a passphrase: ")
	tty.stop(t, p)
	tty.prompt(t, "")
	tty.write(t, "correct horse\n")
	tty.answer(t, "The same again: ", "correct horse")
	if _, err := new(issuer.Visitor).Visit(t.Context(), p.url(t)); err != nil {
		t.Error(err)
	}
	if code := p.wait(t); code != exitDone || strings.Contains(tty.text(), "horse") {
		t.Errorf("exit code %d\n%s\n%s", code, &p.stderr, tty.text())
	}
	tty.restored(t)
}

// startAtTerminal starts the command as one that belongs to a terminal, which
// none of its standard streams is.
func (h *home) startAtTerminal(t *testing.T, args ...string) (*terminal, *process) {
	t.Helper()
	p := h.command(t, args...)
	return p.startAtTerminal(t), p
}

// sitAtTerminal starts the command with a terminal as its standard input.
func (h *home) sitAtTerminal(t *testing.T, args ...string) (*terminal, *process) {
	t.Helper()
	p := h.command(t, args...)
	p.cmd.Stdin = os.Stdin // stands for the terminal
	return p.startAtTerminal(t), p
}

func (p *process) startAtTerminal(t *testing.T) *terminal {
	t.Helper()
	return p.startAt(t, 0, 0)
}

// startAt starts the command at a terminal of a size, 0 for one that has none to
// tell.
func (p *process) startAt(t *testing.T, rows, columns uint16) *terminal {
	t.Helper()
	master, slave := openPair(t)
	size := [4]uint16{rows, columns}
	control(t, master, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	p.cmd.ExtraFiles = []*os.File{slave}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if p.cmd.Stdin == os.Stdin {
		p.cmd.Stdin = slave
	}
	if p.cmd.Stdout == os.Stdout {
		p.cmd.Stdout = slave
	}
	if p.cmd.Stderr == os.Stderr {
		p.cmd.Stderr = slave
	}
	tty := &terminal{master: master, slave: slave, before: stateOf(t, slave)}
	p.start(t)
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			tty.shown.Write(buffer[:n])
			if err != nil {
				return
			}
		}
	}()
	return tty
}

// openPair opens both sides of a new pseudo-terminal.
func openPair(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	var unlock, number int32
	control(t, master, syscall.TIOCSPTLCK, unsafe.Pointer(&unlock))
	control(t, master, syscall.TIOCGPTN, unsafe.Pointer(&number))
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() }) // as long as it is open, its state can be looked at
	return master, slave
}

func control(t *testing.T, file *os.File, request uintptr, argument unsafe.Pointer) {
	t.Helper()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), request, uintptr(argument)); errno != 0 {
		t.Fatal(errno)
	}
}

func stateOf(t *testing.T, file *os.File) (state syscall.Termios) {
	t.Helper()
	control(t, file, syscall.TCGETS, unsafe.Pointer(&state))
	return state
}

// restored checks that the terminal is as it was before the command.
func (tty *terminal) restored(t *testing.T) {
	t.Helper()
	if now := stateOf(t, tty.master); now != tty.before {
		t.Errorf("the terminal was left in another state:\n%+v, before\n%+v", now, tty.before)
	}
}

// unread counts the bytes that were typed and that nobody has read.
func (tty *terminal) unread(t *testing.T) (n int32) {
	t.Helper()
	time.Sleep(100 * time.Millisecond) // what is typed takes a way
	control(t, tty.slave, syscall.TIOCINQ, unsafe.Pointer(&n))
	return n
}

// listens waits until what is typed is neither shown nor collected.
func (tty *terminal) listens(t *testing.T) {
	t.Helper()
	for range 10000 {
		if stateOf(t, tty.master).Lflag&(syscall.ECHO|syscall.ICANON) == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("nobody listens to what is typed")
}

// echoes reports whether the terminal shows what is typed.
func (tty *terminal) echoes(t *testing.T) bool {
	t.Helper()
	var state syscall.Termios
	control(t, tty.master, syscall.TCGETS, unsafe.Pointer(&state))
	return state.Lflag&syscall.ECHO != 0 && state.Lflag&syscall.ICANON != 0
}

// expect waits until the terminal shows a text, after those that it was waited
// for before.
func (tty *terminal) expect(t *testing.T, text string) {
	t.Helper()
	for range 10000 {
		if _, after, found := strings.Cut(tty.text()[tty.read:], text); found {
			tty.read = len(tty.text()) - len(after)
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("the terminal does not show %q, but\n%s", text, tty.text()[tty.read:])
}

// prompt waits until something is asked and the answer will not be shown.
func (tty *terminal) prompt(t *testing.T, text string) {
	t.Helper()
	tty.expect(t, text)
	for range 5000 {
		var state syscall.Termios
		control(t, tty.master, syscall.TCGETS, unsafe.Pointer(&state))
		if state.Lflag&syscall.ECHO == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the terminal still shows what is typed")
}

func (tty *terminal) answer(t *testing.T, prompt, text string) {
	t.Helper()
	tty.prompt(t, prompt)
	tty.write(t, text+"\n")
}

func (tty *terminal) write(t *testing.T, text string) {
	t.Helper()
	if _, err := tty.master.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func (tty *terminal) text() string { return tty.shown.String() }

// TestLogoutOfAllIsAskedFor: at the terminal, whatever the standard streams are,
// and not at all without one.
func TestLogoutOfAllIsAskedFor(t *testing.T) {
	provider := startProvider(t, &issuer.Options{})
	h := newHome(t)
	for _, profile := range []string{"home", "work"} {
		if p := h.run(t, "--issuer", provider.URL(), "--client-id", "cli", "--profile", profile); p.cmd.ProcessState.ExitCode() != exitDone {
			t.Fatalf("login:\n%s", &p.stderr)
		}
	}
	const question = "Sign out of all these logins? [y/N] "
	for answer, code := range map[string]int{"n\n": exitRefused, "\n": exitRefused, "yess\n": exitRefused, "\x04": exitRefused, "\x03": exitInterrupted} {
		tty, p := h.startAtTerminal(t, "logout", "--all")
		tty.expect(t, question)
		if shown := tty.text(); !strings.Contains(shown, "--profile home") || !strings.Contains(shown, "--profile work") {
			t.Errorf("the terminal does not show the logins, but\n%s", shown)
		}
		tty.write(t, answer)
		p.expect(t, code, time.Second)
	}
	p := h.command(t, "logout", "--all")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	p.start(t)
	p.expect(t, exitUsage, time.Second)
	if !strings.Contains(p.stderr.String(), "hint: add --yes") {
		t.Errorf("without a terminal:\n%s", &p.stderr)
	}
	if n := provider.Requests("revoke"); n != 0 {
		t.Errorf("%d tokens were revoked without a yes", n)
	}
	tty, p := h.startAtTerminal(t, "logout", "--all")
	tty.expect(t, question)
	tty.write(t, "Yes\n")
	if code := p.wait(t); code != exitDone || provider.Requests("revoke") != 2 {
		t.Errorf("exit code %d, %d revoked\n%s", code, provider.Requests("revoke"), &p.stderr)
	}
}
