//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// TestExecIsTheCommand: the command has the process ID of oauth-login, so signals
// reach it, and it ends as it likes.
func TestExecIsTheCommand(t *testing.T) {
	provider := startProvider(t, &issuer.Options{})
	h := newHome(t)
	if p := h.start(t, "--issuer", provider.URL(), "--client-id", "cli"); p.wait(t) != exitDone {
		t.Fatalf("login:\n%s", &p.stderr)
	}
	for name, tt := range map[string]struct {
		script string
		signal os.Signal
		code   int
	}{
		"handled":   {`trap 'exit 42' TERM; echo $$ >ready; while :; do sleep 0.05; done`, syscall.SIGTERM, 42},
		"unhandled": {`echo $$ >ready; while :; do sleep 0.05; done`, syscall.SIGTERM, 128 + int(syscall.SIGTERM)},
		"interrupt": {`trap 'exit 43' INT; echo $$ >ready; while :; do sleep 0.05; done`, os.Interrupt, 43},
	} {
		t.Run(name, func(t *testing.T) {
			ready := filepath.Join(h.dir, "ready")
			os.Remove(ready)
			p := h.start(t, "exec", "--", "sh", "-c", tt.script)
			pid := ""
			for deadline := time.Now().Add(30 * time.Second); pid == "" && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
				data, _ := os.ReadFile(ready)
				pid = strings.TrimSpace(string(data))
			}
			if want := p.cmd.Process.Pid; pid != strconv.Itoa(want) {
				t.Errorf("the command is process %q, not %d", pid, want)
			}
			p.signal(t, tt.signal)
			if code := p.wait(t); code != tt.code {
				t.Errorf("exit code %d, want %d\n%s", code, tt.code, &p.stderr)
			}
		})
	}
}
