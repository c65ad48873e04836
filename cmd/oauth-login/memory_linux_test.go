package main

import (
	"bufio"
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

// mostMemory is what a login may take at most, in KiB.
const mostMemory = 25 << 10

// TestPeakMemory: a whole login, as the command is released, with a provider and a
// browser in another process. What it has taken is looked at when it has done
// everything but say so: nobody takes what it prints.
func TestPeakMemory(t *testing.T) {
	provider, err := issuer.Start(&issuer.Options{Clients: []issuer.Client{{ID: "cli"}}, Alg: "RS256"})
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	dir := t.TempDir()
	identity := filepath.Join(dir, "identity")
	if err := writeIdentity(identity); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(buildCommand(t), "--issuer", provider.URL(), "--client-id", "cli", "--no-browser", "--output", "json",
		"--store", encryptedStore, "--store-identity", identity, "--lock-dir", filepath.Join(dir, "locks"))
	cmd.Env = []string{"HOME=" + dir}
	full := fullPipe(t)
	cmd.Stdout = full
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	full.Close()
	text := ""
	for lines := bufio.NewScanner(said); lines.Scan(); {
		text += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), provider.URL()+"/") {
			if _, err := new(issuer.Visitor).Visit(t.Context(), lines.Text()); err != nil {
				t.Fatal(err)
			}
		}
		if strings.HasPrefix(lines.Text(), "hint: 'oauth-login token'") {
			break
		}
	}
	time.Sleep(100 * time.Millisecond) // to come to the end of what it does
	most := peakMemory(t, cmd.Process.Pid)
	if !strings.Contains(text, "Signed in as ada@example.com") {
		t.Fatalf("the login has failed:\n%s", text)
	}
	t.Logf("%d KiB at most", most)
	if most > mostMemory {
		t.Errorf("a login takes %d KiB, and may take %d", most, mostMemory)
	}
}

// fullPipe returns the end to write to of a pipe that takes nothing more.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(ends[1], true); err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); len(block) > 0; {
		if _, err := syscall.Write(ends[1], block); err != nil {
			block = block[:len(block)/2]
		}
	}
	if err := syscall.SetNonblock(ends[1], false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(ends[0]) })
	return os.NewFile(uintptr(ends[1]), "full pipe")
}

// peakMemory is the most that a process has had in memory, in KiB (proc(5), VmHWM).
func peakMemory(t *testing.T, pid int) (kib int) {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err = strconv.Atoi(strings.Fields(value)[0])
		}
	}
	if err != nil || kib == 0 {
		t.Fatalf("no VmHWM: %v\n%s", err, status)
	}
	return kib
}
