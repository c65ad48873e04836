package store_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

type (
	save  = func(context.Context, *grant.Token) error
	login = func(context.Context, save) (*grant.Token, error)
)

var fresh = &grant.Token{AccessToken: "new", RefreshToken: "new refresh"}

func TestSignIn(t *testing.T) {
	broken := errors.New("the page could not be shown")
	full := &store.UnavailableError{Reason: store.Full, Backend: "test"}
	tests := []struct {
		name    string
		shelf   *shelf
		login   login
		want    grant.Secret
		wantErr error
		log     string
	}{
		{"saves itself", &shelf{}, func(ctx context.Context, save save) (*grant.Token, error) {
			return fresh, save(ctx, fresh)
		}, "new", nil, "load load probe load save"},
		{"does not save", &shelf{}, func(context.Context, save) (*grant.Token, error) {
			return fresh, nil
		}, "new", nil, "load load probe load save"},
		{"saves another token than it returns", &shelf{}, func(ctx context.Context, save save) (*grant.Token, error) {
			return fresh, save(ctx, &grant.Token{AccessToken: "draft"})
		}, "new", nil, "load load probe load save load save"},
		{"fails after it has saved", &shelf{}, func(ctx context.Context, save save) (*grant.Token, error) {
			return nil, errors.Join(save(ctx, fresh), broken)
		}, "new", broken, "load load probe load save"},
		{"fails", &shelf{}, func(context.Context, save) (*grant.Token, error) {
			return nil, broken
		}, "", broken, "load load probe"},
		{"returns nothing", &shelf{}, func(context.Context, save) (*grant.Token, error) {
			return nil, nil
		}, "", grant.ErrArgument, "load load probe"},
		{"returns an empty token", &shelf{}, func(ctx context.Context, save save) (*grant.Token, error) {
			return nil, save(ctx, &grant.Token{RefreshToken: "refresh"})
		}, "", grant.ErrArgument, "load load probe"},
		{"cannot save", &shelf{saveErr: full}, func(ctx context.Context, save save) (*grant.Token, error) {
			return nil, save(ctx, fresh)
		}, "", full, "load load probe load save"},
		{"cannot be saved", &shelf{saveErr: full}, func(context.Context, save) (*grant.Token, error) {
			return fresh, nil
		}, "new", full, "load load probe load save"},
		{"probe fails", &shelf{sick: full}, never(t), "", full, "load load probe"},
		{"look fails", &shelf{loadErr: full}, never(t), "", full, "load"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &scene{&provider{}, test.shelf}
			source := s.source()
			source.Login = test.login
			token, err := source.SignIn(t.Context())
			check(t, token, err, test.want, test.wantErr)
			if got := s.took(); got != test.log {
				t.Errorf("it took %q, want %q", got, test.log)
			}
			_, err = (&store.Source{Client: s.client(), Store: &s.Memory}).Load(t.Context())
			if saved := err == nil; saved != (test.want != "" && test.wantErr != error(full)) {
				t.Errorf("saved: %v", saved)
			}
		})
	}
}

// Whatever cannot be read is replaced by a login, except by an older program.
func TestSignInOverWhatIsThere(t *testing.T) {
	for name, test := range map[string]struct {
		record string
		want   error
	}{
		"damaged": {"OL1 j 00 {}", nil},
		"empty":   {"", nil},
		"foreign": {"hunter2", nil},
		"newer":   {"OL2 whatever it is", store.ErrNewer},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scene{&provider{}, &shelf{}}
			if err := s.Memory.Save(t.Context(), keyOfScene, []byte(test.record)); err != nil {
				t.Fatal(err)
			}
			source := s.source()
			calls := map[string]func(context.Context) (*grant.Token, error){"Token": source.Token, "Refresh": source.Refresh}
			for name, call := range calls {
				_, err := call(t.Context())
				_, damaged := errors.AsType[*store.DamagedError](err)
				if damaged == (test.want != nil) || damaged != errors.Is(err, store.ErrLoginRequired) || errors.Is(err, store.ErrNewer) == damaged {
					t.Errorf("%s without Login: %v", name, err)
				}
			}
			if record, err := s.Memory.Load(t.Context(), keyOfScene); err != nil || string(record) != test.record {
				t.Errorf("it was touched: %q, %v", record, err)
			}

			source.Login = func(context.Context, save) (*grant.Token, error) {
				if test.want != nil {
					t.Error("Login was called")
				}
				return fresh, nil
			}
			if _, err := source.SignIn(t.Context()); !errors.Is(err, test.want) {
				t.Errorf("SignIn: %v", err)
			}
			if err := s.source().Delete(t.Context()); !errors.Is(err, test.want) {
				t.Errorf("Delete: %v", err)
			}
			record, _ := s.Memory.Load(t.Context(), keyOfScene)
			if test.want != nil && string(record) != test.record {
				t.Errorf("it was touched: %q", record)
			}
		})
	}
}

func TestDamagedLoginCanBeDeleted(t *testing.T) {
	s := &scene{&provider{}, &shelf{}}
	if err := s.Memory.Save(t.Context(), keyOfScene, []byte("OL1 torn")); err != nil {
		t.Fatal(err)
	}
	if err := s.source().Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.source().Load(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Load after Delete: %v", err)
	}
}

func TestSettingsThatCannotBeStored(t *testing.T) {
	source := (&scene{&provider{}, &shelf{}}).source()
	source.Client.LoginHint = "\xff"
	source.Login = never(t)
	if _, err := source.SignIn(t.Context()); !errors.Is(err, grant.ErrArgument) {
		t.Errorf("SignIn: %v", err)
	}
}

func TestOneLoginForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{&provider{}, &shelf{}}
		source := s.source()
		logins := 0
		source.Login = func(context.Context, save) (*grant.Token, error) {
			logins++
			time.Sleep(time.Minute)
			return fresh, nil
		}
		var wg sync.WaitGroup
		for _, call := range []func(context.Context) (*grant.Token, error){source.SignIn, source.SignIn, source.Token, source.Token} {
			wg.Go(func() {
				token, err := call(t.Context())
				check(t, token, err, "new", nil)
			})
			synctest.Wait() // the first SignIn begins
		}
		wg.Wait()
		if logins != 1 {
			t.Errorf("%d logins", logins)
		}
	})
}

func TestStoredTokenIsThereDuringLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		source := s.source()
		source.Login = func(context.Context, save) (*grant.Token, error) {
			time.Sleep(time.Minute)
			return fresh, nil
		}
		var wg sync.WaitGroup
		wg.Go(func() { source.SignIn(t.Context()) })
		synctest.Wait()
		start := time.Now()
		token, err := source.Token(t.Context())
		check(t, token, err, "access", nil)
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %v", waited)
		}
		wg.Wait()
		token, err = source.Token(t.Context())
		check(t, token, err, "new", nil)
	})
}

func TestLoginEndsWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := (&scene{&provider{}, &shelf{}}).source()
		var ended time.Time
		source.Login = func(ctx context.Context, _ save) (*grant.Token, error) {
			<-ctx.Done()
			ended = time.Now()
			return nil, ctx.Err()
		}
		start := time.Now()
		var wg sync.WaitGroup
		for _, patience := range []time.Duration{time.Second, time.Minute} {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				token, err := source.SignIn(ctx)
				check(t, token, err, "", context.DeadlineExceeded)
			})
		}
		wg.Wait()
		synctest.Wait()
		if took := ended.Sub(start); took != time.Minute {
			t.Errorf("Login ended after %v", took)
		}
	})
}

// A Login that gives up must not be what the next caller gets, nor end what
// that one has begun.
func TestNextCallerGetsALoginOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := (&scene{&provider{}, &shelf{}}).source()
		logins := 0
		source.Login = func(ctx context.Context, _ save) (*grant.Token, error) {
			logins++
			select {
			case <-ctx.Done():
				time.Sleep(time.Second) // closing the browser takes a while
				return nil, ctx.Err()
			case <-time.After(10 * time.Second):
				return fresh, nil
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		token, err := source.SignIn(ctx)
		check(t, token, err, "", context.DeadlineExceeded)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				token, err := source.SignIn(t.Context())
				check(t, token, err, "new", nil)
			})
			time.Sleep(5 * time.Second) // the first Login has ended, the second goes on
		}
		wg.Wait()
		if logins != 2 {
			t.Errorf("%d logins", logins)
		}
	})
}

// A save that has begun is finished although the caller leaves.
func TestSaveIsFinishedWithoutCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{&provider{}, &shelf{slow: 2 * time.Second}}
		source := s.source()
		source.Login = func(ctx context.Context, save save) (*grant.Token, error) { return fresh, save(ctx, fresh) }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		token, err := source.SignIn(ctx)
		check(t, token, err, "", context.DeadlineExceeded)
		time.Sleep(2 * time.Second)
		if got := s.stored(t).Token.AccessToken; got != "new" {
			t.Errorf("stored %q", string(got))
		}
	})
}

// So is one that has begun to look at what it is going to replace.
func TestLookBeforeASaveIsFinishedWithoutCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{&provider{}, &shelf{}}
		source := s.source()
		source.Store = attentive{s.shelf}
		source.Login = func(ctx context.Context, save save) (*grant.Token, error) { return fresh, save(ctx, fresh) }
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // in the third look
		defer cancel()
		token, err := source.SignIn(ctx)
		check(t, token, err, "", context.DeadlineExceeded)
		time.Sleep(2 * time.Second)
		if got := s.stored(t).Token.AccessToken; got != "new" {
			t.Errorf("stored %q", string(got))
		}
	})
}

// attentive is a store whose looks take two seconds, and end with the context.
type attentive struct{ *shelf }

func (a attentive) Load(ctx context.Context, key string) ([]byte, error) {
	select {
	case <-time.After(2 * time.Second):
		return a.shelf.Load(ctx, key)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A t.FailNow in a Login ends its goroutine, and must not leave anybody waiting.
func TestLoginThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := (&scene{&provider{}, &shelf{}}).source()
		source.Login = func(context.Context, save) (*grant.Token, error) {
			runtime.Goexit()
			return nil, nil
		}
		token, err := source.SignIn(t.Context())
		if token != nil || err == nil {
			t.Errorf("token %v, error %v", token, err)
		}
	})
}
