//go:build unix

package main

import (
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// TestInterruptedRefresh presses Ctrl-C when the refresh token is spent and the
// one that replaces it is still on its way.
func TestInterruptedRefresh(t *testing.T) {
	handleSignals(t)
	for name, test := range map[string]struct {
		delay   time.Duration // of the answer
		signals []os.Signal
		within  time.Duration
	}{
		"answered in time": {300 * time.Millisecond, []os.Signal{os.Interrupt}, time.Second},
		"terminal closed":  {300 * time.Millisecond, []os.Signal{syscall.SIGHUP}, time.Second},
		"quit":             {300 * time.Millisecond, []os.Signal{syscall.SIGQUIT}, time.Second},
		"terminated":       {300 * time.Millisecond, []os.Signal{syscall.SIGTERM}, time.Second},
		"never answered":   {time.Hour, []os.Signal{os.Interrupt}, time.Second},
		"pressed twice":    {time.Hour, []os.Signal{os.Interrupt, os.Interrupt}, 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			slow := &slowEndpoint{path: "/token", asked: make(chan struct{}, 10), delay: make(chan time.Duration, 1)}
			provider := startProvider(t, &issuer.Options{AccessTokenTTL: time.Second, Wrap: slow.wrap})
			h := newHome(t)
			if p := h.run(t, "--issuer", provider.URL(), "--client-id", "cli"); p.cmd.ProcessState.ExitCode() != exitDone {
				t.Fatalf("login: %s", &p.stderr)
			}
			<-slow.asked
			time.Sleep(time.Second) // the access token expires
			slow.delay <- test.delay
			p := h.start(t, "token")
			<-slow.asked
			for _, signal := range test.signals {
				p.signal(t, signal)
				time.Sleep(100 * time.Millisecond) // a busy machine takes a while to notice
			}
			p.expect(t, exitInterrupted, test.within)
			if out := p.stdout.String(); out != "" {
				t.Errorf("%d bytes on stdout", len(out))
			}
			if test.delay == time.Hour {
				return
			}
			time.Sleep(time.Second)
			if p := h.run(t, "token"); p.cmd.ProcessState.ExitCode() != exitDone {
				t.Errorf("the refresh token that came late is lost: %s", &p.stderr)
			}
			if n := provider.Requests("token"); n != 3 {
				t.Errorf("%d token requests, want one for the code and two refreshes", n)
			}
		})
	}
}

// handleSignals has a test handle signals: one that is handled here is not ignored in
// the children, whoever ran the tests under nohup or in the background.
func handleSignals(t *testing.T) {
	handled := make(chan os.Signal, 1)
	signal.Notify(handled, os.Interrupt, syscall.SIGHUP, syscall.SIGQUIT)
	t.Cleanup(func() { signal.Stop(handled) })
}

// A slowEndpoint delays one answer.
type slowEndpoint struct {
	path  string
	asked chan struct{}      // receives for every request
	delay chan time.Duration // of the next one
}

func (s *slowEndpoint) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, s.path) {
			next.ServeHTTP(w, r)
			return
		}
		s.asked <- struct{}{}
		select {
		case delay := <-s.delay:
			select {
			case <-time.After(delay):
			case <-r.Context().Done():
				return
			}
		default:
		}
		next.ServeHTTP(w, r)
	})
}

func startProvider(t *testing.T, opts *issuer.Options) *issuer.Issuer {
	t.Helper()
	opts.Clients = append(opts.Clients, issuer.Client{ID: "cli", Name: "A test client"})
	provider, err := issuer.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { provider.Close() })
	return provider
}

// TestInterruptedAfterSignIn presses Ctrl-C when the tokens are saved and a
// browser has not fetched its page yet.
func TestInterruptedAfterSignIn(t *testing.T) {
	answers := make(chan string, 1)
	provider := startProvider(t, &issuer.Options{Redirect: func(params url.Values) { answers <- params.Encode() }})
	h := newHome(t)
	p := h.start(t, "--issuer", provider.URL(), "--client-id", "cli", "--no-browser")
	address := p.url(t)
	go new(issuer.Visitor).Visit(t.Context(), address)
	dawdle(t, address, <-answers) // a second tab that has the answer, and no page
	p.interrupt(t)
	p.expect(t, exitDone, time.Second)
	if !strings.Contains(p.stderr.String(), "Signed in as ada") {
		t.Errorf("it says\n%s", &p.stderr)
	}
	if p := h.run(t, "token"); p.cmd.ProcessState.ExitCode() != exitDone {
		t.Errorf("token: %s", &p.stderr)
	}
}

// dawdle brings the answer of the provider to the command, and does not follow
// the redirect to the page.
func dawdle(t *testing.T, authorizationURL, answer string) {
	t.Helper()
	u, err := url.Parse(authorizationURL)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	resp, err := client.Get(u.Query().Get("redirect_uri") + "?" + answer)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("the answer led to status %d", resp.StatusCode)
	}
}

// TestInterruptedRead presses Ctrl-C while the command reads what does not come
// to an end.
func TestInterruptedRead(t *testing.T) {
	h := newHome(t)
	provider := startProvider(t, &issuer.Options{})
	fifo := filepath.Join(h.dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	stdin, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	defer w.Close()
	for name, args := range map[string][]string{
		"secret from standard input": {"--client-secret-file", "-"},
		"secret from a pipe":         {"--client-secret-file", fifo},
		"certificates from a pipe":   {"--ca-cert", fifo},
		"passphrase from a pipe":     {"--store", "encrypted-file", "--store-passphrase-file", fifo},
		"identity from a pipe":       {"--store", "encrypted-file", "--store-identity", fifo},
		"secret without an end":      {"--client-secret-file", "/dev/zero"},
	} {
		t.Run(name, func(t *testing.T) {
			p := h.command(t, append([]string{"--issuer", provider.URL(), "--client-id", "cli"}, args...)...)
			p.cmd.Stdin = stdin
			p.start(t)
			if name == "secret without an end" {
				p.expect(t, exitUsage, time.Second)
				return
			}
			time.Sleep(200 * time.Millisecond) // until it reads
			p.interrupt(t)
			p.expect(t, exitInterrupted, time.Second)
		})
	}
}

// TestNohup: who has said that the command shall outlive its terminal is obeyed.
func TestNohup(t *testing.T) {
	provider := startProvider(t, &issuer.Options{})
	p := newHome(t).command(t, "--issuer", provider.URL(), "--client-id", "cli", "--no-browser")
	p.cmd.Path = "/bin/sh"
	p.cmd.Args = append([]string{"sh", "-c", `trap "" HUP; exec oauth-login "$@"`}, p.cmd.Args...)
	p.start(t)
	address := p.url(t)
	p.signal(t, syscall.SIGHUP)
	if _, err := new(issuer.Visitor).Visit(t.Context(), address); err != nil {
		t.Error(err)
	}
	if code := p.wait(t); code != exitDone {
		t.Errorf("exit code %d\n%s", code, &p.stderr)
	}
}
