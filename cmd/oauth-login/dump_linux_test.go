package main

import (
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
