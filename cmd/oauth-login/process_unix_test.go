//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A home is what the processes of one person share: the keychain, the list of
// logins and the working directory.
type home struct{ dir string }

func newHome(t *testing.T) *home {
	t.Helper()
	dir, err := os.MkdirTemp("", "home")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // not t.TempDir: a browser may outlive the command, and write once more
		for range 100 {
			if os.RemoveAll(dir) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("%s cannot be removed", dir)
	})
	return &home{dir}
}

func (h *home) keychain() string { return filepath.Join(h.dir, "keychain") }

// data is the directory of the person's data, where encrypted files are.
func (h *home) data() string { return filepath.Join(h.dir, "data") }

func (h *home) locks() string { return filepath.Join(h.dir, "locks") }

// A process is the command as a process of its own.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr lockedBuffer
}

// start starts the command. The end of the test ends it.
func (h *home) start(t *testing.T, args ...string) *process {
	t.Helper()
	p := h.command(t, args...)
	p.start(t)
	return p
}

// command returns the command before it is started.
func (h *home) command(t *testing.T, args ...string) *process {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // instead of hanging
	t.Cleanup(cancel)
	p := &process{cmd: exec.CommandContext(ctx, "oauth-login", args...)}
	p.cmd.Dir = h.dir
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "OAUTH_LOGIN_") && !strings.HasPrefix(variable, "DISPLAY=") {
			p.cmd.Env = append(p.cmd.Env, variable)
		}
	}
	p.cmd.Env = append(p.cmd.Env, "HOME="+h.dir, "XDG_CONFIG_HOME="+filepath.Join(h.dir, "config"), "XDG_DATA_HOME="+h.data(),
		"FAKE_KEYCHAIN="+h.keychain(), "OAUTH_LOGIN_LOCK_DIR="+h.locks(), "BROWSER=fake-browser", "WORK="+h.dir, "NO_PROXY=*",
		"GORACE=atexit_sleep_ms=0") // by default, a process under the race detector ends a second late
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	return p
}

// script returns a script of the shell that runs the command, before it is started.
func (h *home) script(t *testing.T, script string, args ...string) *process {
	t.Helper()
	path, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	p := h.command(t)
	p.cmd.Path, p.cmd.Args = path, append([]string{"sh", "-c", script, "sh"}, args...)
	return p
}

func (p *process) start(t *testing.T) {
	t.Helper()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// run runs the command until it ends by itself.
func (h *home) run(t *testing.T, args ...string) *process {
	t.Helper()
	p := h.start(t, args...)
	p.wait(t)
	return p
}

func (p *process) interrupt(t *testing.T) {
	t.Helper()
	p.signal(t, os.Interrupt)
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// wait waits for the end of the command, and returns its exit code: 128 and the
// number of the signal that has killed it, as a shell would say.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	err := p.cmd.Wait()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// expect waits for the end of a command that was just interrupted.
func (p *process) expect(t *testing.T, code int, within time.Duration) {
	t.Helper()
	began := time.Now()
	if got := p.wait(t); got != code {
		t.Errorf("exit code %d, want %d\n%s", got, code, &p.stderr)
	}
	if took := time.Since(began); took > within {
		t.Errorf("it took %v to end", took)
	}
}

// kill ends the command as kill -9 does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.cmd.Process.Kill()
	p.wait(t)
}

// url waits for the line that is an authorization URL and nothing else.
func (p *process) url(t *testing.T) string {
	t.Helper()
	return p.says(t, "http", "state=")
}

// says waits for a line that starts with a text and has another in it.
func (p *process) says(t *testing.T, start, within string) string {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for line := range strings.Lines(p.stderr.String()) {
			if strings.HasPrefix(line, start) && strings.Contains(line, within) && strings.HasSuffix(line, "\n") {
				return strings.TrimSpace(line)
			}
		}
	}
	t.Fatalf("no line that starts with %q and has %q in it:\n%s", start, within, &p.stderr)
	return ""
}
