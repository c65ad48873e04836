package store_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

func TestTokenIsRefreshedAndSavedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := nearEnd(t, "refresh")
		before := s.stored(t)
		source := s.source()
		source.Login = never(t)
		token, err := source.Token(t.Context())
		check(t, token, err, "access-1", nil)
		record := s.stored(t)
		if record.Token.AccessToken != "access-1" || record.Token.RefreshToken != "refresh-1" {
			t.Errorf("stored %q and %q", string(record.Token.AccessToken), string(record.Token.RefreshToken))
		}
		if !record.SignedInAt.Equal(before.SignedInAt) || !record.RefreshedAt.Equal(time.Now()) {
			t.Errorf("signed in at %v, refreshed at %v; want %v and now", record.SignedInAt, record.RefreshedAt, before.SignedInAt)
		}
		if got := s.forms[0]; got.Get("refresh_token") != "refresh" || got.Get("client_id") != "cli" {
			t.Errorf("sent %v", got)
		}
		if got := s.took(); got != "load load load save" {
			t.Errorf("a refresh took %q", got)
		}
		token, err = source.Token(t.Context())
		check(t, token, err, "access-1", nil)
		if got := s.took(); got != "" || s.requests() != 1 {
			t.Errorf("the next call took %q and %d requests", got, s.requests()-1)
		}
	})
}

func TestManyCallersRefreshOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.delay = time.Second
		source := s.source()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				token, err := source.Token(t.Context())
				check(t, token, err, "access-1", nil)
			})
		}
		wg.Wait()
		if n := s.requests(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

// A refresh token that rotates is spent once it was sent. What it buys is saved
// even if nobody waits for it.
func TestRefreshIsFinishedWithoutCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.delay, s.slow = 10*time.Second, time.Second
		source := s.source()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		token, err := source.Token(ctx)
		check(t, token, err, "", context.DeadlineExceeded)
		// A caller who comes now waits for that refresh, and starts no other.
		token, err = source.Token(t.Context())
		check(t, token, err, "access-1", nil)
		if n := s.requests(); n != 1 {
			t.Errorf("%d requests", n)
		}
		if got := s.stored(t).Token.RefreshToken; got != "refresh-1" {
			t.Errorf("stored %q", string(got))
		}
	})
}

func TestTroubleNeitherDeletesNorSignsIn(t *testing.T) {
	offline := errors.New("network is unreachable")
	for name, trouble := range map[string]func(*provider){
		"network": func(p *provider) { p.fail = offline },
		"5xx":     func(p *provider) { p.answer = func(url.Values) (int, any) { return 503, "down" } },
		"429": func(p *provider) {
			p.answer = func(url.Values) (int, any) { return 429, map[string]string{"error": "slow_down"} }
		},
		"no JSON":  func(p *provider) { p.answer = func(url.Values) (int, any) { return 200, "captive portal" } },
		"too slow": func(p *provider) { p.delay = time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := nearEnd(t, "refresh")
				trouble(s.provider)
				source := s.source()
				source.Login = never(t)
				if name != "too slow" {
					token, err := source.Token(t.Context())
					check(t, token, err, "access", nil) // it lives for 20 seconds
				}
				time.Sleep(21 * time.Second)
				token, err := source.Token(t.Context())
				if token != nil || err == nil || errors.Is(err, store.ErrLoginRequired) {
					t.Errorf("token %v, error %v", token, err)
				}
				if name == "network" && !errors.Is(err, offline) {
					t.Errorf("the error hides its cause: %v", err)
				}
				if got := s.stored(t).Token.RefreshToken; got != "refresh" {
					t.Errorf("stored %q", string(got))
				}
				if log := s.took(); strings.Contains(log, "save") || strings.Contains(log, "delete") {
					t.Errorf("it took %q", log)
				}
			})
		})
	}
}

func TestRefusedRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "spent")
		source := s.source()
		token, err := source.Token(t.Context())
		check(t, token, err, "", store.ErrLoginRequired)
		if refusal, ok := errors.AsType[*grant.Error](err); !ok || refusal.Code != "invalid_grant" {
			t.Errorf("the error hides its cause: %v", err)
		}
		if strings.Contains(err.Error(), "spent") {
			t.Errorf("the error tells the refresh token: %v", err)
		}
		if got := s.stored(t).Token.RefreshToken; got != "spent" {
			t.Errorf("stored %q", string(got))
		}
		if n := s.requests(); n != 1 {
			t.Errorf("%d requests", n)
		}
		source.Login = func(context.Context, func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return &grant.Token{AccessToken: "new"}, nil
		}
		s.took()
		token, err = source.Token(t.Context())
		check(t, token, err, "new", nil)
		if got := s.took(); got != "load load load load probe load save" {
			t.Errorf("it took %q", got)
		}
	})
}

// The provider has ended the login: what is left of the access token is worth
// nothing.
func TestRefusedRefreshOfAValidToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, err := nearEnd(t, "spent").source().Token(t.Context())
		check(t, token, err, "", store.ErrLoginRequired)
	})
}

// Another process was faster: its refresh token has replaced ours.
func TestRefusedRefreshLooksAgain(t *testing.T) {
	tests := []struct {
		name     string
		other    *grant.Token // what the other process has stored
		ttl      time.Duration
		want     grant.Secret
		wantErr  error
		requests int
	}{
		{"refreshed", &grant.Token{AccessToken: "other", RefreshToken: "refresh"}, time.Hour, "other", nil, 1},
		{"refreshed and expired", &grant.Token{AccessToken: "other", RefreshToken: "refresh"}, -time.Second, "access-2", nil, 2},
		{"spent too", &grant.Token{AccessToken: "other", RefreshToken: "spent too"}, -time.Second, "", store.ErrLoginRequired, 2},
		{"without a refresh token", &grant.Token{AccessToken: "other"}, -time.Second, "", store.ErrLoginRequired, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := after(t, -time.Second, "spent")
				test.other.Expiry = time.Now().Add(test.ttl)
				s.answer = func(form url.Values) (int, any) {
					if form.Get("refresh_token") == "spent" {
						s.signIn(t, test.other)
					}
					return 0, nil
				}
				token, err := s.source().Token(t.Context())
				check(t, token, err, test.want, test.wantErr)
				if n := s.requests(); n != test.requests {
					t.Errorf("%d requests, want %d", n, test.requests)
				}
			})
		})
	}
}

// The refresh was paid for with a refresh token that is good for nothing now.
// Its token is handed out, and saved as soon as that works.
func TestSaveFailsAfterRefresh(t *testing.T) {
	full := &store.UnavailableError{Reason: store.Full, Backend: "test"}
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.saveErr = full
		source := s.source()
		source.Login = never(t)
		for range 2 {
			token, err := source.Token(t.Context())
			check(t, token, err, "access-1", full)
		}
		time.Sleep(2 * time.Hour)
		token, err := source.Token(t.Context()) // refreshes what could not be saved
		check(t, token, err, "access-2", full)
		if got := s.stored(t).Token.RefreshToken; got != "refresh" {
			t.Errorf("stored %q", string(got))
		}
		s.saveErr = nil
		token, err = source.Token(t.Context())
		check(t, token, err, "access-2", nil)
		if got := s.stored(t).Token.RefreshToken; got != "refresh-2" {
			t.Errorf("stored %q", string(got))
		}
		if n := s.requests(); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}

// A store that fails for a moment costs nobody the token, unless the person has
// said no.
func TestSaveIsTriedAgain(t *testing.T) {
	tests := []struct {
		reason store.Reason
		took   string
		saved  bool
	}{
		{store.Failed, "load load load save load save load save", true},
		{store.TimedOut, "load load load save load save load save", true},
		{store.Denied, "load load load save", false},
	}
	for _, test := range tests {
		t.Run(string(test.reason), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := after(t, -time.Second, "refresh")
				s.saveErr = &store.UnavailableError{Reason: test.reason, Backend: "test"}
				time.AfterFunc(300*time.Millisecond, func() { s.failSaves(nil) })
				token, err := s.source().Token(t.Context())
				check(t, token, nil, "access-1", nil)
				if got := s.took(); got != test.took || (err == nil) != test.saved {
					t.Errorf("it took %q, %v", got, err)
				}
			})
		})
	}
}

// An API has refused the token that could not be saved.
func TestUnsavedTokenIsRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.saveErr = &store.UnavailableError{Reason: store.Full, Backend: "test"}
		source := s.source()
		token, err := source.Token(t.Context())
		check(t, token, err, "access-1", s.saveErr)
		token, err = source.Refresh(t.Context())
		check(t, token, err, "access-2", s.saveErr)
		s.saveErr = nil
		token, err = source.Token(t.Context())
		check(t, token, err, "access-2", nil)
		if got := s.stored(t).Token.RefreshToken; got != "refresh-2" {
			t.Errorf("stored %q", string(got))
		}
	})
}

// The stored token is valid, but the refresh token beside it is spent.
func TestUnsavedTokenOutranksAValidOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		s.saveErr = errors.New("full")
		source := s.source()
		token, err := source.Refresh(t.Context())
		check(t, token, err, "access-1", s.saveErr)
		s.saveErr = nil
		token, err = source.Token(t.Context())
		check(t, token, err, "access-1", nil)
		if got := s.stored(t).Token.RefreshToken; got != "refresh-1" {
			t.Errorf("stored %q", string(got))
		}
	})
}

func TestUnsavedTokenGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.saveErr = errors.New("full")
		source := s.source()
		token, err := source.Token(t.Context())
		check(t, token, err, "access-1", s.saveErr)
		s.saveErr = nil
		s.signIn(t, &grant.Token{AccessToken: "other", RefreshToken: "other"})
		token, err = source.Token(t.Context())
		check(t, token, err, "other", nil)
		if got := s.stored(t).Token.AccessToken; got != "other" {
			t.Errorf("stored %q", string(got))
		}
	})
}

func TestRefreshIsForced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		source := s.source()
		source.Login = never(t)
		token, err := source.Refresh(t.Context())
		check(t, token, err, "access-1", nil)
		token, err = source.Token(t.Context())
		check(t, token, err, "access-1", nil)

		s.fail = errors.New("offline")
		token, err = source.Refresh(t.Context())
		check(t, token, err, "", s.fail) // although the old one is valid
		s.fail = nil
		s.answer = func(url.Values) (int, any) { return http.StatusBadRequest, map[string]string{"error": "invalid_grant"} }
		token, err = source.Refresh(t.Context())
		check(t, token, err, "", store.ErrLoginRequired)
	})
}

// TestSpentRefreshTokenStaysSpent: what could not be saved leaves a refresh token in
// the store that was sent before. It is not the one to try when the newer one is
// refused.
func TestSpentRefreshTokenStaysSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		full := &store.UnavailableError{Reason: store.Full, Backend: "test"}
		s.failSaves(full)
		source := s.source()
		token, err := source.Token(t.Context())
		check(t, token, err, "access-1", full)
		s.good = "none" // the person is signed out at the provider
		time.Sleep(2 * time.Hour)
		token, err = source.Token(t.Context())
		check(t, token, err, "", store.ErrLoginRequired)
		var sent []string
		for _, form := range s.forms {
			sent = append(sent, form.Get("refresh_token"))
		}
		if want := []string{"refresh", "refresh-1"}; !slices.Equal(sent, want) {
			t.Errorf("sent %v, want %v", sent, want)
		}
	})
}
