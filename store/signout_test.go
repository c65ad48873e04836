package store_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// A logout in one process is not undone by a refresh in another.
func TestDeleteAndRefreshInTwoProcesses(t *testing.T) {
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
		wg.Go(func() {
			if err := s.process(dir).Delete(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		time.Sleep(20 * time.Second)
		wg.Wait()
		token, err := s.process(dir).Token(t.Context())
		check(t, token, err, "", store.ErrLoginRequired)
		check(t, token, err, "", store.ErrNotFound)
	})
}

// A program that shares no lock with this one signs in, or out, during a refresh.
func TestRefreshDoesNotUndoWhatOthersDid(t *testing.T) {
	tests := []struct {
		name    string
		other   *grant.Token // nil signs out
		want    grant.Secret
		wantErr string
	}{
		{"signed in", &grant.Token{AccessToken: "other", RefreshToken: "other"}, "other", ""},
		{"signed in, expired", &grant.Token{AccessToken: "other", RefreshToken: "other", Expiry: time.Unix(1, 0)}, "", "replaced"},
		{"signed out", nil, "", store.ErrNotFound.Error()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := after(t, -time.Second, "refresh")
				s.delay = time.Second
				time.AfterFunc(time.Second/2, func() {
					if test.other != nil {
						s.signIn(t, test.other)
					} else if err := s.Memory.Delete(t.Context(), keyOfScene); err != nil {
						t.Error(err)
					}
				})
				token, err := s.source().Token(t.Context())
				check(t, token, nil, test.want, nil)
				if (err != nil) != (test.wantErr != "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
					t.Errorf("error %v, want %q", err, test.wantErr)
				}
				if test.other == nil {
					_, err := s.source().Load(t.Context())
					check(t, nil, err, "", store.ErrNotFound)
				} else if got := s.stored(t).Token.AccessToken; got != "other" {
					t.Errorf("stored %q", string(got))
				}
			})
		})
	}
}

// What is revoked at a logout is what is deleted: a refresh under way is waited
// for, and none begins.
func TestSignOut(t *testing.T) {
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
		offline := errors.New("offline")
		for _, failure := range []error{offline, nil} { // the login stays after the first
			var revoked []grant.Secret
			err := s.process(dir).SignOut(t.Context(), func(_ context.Context, record *store.Record) error {
				revoked = append(revoked, record.Token.RefreshToken)
				if failure == nil {
					wg.Go(func() {
						_, err := s.process(dir).Refresh(t.Context())
						check(t, nil, err, "", store.ErrLoginRequired)
					})
					time.Sleep(time.Second)
				}
				return failure
			})
			if !errors.Is(err, failure) || len(revoked) != 1 || revoked[0] != "refresh-1" {
				t.Errorf("revoked %d, %v", len(revoked), err)
			}
		}
		wg.Wait()
		if _, err := s.source().Load(t.Context()); !errors.Is(err, store.ErrNotFound) || s.requests() != 1 {
			t.Errorf("%d requests, Load: %v", s.requests(), err)
		}
		err := s.source().SignOut(t.Context(), func(context.Context, *store.Record) error {
			t.Error("there is nothing to revoke")
			return nil
		})
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("without a login: %v", err)
		}
	})
}
