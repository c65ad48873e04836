package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

const bashCompletionPackage = "/usr/share/bash-completion/bash_completion"

// shellsThatComplete are shells, and how they are told to.
var shellsThatComplete = []struct {
	name    string
	command []string
	install string
}{
	{"bash", []string{"bash", "--norc", "-i"}, "source <(oauth-login completion bash)"},
	{"bash with bash-completion", []string{"bash", "--rcfile", bashCompletionPackage, "-i"}, "source <(oauth-login completion bash)"},
	{"zsh", []string{"zsh", "-f", "-i"}, "bindkey -e; autoload -U compinit && compinit -u -D && source <(oauth-login completion zsh)"},
	{"fish", []string{"fish", "--no-config", "-i"}, "oauth-login completion fish | source"},
}

// TestShellsComplete has the shells that are installed complete lines that are typed
// at a terminal.
func TestShellsComplete(t *testing.T) {
	const hostile = "x$(touch pwned)`touch pwned`;touch pwned;" // as a server may call clients that it registers
	provider := startProvider(t, &issuer.Options{Clients: []issuer.Client{{ID: hostile + "1"}, {ID: hostile + "2"}}})
	h := newHome(t)
	for client, profile := range map[string]string{"cli": "work account", hostile + "1": "one", hostile + "2": "two"} {
		if p := h.run(t, "--issuer", provider.URL(), "--client-id", client, "--profile", profile); p.cmd.ProcessState.ExitCode() != exitDone {
			t.Fatalf("login:\n%s", &p.stderr)
		}
	}
	for _, shell := range shellsThatComplete {
		t.Run(shell.name, func(t *testing.T) {
			if _, err := exec.LookPath(shell.command[0]); err != nil {
				t.Skip("it is not installed")
			}
			if _, err := os.Stat(bashCompletionPackage); err != nil && shell.command[1] == "--rcfile" {
				t.Skip("it is not installed")
			}
			s := h.startShell(t, shell.command)
			s.enter(t, shell.install+"; echo READY > ready")
			s.wait(t, "ready")
			s.completes(t, provider.URL())
			if _, err := os.Stat(filepath.Join(h.dir, "pwned")); err == nil {
				t.Error("the name of a client was run")
			}
			for _, noise := range []string{"Completion ended", "not found", "rror", "compopt"} {
				if strings.Contains(s.tty.text(), noise) {
					t.Errorf("the terminal shows %q:\n%s", noise, s.tty.text())
				}
			}
		})
	}
}

// completes checks what becomes of lines when the person presses Tab.
func (s *shell) completes(t *testing.T, issuer string) {
	t.Helper()
	for typed, want := range map[string]string{
		"git-cred":                                    "git-credential",
		"token --format exec-c":                       "token --format exec-credential",
		"token --format=exec-c":                       "token --format=exec-credential",
		"--client-auth client_secret_p":               "--client-auth client_secret_post",
		"status --issuer http":                        "status --issuer " + issuer,
		"docker-credential li":                        "docker-credential list",
		"login --provider goo":                        "login --provider google",
		"login --response-mode form_post.":            "login --response-mode form_post.jwt",
		"token --output js":                           "token --output json",
		"login --store-pass":                          "login --store-passphrase-file",
		"completion fi":                               "completion fish",
		"token --nonsense --form":                     "token --nonsense --form",
		"help docker-":                                "help docker-credential",
		"status --client-id x\t":                      "status --client-id x",
		"token --issuer " + issuer + " --profile wor": "token --issuer " + issuer + " --profile work account",
	} {
		if got := s.complete(t, "oauth-login "+typed); got != "oauth-login "+want {
			t.Errorf("%q becomes %q", typed, got)
		}
	}
}

// A shell runs at a terminal, with its home as the working directory.
type shell struct {
	tty *terminal
	dir string
}

func (h *home) startShell(t *testing.T, command []string) *shell {
	t.Helper()
	p := h.command(t)
	path, err := exec.LookPath(command[0])
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Path, p.cmd.Args = path, command
	p.cmd.Env = append(p.cmd.Env, "TERM=xterm", "PS1=$ ", "EDITOR=", "VISUAL=")
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = os.Stdin, os.Stdout, os.Stderr // stand for the terminal
	s := &shell{p.startAt(t, 24, 200), h.dir}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
	return s
}

func (s *shell) enter(t *testing.T, line string) {
	t.Helper()
	s.tty.write(t, line+"\r")
}

// complete types a line and Tab, and returns what has become of the line: the words
// that a command in its place gets.
func (s *shell) complete(t *testing.T, typed string) string {
	t.Helper()
	const begin, end = "\x01", "\x05" // Ctrl-A, Ctrl-E
	s.enter(t, typed+"\t"+begin+"echo "+end+" > line")
	return s.wait(t, "line")
}

// wait waits for a line in a file, and removes it.
func (s *shell) wait(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if data, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(data), "\n") {
			os.Remove(path)
			return strings.TrimSpace(string(data))
		}
	}
	t.Fatalf("nothing is in %s; the terminal shows\n%s", name, s.tty.text())
	return ""
}
