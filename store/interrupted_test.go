package store_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/oauth-login/oauth-login/store"
)

// marking is a store that marks a refresh under way.
type marking struct {
	*shelf
	full        error
	interrupted bool
}

func (m marking) Preflight(_ context.Context, key string) error {
	m.note("preflight " + key)
	return m.full
}

func (m marking) Interrupted(context.Context, string) (bool, error) {
	return m.interrupted, m.note("interrupted")
}
func (m marking) Refused(context.Context, string) error { return m.note("refused") }

// A store that takes nothing is found out before the refresh token is spent.
func TestPreflight(t *testing.T) {
	full := &store.UnavailableError{Reason: store.Full, Backend: "test"}
	synctest.Test(t, func(t *testing.T) {
		s := nearEnd(t, "refresh")
		source := s.source()
		source.Store = marking{shelf: s.shelf, full: full}
		source.Login = never(t)
		token, err := source.Token(t.Context())
		check(t, token, err, "access", nil) // it lives for 20 seconds
		token, err = source.Refresh(t.Context())
		check(t, token, err, "", full)
		if n := s.requests(); n != 0 {
			t.Errorf("%d requests", n)
		}
		source.Store = marking{shelf: s.shelf}
		s.took()
		token, err = source.Refresh(t.Context())
		check(t, token, err, "access-1", nil)
		if got := s.took(); got != "load load interrupted preflight "+keyOfScene+" load save" {
			t.Errorf("it took %q", got)
		}
	})
}

// A refresh that a crash has cut off explains why the next one is refused, and
// nothing else does.
func TestInterruptedRefresh(t *testing.T) {
	refuse := func(status int, code string) func(url.Values) (int, any) {
		return func(url.Values) (int, any) { return status, map[string]string{"error": code} }
	}
	tests := []struct {
		name        string
		interrupted bool
		answer      func(url.Values) (int, any)
		fail        error
		explained   bool
		over        bool // the mark is taken back
	}{
		{"spent by a crash", true, refuse(400, "invalid_grant"), nil, true, false},
		{"expired", false, refuse(400, "invalid_grant"), nil, false, true},
		{"the client is unknown", false, refuse(401, "invalid_client"), nil, false, true},
		{"the client is unknown after a crash", true, refuse(401, "invalid_client"), nil, false, false},
		{"the server is in trouble", false, func(url.Values) (int, any) { return 503, "down" }, nil, false, false},
		{"the server cannot be reached", false, nil, &net.OpError{Op: "dial", Err: errors.New("refused")}, false, true},
		{"the connection breaks", false, nil, &net.OpError{Op: "read", Err: errors.New("reset")}, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := after(t, -1, "refresh")
				s.answer, s.fail = test.answer, test.fail
				source := s.source()
				source.Store = marking{shelf: s.shelf, interrupted: test.interrupted}
				_, err := source.Token(t.Context())
				if err == nil || strings.Contains(err.Error(), "the last refresh was interrupted") != test.explained {
					t.Errorf("error %v", err)
				}
				if test.explained && !errors.Is(err, store.ErrLoginRequired) {
					t.Errorf("error %v, want login required", err)
				}
				if log := s.took(); strings.Contains(log, "refused") != test.over {
					t.Errorf("it took %q", log)
				}
			})
		})
	}
}
