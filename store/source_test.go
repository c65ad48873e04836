package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// The tests run in bubbles: time is simulated, and a goroutine that is left
// behind fails the test.

func TestTokenFromStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		source := s.source()
		source.Login = never(t)
		token, err := source.Token(t.Context())
		check(t, token, err, "access", nil)
		if got := s.took(); got != "load" {
			t.Errorf("a token from the store took %q, want one load", got)
		}
		token, err = source.Token(t.Context())
		check(t, token, err, "access", nil)
		if got := s.took(); got != "" {
			t.Errorf("a token in memory took %q", got)
		}
		if n := s.requests(); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestCallerLeavesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.delay = 10 * time.Second
		source := s.source()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			token, err := source.Token(ctx)
			check(t, token, err, "", context.DeadlineExceeded)
			if took := time.Since(start); took != time.Second {
				t.Errorf("left after %v", took)
			}
		})
		wg.Go(func() {
			token, err := source.Token(t.Context())
			check(t, token, err, "access-1", nil)
		})
		wg.Wait()
	})
}

func TestWithoutRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := nearEnd(t, "")
		source := s.source()
		source.Login = never(t)
		token, err := source.Token(t.Context())
		check(t, token, err, "access", nil)
		time.Sleep(20 * time.Second)
		source.Login = nil
		token, err = source.Token(t.Context())
		check(t, token, err, "", store.ErrLoginRequired)
	})
}

func TestMinTTL(t *testing.T) {
	tests := []struct {
		name             string
		life, age, least time.Duration
		refresh          bool
	}{
		{"default, 31 s left", time.Hour, time.Hour - 31*time.Second, 0, false},
		{"default, 29 s left", time.Hour, time.Hour - 29*time.Second, 0, true},
		{"longer, less left", time.Hour, 55 * time.Minute, 10 * time.Minute, true},
		{"longer, more left", time.Hour, 45 * time.Minute, 10 * time.Minute, false},
		{"longer than the whole life, young", time.Hour, 20 * time.Minute, 2 * time.Hour, false},
		{"longer than the whole life, old", time.Hour, 40 * time.Minute, 2 * time.Hour, true},
		{"short life, young", 20 * time.Second, 5 * time.Second, 0, false},
		{"less than nothing", time.Hour, time.Hour + time.Second, -2 * time.Hour, true},
		{"short life, old", 20 * time.Second, 15 * time.Second, 0, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := after(t, test.life, "refresh")
				time.Sleep(test.age)
				source := s.source()
				source.MinTTL = test.least
				if _, err := source.Token(t.Context()); err != nil {
					t.Fatal(err)
				}
				if refreshed := s.requests() == 1; refreshed != test.refresh {
					t.Errorf("refreshed: %v, want %v", refreshed, test.refresh)
				}
			})
		})
	}
}

func TestTokenWithoutExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, 0, "")
		s.signIn(t, &grant.Token{AccessToken: "eternal"})
		time.Sleep(24 * time.Hour)
		token, err := s.source().Token(t.Context())
		check(t, token, err, "eternal", nil)
	})
}

func TestNobodySignedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{&provider{}, &shelf{}}
		token, err := s.source().Token(t.Context())
		check(t, token, err, "", store.ErrLoginRequired)
		check(t, token, err, "", store.ErrNotFound)
		if _, err := s.source().Load(t.Context()); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Load: %v", err)
		}
		if err := s.source().Delete(t.Context()); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Delete: %v", err)
		}
	})
}

func TestStoreUnavailable(t *testing.T) {
	locked := &store.UnavailableError{Reason: store.Locked, Backend: "test"}
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		s.loadErr = locked
		source := s.source()
		source.Login = never(t)
		token, err := source.Token(t.Context())
		check(t, token, err, "", locked)
		if s.requests() != 0 {
			t.Error("something was sent")
		}
		if got := s.took(); got != "load" {
			t.Errorf("it took %q", got)
		}
	})
}

// The record of one login under the key of another.
func TestRecordOfAnotherLogin(t *testing.T) {
	for name, change := range map[string]func(*store.Source){
		"issuer":  func(source *store.Source) { source.Client.Server.Issuer = "https://evil.example" },
		"client":  func(source *store.Source) { source.Client.ClientID = "other" },
		"profile": func(source *store.Source) { source.Profile = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := after(t, -time.Second, "refresh")
				source := s.source()
				source.Store = renamed{s.shelf}
				change(source)
				token, err := source.Token(t.Context())
				check(t, token, err, "", store.ErrLoginRequired)
				if _, ok := errors.AsType[*store.DamagedError](err); !ok {
					t.Errorf("error %v", err)
				}
				if s.requests() != 0 {
					t.Error("the refresh token was sent")
				}
			})
		})
	}
}

// renamed has one record under every key.
type renamed struct{ *shelf }

func (r renamed) Load(ctx context.Context, _ string) ([]byte, error) {
	return r.shelf.Load(ctx, keyOfScene)
}

// keyOfScene is the key of issuer and "cli" without a profile. It must never
// change: SHA-256 of "oauth-login/1\nhttps://issuer.example\ncli\n", first half.
const keyOfScene = "d54e77fb05f529fb3f77c7f4a7afa781"

func TestProfilesAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		work := s.source()
		work.Profile = "work"
		work.Login = func(context.Context, func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return &grant.Token{AccessToken: "work"}, nil
		}
		token, err := work.Token(t.Context())
		check(t, token, err, "work", nil)
		if err := s.source().Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.source().Load(t.Context()); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Load after Delete: %v", err)
		}
		if record, err := work.Load(t.Context()); err != nil || record.Profile != "work" {
			t.Errorf("the other login: %v", err)
		}
	})
}

func TestDeleteForgetsWhatIsInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		source := s.source()
		if _, err := source.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := source.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		token, err := source.Token(t.Context())
		check(t, token, err, "", store.ErrLoginRequired)
	})
}

// A refresh under way must not bring back what is deleted.
func TestDeleteWaitsForRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.delay = time.Second
		source := s.source()
		var wg sync.WaitGroup
		wg.Go(func() { source.Token(t.Context()) })
		synctest.Wait()
		if err := source.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if _, err := source.Load(t.Context()); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Load after Delete: %v", err)
		}
	})
}

// A refresh that begins during a deletion must not bring the login back.
func TestDeleteHoldsUpRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.slow = time.Second
		source := s.source()
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := source.Delete(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		token, err := source.Token(t.Context())
		check(t, token, err, "", store.ErrLoginRequired)
		wg.Wait()
	})
}

// A look that began before a deletion must not bring the login back either.
func TestDeleteOutlastsALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		source := s.source()
		s.slowLoad = time.Second
		var wg sync.WaitGroup
		wg.Go(func() {
			token, err := source.Token(t.Context())
			check(t, token, err, "access", nil)
		})
		synctest.Wait()
		s.slowLoad = 0
		if err := source.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		token, err := source.Token(t.Context())
		check(t, token, err, "", store.ErrLoginRequired)
	})
}

func TestArguments(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name   string
		ctx    context.Context
		source *store.Source
		want   error
	}{
		{"no client", t.Context(), &store.Source{}, grant.ErrArgument},
		{"no issuer", t.Context(), &store.Source{Client: &grant.Client{ClientID: "cli"}}, grant.ErrArgument},
		{"no client_id", t.Context(), &store.Source{Client: &grant.Client{Issuer: issuerURL}}, grant.ErrArgument},
		{"line break", t.Context(), &store.Source{Client: &grant.Client{Issuer: issuerURL, ClientID: "cli"}, Profile: "a\nb"}, grant.ErrArgument},
		{"not UTF-8", t.Context(), &store.Source{Client: &grant.Client{Issuer: issuerURL, ClientID: "cli"}, Profile: "\xff"}, grant.ErrArgument},
		{"canceled", canceled, &store.Source{Client: &grant.Client{Issuer: issuerURL, ClientID: "cli"}}, context.Canceled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.source.Store = &store.Memory{}
			test.source.Login = never(t)
			calls := map[string]func() error{
				"Token":   func() error { _, err := test.source.Token(test.ctx); return err },
				"Refresh": func() error { _, err := test.source.Refresh(test.ctx); return err },
				"SignIn":  func() error { _, err := test.source.SignIn(test.ctx); return err },
				"Load":    func() error { _, err := test.source.Load(test.ctx); return err },
				"Delete":  func() error { return test.source.Delete(test.ctx) },
			}
			for name, call := range calls {
				if err := call(); !errors.Is(err, test.want) {
					t.Errorf("%s: %v, want %v", name, err, test.want)
				}
			}
		})
	}
	source := &store.Source{Client: &grant.Client{Issuer: issuerURL, ClientID: "cli"}, Store: &store.Memory{}}
	if _, err := source.SignIn(t.Context()); !errors.Is(err, grant.ErrArgument) {
		t.Errorf("SignIn without Login: %v", err)
	}
}
