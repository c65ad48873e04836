package e2e

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Exit codes of the command.
const (
	exitDone             = 0
	exitLoginRequired    = 3
	exitRefused          = 4
	exitStoreUnavailable = 6
	exitInterrupted      = 130
)

// command is the oauth-login command in an environment of its own.
type command struct {
	path string
	env  []string
}

// newCommand returns the command as it is built from the working tree, with k as its keychain.
func newCommand(t *testing.T, k *keyring) *command {
	t.Helper()
	return &command{path: built(t), env: k.env()}
}

var build struct {
	once sync.Once
	dir  string // removed by TestMain
	err  error
}

// built builds the command on first use and returns its path.
func built(t *testing.T) string {
	t.Helper()
	build.once.Do(func() {
		if build.dir, build.err = os.MkdirTemp("", "oauth-login-e2e"); build.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", filepath.Join(build.dir, "oauth-login"), "./cmd/oauth-login")
		cmd.Dir = ".."
		if out, err := cmd.CombinedOutput(); err != nil {
			build.err = fmt.Errorf("building the command: %w\n%s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return filepath.Join(build.dir, "oauth-login")
}

// result is how a run of the command has ended.
type result struct {
	stdout string
	stderr string
	code   int
}

// says reports whether the command has said all of the words to the person, in whatever case.
func (r result) says(words ...string) bool {
	text := strings.ToLower(r.stderr)
	for _, word := range words {
		if !strings.Contains(text, strings.ToLower(word)) {
			return false
		}
	}
	return true
}

// expect stops the test unless the command has ended with code and printed nothing that is not data: stdout is empty unless code is 0.
func (r result) expect(t *testing.T, code int) {
	t.Helper()
	if r.code != code || code != exitDone && r.stdout != "" {
		t.Fatalf("exit %d, want %d; %d bytes on stdout; stderr:\n%s", r.code, code, len(r.stdout), r.stderr)
	}
}

// run runs the command until it ends.
func (c *command) run(t *testing.T, args ...string) result {
	t.Helper()
	return c.start(t, args...).wait(t)
}

// process is a command that is running.
type process struct {
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr stderr
	copied chan struct{} // closed when stderr has everything, nil when Wait waits for that
}

// start starts the command and leaves it running. The end of the test ends it.
func (c *command) start(t *testing.T, args ...string) *process {
	t.Helper()
	p := c.prepare(args...)
	p.cmd.Stderr = &p.stderr
	p.start(t)
	return p
}

func (c *command) prepare(args ...string) *process {
	p := &process{cmd: exec.Command(c.path, args...), stderr: stderr{url: make(chan string, 1)}}
	p.cmd.Env = c.env
	p.cmd.Stdout = &p.stdout
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.WaitDelay = 5 * time.Second // a child that holds our pipes open is a failure, not a wait
	return p
}

func (p *process) start(t *testing.T) {
	t.Helper()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(p.cmd) })
}

// url waits for the line of stderr that is a URL and nothing else: the one to sign in at.
func (p *process) url(t *testing.T) string {
	t.Helper()
	select {
	case u := <-p.stderr.url:
		return u
	case <-time.After(15 * time.Second):
		t.Fatalf("no URL alone on a line of stderr after 15 s:\n%s", &p.stderr)
		return ""
	}
}

// wait waits until the command has ended by itself.
func (p *process) wait(t *testing.T) result {
	t.Helper()
	timer := time.AfterFunc(60*time.Second, func() {
		t.Errorf("command did not end within 60 s")
		p.cmd.Process.Kill()
	})
	defer timer.Stop()
	err := p.cmd.Wait()
	if p.copied != nil {
		<-p.copied
	}
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatalf("waiting for the command: %v; stderr:\n%s", err, &p.stderr)
	}
	return result{p.stdout.String(), p.stderr.String(), p.cmd.ProcessState.ExitCode()}
}

// stderr keeps what a process writes and picks out the first line that is a URL.
type stderr struct {
	url chan string // has room for one

	mu   sync.Mutex
	text []byte
	seen int // bytes of text that are complete lines, looked at already
}

func (s *stderr) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, p...)
	for {
		line, _, complete := bytes.Cut(s.text[s.seen:], []byte("\n"))
		if !complete {
			return len(p), nil
		}
		s.seen += len(line) + 1
		if u, err := url.Parse(string(line)); err == nil && u.Host != "" {
			select {
			case s.url <- string(line):
			default: // a later one
			}
		}
	}
}

func (s *stderr) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.text)
}
