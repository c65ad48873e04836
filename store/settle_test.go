package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// A program that is interrupted can wait until what was sent is saved.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.delay, s.slow = 10*time.Second, time.Second
		source := s.source()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		token, err := source.Token(ctx)
		check(t, token, err, "", context.DeadlineExceeded)

		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := source.Settle(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while the refresh is under way: %v", err)
		}
		if err := source.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		if got := s.stored(t).Token.RefreshToken; got != "refresh-1" {
			t.Errorf("stored %q", string(got))
		}
	})
}

func TestSettleWhereNothingIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := after(t, time.Hour, "refresh").source()
		began := time.Now()
		if err := source.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("it took %v", waited)
		}
	})
}

// Whoever has waited must not see a refresh begin after that: the process may
// end any moment.
func TestNoRefreshBeginsWithoutCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, -time.Second, "refresh")
		s.slowLoad = 2 * time.Second
		source := s.source()
		source.Login = never(t)
		for name, call := range map[string]func(context.Context) (*grant.Token, error){"Token": source.Token, "Refresh": source.Refresh} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			token, err := call(ctx)
			check(t, token, err, "", context.DeadlineExceeded)
			if err := source.Settle(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
			if n := s.requests(); n != 0 {
				t.Errorf("%s: %d requests", name, n)
			}
		}
	})
}

// A login that is being saved is over when Login has returned: it may have more
// to do than to save.
func TestSettleWaitsForLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{&provider{}, &shelf{slow: time.Second}}
		source := s.source()
		over := false
		source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
			err := save(ctx, fresh)
			time.Sleep(time.Second)
			over = true
			return fresh, err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		token, err := source.SignIn(ctx)
		check(t, token, err, "", context.DeadlineExceeded)
		if err := source.Settle(t.Context()); err != nil || !over {
			t.Errorf("settled with %v; Login has returned: %t", err, over)
		}
	})
}
