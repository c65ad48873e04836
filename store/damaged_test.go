package store_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// copyOfScene is where the copy of a damaged keyOfScene is kept. It must never
// change: SHA-256 of "oauth-login/1\ndamaged\n" and keyOfScene, first half.
const copyOfScene = "04a845937d1752fea4483c08e1503d73"

func TestDamagedLoginIsKeptAside(t *testing.T) {
	const long = 1 << 20
	tests := []struct {
		name, record, reason string
		copy                 string // "" for none
	}{
		{"torn", "OL1 j 00 {}", "checksum", "OL1 j 00 {}"},
		{"foreign", "hunter2", "not a record of this program", "hunter2"},
		{"binary", "\x00\xff\n\u00e9", "not a record of this program", `"\x00\xff\n\u00e9"`},
		{"large and binary", strings.Repeat("\x00", long), "not a record", strconv.Quote(strings.Repeat("\x00", long))[:long]},
		{"empty", "", "empty", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &scene{&provider{}, &shelf{}}
			if err := s.Memory.Save(t.Context(), keyOfScene, []byte(test.record)); err != nil {
				t.Fatal(err)
			}
			var told []*store.DamagedError
			source := s.source()
			source.Damaged = func(e *store.DamagedError) { told = append(told, e) }
			source.Login = func(context.Context, save) (*grant.Token, error) {
				if _, err := s.Memory.Load(t.Context(), copyOfScene); len(told) == 0 && !errors.Is(err, store.ErrNotFound) {
					t.Errorf("before the login, the copy: %v", err)
				}
				return fresh, nil
			}
			token, err := source.Token(t.Context())
			check(t, token, err, "new", nil)
			got, err := s.Memory.Load(t.Context(), copyOfScene)
			if string(got) != test.copy || (err == nil) != (test.copy != "") {
				t.Errorf("the copy is %.40q, %v; want %.40q", got, err, test.copy)
			}
			if len(told) != 1 || !strings.Contains(told[0].Reason, test.reason) || (told[0].Copy == copyOfScene) != (test.copy != "") {
				t.Errorf("told %+v", told)
			}
			// A login that is well leaves the copy, and a logout removes it.
			if _, err := source.SignIn(t.Context()); err != nil || len(told) != 1 {
				t.Errorf("the next login: told %d times, %v", len(told), err)
			}
			if got, _ := s.Memory.Load(t.Context(), copyOfScene); string(got) != test.copy {
				t.Errorf("after the next login, the copy is %.40q", got)
			}
			if err := source.Delete(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Memory.Load(t.Context(), copyOfScene); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("after a logout: %v", err)
			}
		})
	}
}

// What cannot be copied is not overwritten.
func TestDamagedLoginThatCannotBeKept(t *testing.T) {
	s := &scene{&provider{}, &shelf{}}
	if err := s.Memory.Save(t.Context(), keyOfScene, []byte("hunter2")); err != nil {
		t.Fatal(err)
	}
	s.saveErr = &store.UnavailableError{Reason: store.Full, Backend: "test"}
	source := s.source()
	source.Login = func(context.Context, save) (*grant.Token, error) { return fresh, nil }
	source.Damaged = func(*store.DamagedError) { t.Error("told that it was replaced") }
	token, err := source.SignIn(t.Context())
	check(t, token, err, "new", s.saveErr)
	if got := s.took(); strings.Count(got, "save") != 1 {
		t.Errorf("it took %q", got)
	}
	if got, err := s.Memory.Load(t.Context(), keyOfScene); string(got) != "hunter2" {
		t.Errorf("stored %q, %v", got, err)
	}
}

// A copy alone can be removed too.
func TestDeleteOfACopy(t *testing.T) {
	s := &scene{&provider{}, &shelf{}}
	if err := s.Memory.Save(t.Context(), copyOfScene, []byte("hunter2")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []error{nil, store.ErrNotFound} {
		if err := s.source().Delete(t.Context()); !errors.Is(err, want) {
			t.Errorf("Delete: %v, want %v", err, want)
		}
	}
}
