//go:build unix

package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/internal/issuer"
	"github.com/oauth-login/oauth-login/store"
)

// The tests in this file start the command in processes of its own, and kill
// some of them. What the processes share is a keychain, a directory of locks and
// a provider that rotates refresh tokens and ends the login of who sends one
// twice.

// TestFiftyProcesses: the token has expired, and fifty processes want one.
func TestFiftyProcesses(t *testing.T) {
	m := newMachine(t, func(r *http.Request, _ http.Handler) bool {
		select { // a provider far away
		case <-time.After(300 * time.Millisecond):
		case <-r.Context().Done():
		}
		return false
	})
	m.signIn(t)
	m.expire(t)
	var runs []*process
	for range 50 {
		runs = append(runs, m.start(t, "token"))
	}
	tokens := map[string]bool{}
	for _, r := range runs {
		if code := r.wait(t); code != exitDone {
			t.Errorf("exit code %d: %s", code, &r.stderr)
		}
		tokens[r.stdout.String()] = true
	}
	if len(tokens) != 1 {
		t.Errorf("%d different tokens", len(tokens))
	}
	for token := range tokens {
		m.expectValid(t, strings.TrimSuffix(token, "\n"))
	}
	if n := m.refreshes.Load(); n != 1 {
		t.Errorf("%d refresh requests", n)
	}
}

// TestKilledRefresh kills the process that refreshes while nine others wait for
// it. What they get depends on whether the provider has acted by then.
func TestKilledRefresh(t *testing.T) {
	tests := []struct {
		name      string
		spent     bool  // the provider has rotated the refresh token, and its answer is lost
		code      int   // of the others
		refreshes int32 // after all
	}{
		{"before the provider acts", false, exitDone, 2},
		{"after the provider has acted", true, exitLoginRequired, 2}, // the others share what one of them is told
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sent := make(chan struct{})
			var first sync.Once
			m := newMachine(t, func(r *http.Request, next http.Handler) (handled bool) {
				first.Do(func() {
					handled = true
					if test.spent {
						next.ServeHTTP(httptest.NewRecorder(), r)
					}
					close(sent)
					<-r.Context().Done()
				})
				return handled
			})
			m.signIn(t)
			m.expire(t)
			victim := m.start(t, "token")
			<-sent
			var others []*process
			for range 9 {
				others = append(others, m.start(t, "token"))
			}
			for _, r := range others {
				r.says(t, "Waiting for another oauth-login", "changes the same login")
			}
			killed := time.Now()
			victim.kill(t)
			tokens := map[string]bool{}
			for _, r := range others {
				if code := r.wait(t); code != test.code {
					t.Errorf("exit code %d, want %d: %s", code, test.code, &r.stderr)
				}
				tokens[r.stdout.String()] = true
				if text := r.stderr.String(); test.spent && !strings.Contains(text, "login required") {
					t.Errorf("it says %q", text)
				}
			}
			if took := time.Since(killed); took > 20*time.Second {
				t.Errorf("the others took %v", took)
			}
			if len(tokens) != 1 || tokens[""] != test.spent {
				t.Errorf("%d different tokens, no token: %v", len(tokens), tokens[""])
			}
			if n := m.refreshes.Load(); n != test.refreshes {
				t.Errorf("%d refresh requests, want %d", n, test.refreshes)
			}
			if test.spent {
				m.signIn(t)
			}
			m.expectToken(t)
		})
	}
}

// TestWaitsAreSaid with --verbose, however short they are.
func TestWaitsAreSaid(t *testing.T) {
	m := newMachine(t, func(r *http.Request, _ http.Handler) bool {
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
		}
		return false
	})
	m.signIn(t)
	m.expire(t)
	said := ""
	for _, r := range []*process{m.start(t, "token", "-v"), m.start(t, "token", "-v")} {
		if code := r.wait(t); code != exitDone {
			t.Errorf("exit code %d: %s", code, &r.stderr)
		}
		said += r.stderr.String()
	}
	if !regexp.MustCompile(`(?m)^oauth-login: waited \d+ ms for another oauth-login that changes the login$`).MatchString(said) ||
		strings.Count(said, "refreshed at") != 1 {
		t.Errorf("they said\n%s", said)
	}
}

// TestKilledAtAnyTime kills processes that refresh, each a little later in its
// life than the one before. Whatever it held is free, and what is stored is whole:
// the next process has a token, or says that a login is required where the killed
// one has spent the refresh token.
func TestKilledAtAnyTime(t *testing.T) {
	m := newMachine(t, nil)
	m.signIn(t)
	lost := 0
	for delay := time.Duration(0); delay < 40*time.Millisecond; delay += time.Millisecond {
		m.expire(t)
		victim := m.start(t, "token")
		time.Sleep(delay)
		victim.kill(t)
		began := time.Now()
		next := m.start(t, "token")
		code := next.wait(t)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("killed after %v, the next one takes %v", delay, took)
		}
		switch code {
		case exitDone:
		case exitLoginRequired:
			if text := next.stderr.String(); !strings.Contains(text, "login required") || !strings.Contains(text, "invalid_grant") {
				t.Errorf("killed after %v, the next one says %q", delay, text)
			}
			lost++
			m.signIn(t)
		default:
			t.Errorf("killed after %v, the next one ends with %d: %s", delay, code, &next.stderr)
		}
	}
	t.Logf("%d of 40 kills have cost the login", lost)
}

// TestOneLoginAtATime: two processes want the person, who gets one page.
func TestOneLoginAtATime(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(map[bool]string{false: "finished", true: "killed"}[killed], func(t *testing.T) {
			m := newMachine(t, nil)
			login := []string{"login", "--issuer", m.provider.URL(), "--client-id", "cli", "--no-browser"}
			first := m.start(t, login...)
			url := first.url(t)
			second := m.start(t, login...)
			second.says(t, "Waiting for another oauth-login", "signing in")
			if strings.Contains(second.stderr.String(), "state=") {
				t.Errorf("the second asks too: %s", &second.stderr)
			}
			want := 1
			if killed {
				first.kill(t)
				url = second.url(t)
			}
			if _, err := new(issuer.Visitor).Visit(t.Context(), url); err != nil {
				t.Fatal(err)
			}
			if code := second.wait(t); code != exitDone || !strings.Contains(second.stderr.String(), "Signed in as") {
				t.Errorf("exit code %d: %s", code, &second.stderr)
			}
			if !killed && first.wait(t) != exitDone {
				t.Errorf("the first: %s", &first.stderr)
			}
			if n := m.provider.Requests("token"); n != want {
				t.Errorf("%d token requests", n)
			}
			m.expectToken(t)
		})
	}
}

// TestTokenDuringLogin: a login that waits for the person keeps nobody from the
// token that there is, nor from a new one.
func TestTokenDuringLogin(t *testing.T) {
	m := newMachine(t, nil)
	m.signIn(t)
	login := m.start(t, "login", "--no-browser")
	login.url(t)
	m.expectToken(t)
	m.expire(t)
	m.expectToken(t)
	if n := m.refreshes.Load(); n != 1 {
		t.Errorf("%d refresh requests", n)
	}
	login.kill(t)
}

// TestValidTokenPassesTheLock: processes that find a valid token do not wait for
// one that refreshes.
func TestValidTokenPassesTheLock(t *testing.T) {
	m := newMachine(t, nil)
	m.signIn(t)
	records, err := filepath.Glob(filepath.Join(m.keychain(), "*"))
	if err != nil || len(records) != 1 {
		t.Fatalf("records %q, %v", records, err)
	}
	lock := flock.New(filepath.Join(m.locks(), filepath.Base(records[0])+".lock"))
	if ok, err := lock.TryLock(); !ok {
		t.Fatalf("not locked: %v", err)
	}
	defer lock.Unlock()
	var runs []*process
	for range 20 {
		runs = append(runs, m.start(t, "token"))
	}
	for _, r := range runs {
		if code := r.wait(t); code != exitDone || r.stderr.String() != "" {
			t.Errorf("exit code %d: %s", code, &r.stderr)
		}
	}
	m.expire(t)
	r := m.start(t, "token")
	r.says(t, "Waiting for another oauth-login", "changes the same login")
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if code := r.wait(t); code != exitDone {
		t.Errorf("exit code %d: %s", code, &r.stderr)
	}
}

// A machine is a home, and a provider that counts.
type machine struct {
	*home
	provider  *issuer.Issuer
	refreshes atomic.Int32 // requests with a refresh token
}

// newMachine starts the provider. Its refresh requests go to hook first, nil for
// none, which reports whether it has handled the request.
func newMachine(t *testing.T, hook func(r *http.Request, next http.Handler) (handled bool)) *machine {
	t.Helper()
	m := &machine{home: newHome(t)}
	m.provider = startProvider(t, &issuer.Options{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ParseForm() == nil && r.PostForm.Get("grant_type") == "refresh_token" {
				m.refreshes.Add(1)
				if hook != nil && hook(r, next) {
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}})
	return m
}

func (m *machine) signIn(t *testing.T) {
	t.Helper()
	p := m.start(t, "login", "--issuer", m.provider.URL(), "--client-id", "cli", "--no-browser")
	if _, err := new(issuer.Visitor).Visit(t.Context(), p.url(t)); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitDone {
		t.Fatalf("login: exit code %d: %s", code, &p.stderr)
	}
}

// expire gives the stored token an end that has passed.
func (m *machine) expire(t *testing.T) {
	t.Helper()
	source := &store.Source{
		Client: &grant.Client{Issuer: m.provider.URL(), ClientID: "cli"}, Store: fileKeychain(m.keychain()), LockDir: t.TempDir(),
	}
	record, err := source.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	source.Client = record.Client()
	source.Login = func(context.Context, func(context.Context, *grant.Token) error) (*grant.Token, error) {
		expired := *record.Token
		expired.Expiry = time.Now().Add(-time.Second)
		return &expired, nil
	}
	if _, err := source.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// expectToken wants the command to end well.
func (m *machine) expectToken(t *testing.T) {
	t.Helper()
	if p := m.start(t, "token"); p.wait(t) != exitDone {
		t.Errorf("token: %s", &p.stderr)
	}
}

// expectValid shows a token to the provider.
func (m *machine) expectValid(t *testing.T, token string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.provider.URL()+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the provider does not take the token: %s", resp.Status)
	}
}
