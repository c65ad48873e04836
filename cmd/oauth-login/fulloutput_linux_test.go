package main

import (
	"os"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// TestOutputThatTakesNothing: no verb succeeds if what it has to tell is lost, and each
// says so once.
func TestOutputThatTakesNothing(t *testing.T) {
	provider := startProvider(t, &issuer.Options{})
	h := newHome(t)
	if p := h.run(t, "--issuer", provider.URL(), "--client-id", "cli"); p.cmd.ProcessState.ExitCode() != exitDone {
		t.Fatalf("login: %s", &p.stderr)
	}
	for _, args := range []string{
		"status", "status --output json", "userinfo", "userinfo --output json", "token", "token --format env", "version", "providers",
		"providers google", "completion bash", "doctor", "--help", "help", "help token", "token --help",
	} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		p := h.command(t, strings.Fields(args)...)
		p.cmd.Stdout = full
		p.start(t)
		if code := p.wait(t); code != exitFailure {
			t.Errorf("%s: exit code %d", args, code)
		}
		if said := p.stderr.String(); strings.Count(said, "no space left on device") != 1 || !strings.Contains(said, "hint: make room") {
			t.Errorf("%s says %s", args, said)
		}
	}
}
