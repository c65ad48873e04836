package store_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/internal/issuer"
	"github.com/oauth-login/oauth-login/store"
)

// phaseVariable makes the test binary one phase of a login: "start" or "complete".
const phaseVariable = "OAUTH_LOGIN_TEST_PHASE"

// ownScheme is a redirect URI as RFC 8252, section 7.1, has it.
const ownScheme = "com.example.gui:/signed-in"

// A login is started in one process and completed in another one. Nobody listens
// for the redirect: the person, or the operating system, hands it over.
func TestLoginInTwoProcesses(t *testing.T) {
	if phase := os.Getenv(phaseVariable); phase != "" {
		runPhase(t, phase)
		return
	}
	iss, err := issuer.Start(&issuer.Options{DPoPNonce: true, Clients: []issuer.Client{{ID: "gui", RedirectURIs: []string{ownScheme}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { iss.Close() })
	dir := t.TempDir()
	identity := "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n" // of 32 bytes 0x42
	for name, text := range map[string]string{"identity": identity, "issuer": iss.URL()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inProcess(t, dir, "start")
	address := readFile(t, dir, "url")
	if err := os.WriteFile(filepath.Join(dir, "redirect"), []byte(redirectOf(t, address)), 0o600); err != nil {
		t.Fatal(err)
	}
	inProcess(t, dir, "complete")

	source := phaseSource(t, dir)
	record, err := source.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if record.Token.IDToken.Subject == "" || record.Token.TokenType != "dpop" || record.Token.DPoP == nil {
		t.Errorf("stored is a token of the type %q", record.Token.TokenType)
	}
	if token, err := source.Refresh(t.Context()); err != nil || token.AccessToken == record.Token.AccessToken {
		t.Errorf("the stored login is of no use: %v", err)
	}
	if n := iss.Requests("token"); n < 2 || n > 4 { // either request may lack the nonce at first
		t.Errorf("%d token requests", n)
	}
}

func inProcess(t *testing.T, dir, phase string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestLoginInTwoProcesses$")
	cmd.Env = append(os.Environ(), phaseVariable+"="+phase, "OAUTH_LOGIN_TEST_DIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", phase, err, out)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "pending")); err == nil && strings.Contains(string(out), string(data)) {
		t.Errorf("%s shows the pending login", phase)
	}
}

// runPhase is what a program would do.
func runPhase(t *testing.T, phase string) {
	dir := os.Getenv("OAUTH_LOGIN_TEST_DIR")
	source := phaseSource(t, dir)
	client := source.Client
	switch phase {
	case "start":
		flow, err := client.Authorize(t.Context(), ownScheme)
		if err != nil {
			t.Fatal(err)
		}
		pending, err := flow.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string][]byte{"pending": pending, "url": []byte(flow.URL)} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	case "complete":
		flow, err := client.Resume(t.Context(), []byte(readFile(t, dir, "pending")))
		if err != nil {
			t.Fatal(err)
		}
		token, err := flow.Complete(t.Context(), readFile(t, dir, "redirect"))
		if err != nil {
			t.Fatal(err)
		}
		if err := source.Save(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
}

func phaseSource(t *testing.T, dir string) *store.Source {
	client := &grant.Client{
		Issuer: readFile(t, dir, "issuer"), ClientID: "gui", Scopes: []string{"openid", "offline_access"},
		DPoPBoundAccessTokens: true, AllowInsecureRequests: true,
	}
	t.Cleanup(client.CloseIdleConnections)
	return &store.Source{Client: client, Store: &store.EncryptedFile{Dir: filepath.Join(dir, "store"), Identity: filepath.Join(dir, "identity")}}
}

func readFile(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// redirectOf signs in and returns the address that the browser would hand to the
// program that takes the links of its scheme.
func redirectOf(t *testing.T, address string) string {
	t.Helper()
	page, err := new(issuer.Visitor).Visit(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return page.Header.Get("Location")
}

// Save stores what was completed elsewhere, with what is needed to use it.
func TestSave(t *testing.T) {
	good := withClaims(t, "access", []string{"openid"}, nil)
	for name, test := range map[string]struct {
		token  *grant.Token
		stored []byte
		want   error
	}{
		"good":           {good, nil, nil},
		"without claims": {&grant.Token{AccessToken: "access"}, nil, nil},
		"no token":       {nil, nil, grant.ErrArgument},
		"an empty one":   {&grant.Token{RefreshToken: "refresh"}, nil, grant.ErrArgument},
		"another issuer": {withClaims(t, "access", nil, map[string]any{"iss": "https://evil.example"}), nil, grant.ErrArgument},
		"another client": {withClaims(t, "access", nil, map[string]any{"aud": "other"}), nil, grant.ErrArgument},
		"over damage":    {good, []byte("hunter2"), nil},
		"over a newer":   {good, []byte("OL2 whatever it is"), store.ErrNewer},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scene{&provider{}, &shelf{}}
			if test.stored != nil {
				if err := s.Memory.Save(t.Context(), keyOfScene, test.stored); err != nil {
					t.Fatal(err)
				}
			}
			source := s.source()
			source.Client.Scopes = []string{"openid"}
			if err := source.Save(t.Context(), test.token); !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if test.want != nil {
				return
			}
			record := s.stored(t)
			if record.Token.AccessToken != "access" || record.SignedInAt.IsZero() || len(record.Client().Scopes) != 1 {
				t.Errorf("stored is %v", record)
			}
			if token, err := source.Token(t.Context()); err != nil || token.AccessToken != "access" {
				t.Errorf("token %v, %v", token, err)
			}
		})
	}
}

// Save waits for whoever changes the login, and stops waiting with the context.
func TestSaveWaits(t *testing.T) {
	s := after(t, time.Hour, "refresh")
	source := s.source()
	unlock, err := s.Lock(t.Context(), keyOfScene)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	token := withClaims(t, "new", nil, nil)
	if err := source.Save(ctx, token); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	unlock()
	if err := source.Save(t.Context(), token); err != nil || s.stored(t).Token.AccessToken != "new" {
		t.Errorf("error %v", err)
	}
}

// lateEnd is a context that ends just after it was looked at.
type lateEnd struct {
	context.Context
	looked atomic.Bool
}

func (c *lateEnd) Err() error {
	if c.looked.CompareAndSwap(false, true) {
		return nil
	}
	return c.Context.Err()
}

// A save that had not begun when the context ended never begins: who has been told
// that it ended, and that nothing is under way, can rely on that.
func TestSaveThatHasNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		for range 50 {
			source := s.process(t.TempDir())
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if err := source.Save(&lateEnd{Context: ended}, &grant.Token{AccessToken: "new"}); !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v", err)
			}
			if err := source.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := s.stored(t).Token.AccessToken; got != "access" {
				t.Fatalf("stored is %q", string(got))
			}
		}
	})
}
