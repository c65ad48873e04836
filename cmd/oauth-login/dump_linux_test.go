package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// leavesCore kills a process as a crash does, and reports whether the kernel has
// written what was in its memory.
func leavesCore(t *testing.T, cmd *exec.Cmd) bool {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		t.Fatalf("it has ended with %v", cmd.ProcessState)
	}
	return status.CoreDump()
}

// withCores allows a command that is a shell's to leave a core of any size.
const withCores = "ulimit -c unlimited && exec "

// TestNoCoreIsLeft: a crash writes no token to the disk, while other programs still
// leave what they do.
func TestNoCoreIsLeft(t *testing.T) {
	h := newHome(t)
	other := h.script(t, withCores+"sleep 60")
	other.start(t)
	waitForProgram(t, other.cmd, "sleep")
	if !leavesCore(t, other.cmd) {
		t.Skip("no program leaves a core on this system")
	}
	provider := startProvider(t, &issuer.Options{})
	p := h.script(t, withCores+`oauth-login --no-browser --issuer "$1" --client-id cli`, provider.URL())
	p.cmd.Env = append(p.cmd.Env, "GOTRACEBACK=crash")
	p.start(t)
	p.url(t) // it waits for the person
	if leavesCore(t, p.cmd) {
		t.Error("the kernel has written a core")
	}
}

// TestNobodyElseReadsTheMemory: another program of the same user gets at neither the
// memory nor the environment of the command, and would at those of other programs.
func TestNobodyElseReadsTheMemory(t *testing.T) {
	provider := startProvider(t, &issuer.Options{})
	h := newHome(t)
	p := h.command(t, "--no-browser", "--issuer", provider.URL(), "--client-id", "cli")
	other := h.command(t)
	p.cmd.Path, other.cmd.Path = ownCopy(t, h, "oauth-login"), ownCopy(t, h, "sleep")
	other.cmd.Args = []string{"sleep", "60"}
	for _, process := range []*process{p, other} {
		if os.Geteuid() == 0 { // who may read everything
			process.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		process.start(t)
		defer process.kill(t)
	}
	p.url(t)
	waitForProgram(t, other.cmd, "sleep")
	for _, what := range []string{"environ", "mem"} {
		if !h.mayRead(t, other, what) && what != "mem" { // which some systems keep from everybody (Yama)
			t.Errorf("this test cannot read the %s of anybody", what)
		}
		if h.mayRead(t, p, what) {
			t.Errorf("the %s can be read", what)
		}
	}
}

const nobody = 65534

// ownCopy returns a copy of a program that every user may run.
func ownCopy(t *testing.T, h *home, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(h.dir, name)
	if err := errors.Join(os.WriteFile(own, program, 0o755), os.Chmod(h.dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	return own
}

// mayRead reports whether a program of the user may open a file about a process.
func (h *home) mayRead(t *testing.T, p *process, name string) bool {
	t.Helper()
	reader := h.script(t, `exec 3<"$1"`, filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), name))
	reader.cmd.SysProcAttr = p.cmd.SysProcAttr
	reader.start(t)
	return reader.wait(t) == 0
}

// waitForProgram waits until a process runs a program.
func waitForProgram(t *testing.T, cmd *exec.Cmd, name string) {
	t.Helper()
	for range 1000 {
		exe, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "comm"))
		if err == nil && strings.TrimSpace(string(exe)) == name {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s does not run", name)
}
