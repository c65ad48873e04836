package e2e

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestGit has the real git clone a private repository over https with the token that the command hands it, also after the host has refused one,
// and never show the token to another host.
func TestGit(t *testing.T) {
	p := startProvider(t, providerConfig{AlwaysRefresh: true})
	c := newCommand(t, startKeyring(t))
	running := c.start(t, login(p, "--no-browser")...)
	get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
	running.wait(t).expect(t, exitDone)
	token := func() string { return strings.TrimSpace(c.run(t, "token").stdout) }
	host := startGitHost(t, p.Issuer, func(token string) bool { status, _ := p.userinfo(t, token); return status == http.StatusOK })

	first := token()
	if out, err := host.clone(t, c, host.name); err != nil {
		t.Fatalf("clone: %v\n%s", err, out)
	}
	if shown := host.shown(); len(shown) == 0 || shown[len(shown)-1] != first {
		t.Errorf("the host was shown %d passwords, the last of which is not the token", len(shown))
	}

	host.refuse(first)
	if out, err := host.clone(t, c, host.name); err == nil || strings.Contains(out, first) {
		t.Errorf("with a token that is refused: %v", err)
	}
	second := token()
	if second == first {
		t.Error("a token that was refused is not replaced")
	}
	if out, err := host.clone(t, c, host.name); err != nil {
		t.Errorf("with the new token: %v\n%s", err, out)
	}

	other, before := startGitHost(t, p.Issuer, func(string) bool { return true }), token()
	if _, err := other.clone(t, c, host.name); err == nil || len(other.shown()) != 0 {
		t.Errorf("another host: %v, was shown %d passwords", err, len(other.shown()))
	}
	if token() != before {
		t.Error("another host has had the token replaced")
	}

	c.run(t, "logout").expect(t, exitDone)
	if out, err := host.clone(t, c, host.name); err == nil || !strings.Contains(out, "login required") {
		t.Errorf("without a login: %v\n%s", err, out)
	}
}

// A gitHost serves one private repository to those who show a good token as a password.
type gitHost struct {
	name    string // host and port
	issuer  string // of the tokens
	ca      string // file
	good    func(token string) bool
	handler cgi.Handler

	mu        sync.Mutex
	passwords []string
	refused   string
}

const secretFile = "plans.txt"

func startGitHost(t *testing.T, issuer string, good func(string) bool) *gitHost {
	t.Helper()
	root := t.TempDir()
	a := newAuthority(t)
	certificate, err := tls.X509KeyPair(a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	g := &gitHost{issuer: issuer, ca: filepath.Join(root, "ca.pem"), good: good}
	if err := os.WriteFile(g.ca, a.cert, 0o600); err != nil {
		t.Fatal(err)
	}
	work, bare := filepath.Join(root, "work"), filepath.Join(root, "srv", "private.git")
	git(t, "init", "-q", work)
	if err := os.WriteFile(filepath.Join(work, secretFile), []byte("plans\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, "-C", work, "add", secretFile)
	git(t, "-C", work, "-c", "user.name=e2e", "-c", "user.email=e2e@example.test", "commit", "-q", "-m", "plans")
	git(t, "clone", "-q", "--bare", work, bare)
	g.handler = cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(git(t, "--exec-path")), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(bare), "GIT_HTTP_EXPORT_ALL=1"},
	}
	server := httptest.NewUnstartedServer(g)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	g.name = server.Listener.Addr().String()
	return g
}

func (g *gitHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, password, ok := r.BasicAuth()
	if ok {
		g.mu.Lock()
		g.passwords = append(g.passwords, password)
		ok = password != g.refused
		g.mu.Unlock()
	}
	if !ok || !g.good(password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="e2e"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	g.handler.ServeHTTP(w, r)
}

// shown are the passwords that the host was shown.
func (g *gitHost) shown() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passwords
}

func (g *gitHost) refuse(password string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused = password
}

// clone clones the repository with the command as the helper for all hosts, and a token that is meant for one.
func (g *gitHost) clone(t *testing.T, c *command, meant string) (string, error) {
	t.Helper()
	into := filepath.Join(t.TempDir(), "clone")
	cmd := exec.CommandContext(t.Context(), "git", "-c", "http.sslCAInfo="+g.ca, "-c", "credential.helper=",
		"-c", "credential.helper=!"+c.path+" git-credential --issuer "+g.issuer+" --for-host "+meant, "clone", "-q", "https://"+g.name+"/private.git", into)
	cmd.Env = append(c.env, "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "NO_PROXY=*", "no_proxy=*")
	out, err := cmd.CombinedOutput()
	if err == nil {
		_, err = os.Stat(filepath.Join(into, secretFile))
	}
	return string(out), err
}

func git(t *testing.T, args ...string) string {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", args[0], err, &errs)
	}
	return string(out)
}
