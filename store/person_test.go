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

// takes is a Login that takes a while, and counts.
func takes(logins *int, duration time.Duration, token *grant.Token) login {
	return func(ctx context.Context, save save) (*grant.Token, error) {
		*logins++
		select {
		case <-time.After(duration):
			return token, save(ctx, token)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Two processes want a login. One browser is enough.
func TestOneLoginAmongProcesses(t *testing.T) {
	calls := map[string]func(*store.Source, context.Context) (*grant.Token, error){
		"SignIn": (*store.Source).SignIn, "Token": (*store.Source).Token,
	}
	for first, firstCall := range calls {
		for second, secondCall := range calls {
			t.Run(first+" and "+second, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := after(t, -time.Hour, "spent")
					dir := t.TempDir()
					logins, told := 0, 0
					var wg sync.WaitGroup
					for _, call := range []func(*store.Source, context.Context) (*grant.Token, error){firstCall, secondCall} {
						wg.Go(func() {
							source := s.process(dir)
							source.Client.Server.RevocationEndpoint = issuerURL + "/é<&>"
							source.Login = takes(&logins, time.Minute, fresh)
							source.Waiting = func(login bool) {
								if told++; !login {
									t.Error("told that somebody refreshes")
								}
							}
							token, err := call(source, t.Context())
							check(t, token, err, "new", nil)
						})
						time.Sleep(time.Second)
					}
					wg.Wait()
					if logins != 1 || told != 1 {
						t.Errorf("%d logins, told %d times", logins, told)
					}
				})
			})
		}
	}
}

// What the first process does is not always what the second can use.
func TestSecondLogin(t *testing.T) {
	broken := errors.New("the person has closed the browser")
	tests := []struct {
		name   string
		first  login
		change func(*store.Source) // of the second process
		want   grant.Secret
	}{
		{"the first gives up", func(context.Context, save) (*grant.Token, error) {
			time.Sleep(time.Minute)
			return nil, broken
		}, func(*store.Source) {}, "second"},
		{"the first signs in", takes(new(int), time.Minute, fresh), func(*store.Source) {}, "new"},
		{"the second asks for more", takes(new(int), time.Minute, fresh), func(source *store.Source) {
			source.Client.Scopes = []string{"more"}
		}, "second"},
		{"the second is for another profile", takes(new(int), time.Hour, fresh), func(source *store.Source) {
			source.Profile = "other"
		}, "second"},
		{"what the first gets is worthless", takes(new(int), time.Minute, &grant.Token{AccessToken: "old", Expiry: time.Unix(1, 0)}),
			func(*store.Source) {}, "second"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := after(t, time.Hour, "refresh")
				dir := t.TempDir()
				var wg sync.WaitGroup
				wg.Go(func() {
					first := s.process(dir)
					first.Login = test.first
					first.SignIn(t.Context())
				})
				synctest.Wait()
				logins := 0
				second := s.process(dir)
				test.change(second)
				second.Login = takes(&logins, time.Second, &grant.Token{AccessToken: "second"})
				token, err := second.SignIn(t.Context())
				check(t, token, err, test.want, nil)
				if (logins == 1) != (test.want == "second") {
					t.Errorf("%d logins", logins)
				}
				wg.Wait()
			})
		})
	}
}

func TestWaitForALoginEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		dir := t.TempDir()
		var wg sync.WaitGroup
		wg.Go(func() {
			first := s.process(dir)
			first.Login = takes(new(int), time.Hour, fresh)
			first.SignIn(t.Context())
		})
		synctest.Wait()
		second := s.process(dir)
		second.Login = never(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		began := time.Now()
		token, err := second.SignIn(ctx)
		check(t, token, err, "", context.DeadlineExceeded)
		if took := time.Since(began); took != 10*time.Minute {
			t.Errorf("left after %v", took)
		}
		wg.Wait()
	})
}

// While the person signs in, the login that is there can be used and refreshed.
func TestTokenDuringLoginOfAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Minute, "refresh")
		dir := t.TempDir()
		var wg sync.WaitGroup
		wg.Go(func() {
			source := s.process(dir)
			source.Login = takes(new(int), time.Hour, fresh)
			token, err := source.SignIn(t.Context())
			check(t, token, err, "new", nil)
		})
		synctest.Wait()
		began := time.Now()
		token, err := s.process(dir).Token(t.Context())
		check(t, token, err, "access", nil)
		token, err = s.process(dir).Refresh(t.Context())
		check(t, token, err, "access-1", nil)
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		wg.Wait()
		token, err = s.process(dir).Token(t.Context())
		check(t, token, err, "new", nil)
	})
}

// The person finishes while another process refreshes the old login: neither
// undoes what the other does.
func TestLoginIsSavedAfterARefreshUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.delay = 10 * time.Second
		dir := t.TempDir()
		var wg sync.WaitGroup
		wg.Go(func() {
			token, err := s.process(dir).Token(t.Context())
			check(t, token, err, "access-1", nil)
		})
		synctest.Wait()
		began := time.Now()
		source := s.process(dir)
		source.Login = takes(new(int), time.Second, fresh)
		token, err := source.SignIn(t.Context())
		check(t, token, err, "new", nil)
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("the login was saved after %v", took)
		}
		wg.Wait()
		if got := s.stored(t).Token.AccessToken; got != "new" {
			t.Errorf("stored %q", string(got))
		}
	})
}
