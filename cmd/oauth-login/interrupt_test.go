package main

import (
	"bytes"
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/oauth-login/oauth-login/internal/issuer"
	"github.com/oauth-login/oauth-login/store"
)

// TestInterrupt presses Ctrl-C while the command waits for each of the things
// that it can wait for. It has to end within a second, with exit code 130, and
// leave the store as it was.
func TestInterrupt(t *testing.T) {
	tests := []struct {
		name    string
		hang    string // part of the path of the request that is never answered
		visit   bool   // the person signs in
		signIn  bool   // somebody is signed in before
		args    []string
		records int
	}{
		{"discovery", "/.well-known/", false, false, []string{"login"}, 0},
		{"person", "", false, false, []string{"login"}, 0},
		{"keys", "/jwks", true, false, []string{"login"}, 0},
		{"exchange", "/token", true, false, []string{"login"}, 0},
		{"refresh", "/token", false, true, []string{"token"}, 1},
		{"revocation", "/revoke", false, true, []string{"logout"}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			gate := newGate(test.hang)
			provider, err := issuer.Start(&issuer.Options{Clients: []issuer.Client{{ID: "cli"}}, AccessTokenTTL: time.Second, Wrap: gate.wrap})
			if err != nil {
				t.Fatal(err)
			}
			defer provider.Close()
			defer gate.open()
			p := newTestProgram(t)
			login := []string{"--issuer", provider.URL(), "--client-id", "cli", "--no-browser"}
			if test.signIn {
				gate.open()
				if code := p.runAndVisit(t.Context(), append([]string{"login"}, login...)); code != exitDone {
					t.Fatalf("login: exit code %d\n%s", code, p.stderr)
				}
				gate.close()
				time.Sleep(time.Second) // the access token expires
			}
			args := test.args
			if args[0] == "login" {
				args = append(args, login...)
			}
			ctx, interrupt := context.WithCancel(t.Context())
			var pressed time.Time
			go func() {
				gate.wait(p.stderr)
				pressed = time.Now()
				interrupt()
			}()
			run := p.runAndVisit
			if !test.visit {
				run = p.run
			}
			if code := run(ctx, args); code != exitInterrupted {
				t.Errorf("exit code %d, want %d\n%s", code, exitInterrupted, p.stderr)
			}
			if took := time.Since(pressed); took > time.Second {
				t.Errorf("it took %v to end", took)
			}
			if got := p.keychain.(*countingStore).records(); got != test.records {
				t.Errorf("%d logins are stored, want %d", got, test.records)
			}
		})
	}
}

// A gate holds back the requests whose path it was told.
type gate struct {
	hang string
	held chan struct{} // receives when a request is held

	mu     sync.Mutex
	closed chan struct{} // closed while nothing is held back
}

func newGate(hang string) *gate {
	return &gate{hang: hang, held: make(chan struct{}, 100), closed: make(chan struct{})}
}

func (g *gate) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.hang != "" && strings.Contains(r.URL.Path, g.hang) {
			g.mu.Lock()
			opened := g.closed
			g.mu.Unlock()
			select {
			case <-opened:
			default:
				g.held <- struct{}{}
				select {
				case <-opened:
				case <-r.Context().Done():
				}
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.closed:
	default:
		close(g.closed)
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = make(chan struct{})
}

// wait returns when a request is held, or, where none is to be, when the
// command waits for the person.
func (g *gate) wait(stderr *lockedBuffer) {
	if g.hang != "" {
		<-g.held
		return
	}
	for !strings.Contains(stderr.String(), "state=") {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
}

// newTestProgram is a program with a store in memory.
func newTestProgram(t *testing.T) *testProgram {
	stderr := new(lockedBuffer)
	return &testProgram{stderr: stderr, program: &program{
		in: strings.NewReader(""), out: new(bytes.Buffer), err: stderr, getenv: func(string) string { return "" },
		keychain: &countingStore{}, profiles: store.Profiles{Dir: t.TempDir()}, metadata: store.MetadataCache{Dir: t.TempDir()},
	}}
}

type testProgram struct {
	*program
	stderr *lockedBuffer
}

// runAndVisit runs the command and opens the URL that it prints.
func (p *testProgram) runAndVisit(ctx context.Context, args []string) int {
	done := make(chan struct{})
	visited := make(chan struct{})
	go func() {
		defer close(visited)
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
			for line := range strings.Lines(p.stderr.String()) {
				if line = strings.TrimSpace(line); strings.HasPrefix(line, "http") && strings.Contains(line, "state=") {
					new(issuer.Visitor).Visit(ctx, line)
					return
				}
			}
		}
	}()
	code := p.run(ctx, args)
	close(done)
	<-visited
	return code
}

// A countingStore is a store in memory that tells how many records it has.
type countingStore struct {
	store.Memory
	mu   sync.Mutex
	keys map[string]bool
}

func (s *countingStore) Save(ctx context.Context, key string, record []byte) error {
	s.note(key, true)
	return s.Memory.Save(ctx, key, record)
}

func (s *countingStore) Delete(ctx context.Context, key string) error {
	s.note(key, false)
	return s.Memory.Delete(ctx, key)
}

func (s *countingStore) note(key string, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys = map[string]bool{}
	}
	if there {
		s.keys[key] = true
	} else {
		delete(s.keys, key)
	}
}

func (s *countingStore) records() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestInterruptedSave presses Ctrl-C while the tokens are being saved. The sign-in
// has succeeded then, and the login is on the list.
func TestInterruptedSave(t *testing.T) {
	provider, err := issuer.Start(&issuer.Options{Clients: []issuer.Client{{ID: "cli"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	p := newTestProgram(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var pressed time.Time
	p.keychain = &sluggishStore{saveTakes: 300 * time.Millisecond, notify: func(what string) {
		if what == "save" {
			pressed = time.Now()
			interrupt()
		}
	}}
	login := []string{"--issuer", provider.URL(), "--client-id", "cli", "--no-browser"}
	if code := p.runAndVisit(ctx, login); code != exitDone || !strings.Contains(p.stderr.String(), "Signed in as") {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
	if took := time.Since(pressed); took > time.Second {
		t.Errorf("it took %v to end", took)
	}
	if code := p.run(t.Context(), []string{"token"}); code != exitDone {
		t.Errorf("token: exit code %d\n%s", code, p.stderr)
	}
}

// TestInterruptedByLock presses Ctrl-C while another process has the list of
// logins, and does not give it back.
func TestInterruptedByLock(t *testing.T) {
	provider, err := issuer.Start(&issuer.Options{Clients: []issuer.Client{{ID: "cli"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	p := newTestProgram(t)
	login := []string{"--issuer", provider.URL(), "--client-id", "cli", "--no-browser"}
	if code := p.runAndVisit(t.Context(), login); code != exitDone {
		t.Fatalf("login: exit code %d\n%s", code, p.stderr)
	}
	lock := flock.New(filepath.Join(p.profiles.Dir, ".lock"))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var pressed time.Time
	time.AfterFunc(300*time.Millisecond, func() {
		pressed = time.Now()
		interrupt()
	})
	if code := p.run(ctx, []string{"logout"}); code != exitInterrupted {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
	if took := time.Since(pressed); took > time.Second {
		t.Errorf("it took %v to end", took)
	}
}
