package store

import (
	"errors"
	"testing"
)

func TestPreflight(t *testing.T) {
	r := &fakeRing{}
	k := newFakeKeychain("linux", r)
	ctx := t.Context()
	interrupted := func(want bool) {
		t.Helper()
		if got, err := k.Interrupted(ctx, testKey); err != nil || got != want {
			t.Errorf("interrupted: %v, %v; want %v", got, err, want)
		}
	}
	if err := k.Preflight(ctx, testKey); !errors.Is(err, ErrNotFound) {
		t.Errorf("without a record: %v", err)
	}
	interrupted(false)
	if err := save("one")(k); err != nil {
		t.Fatal(err)
	}
	interrupted(false)
	r.took()
	if err := k.Preflight(ctx, testKey); err != nil {
		t.Fatal(err)
	}
	if got := r.took(); got != "get a.0, set w, get w" {
		t.Errorf("Preflight did %s", got)
	}
	interrupted(true)
	if err := save("two")(k); err != nil {
		t.Fatal(err)
	}
	interrupted(false) // the mark is for another record
	if err := k.Preflight(ctx, testKey); err != nil {
		t.Fatal(err)
	}
	interrupted(true)
	for range 2 { // the second time, there is nothing to take back
		if err := k.Refused(ctx, testKey); err != nil {
			t.Fatal(err)
		}
		interrupted(false)
	}
	if err := k.Preflight(ctx, testKey); err != nil {
		t.Fatal(err)
	}
	if err := remove(k); err != nil || len(r.items) != 0 {
		t.Errorf("Delete: %v, left %v", err, r.items)
	}
}

// A mark that is not written anew is no proof, even where there is an old one.
func TestPreflightThatIsLost(t *testing.T) {
	r := &fakeRing{}
	k := newFakeKeychain("linux", r)
	if err := save("one")(k); err != nil {
		t.Fatal(err)
	}
	if err := k.Preflight(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	r.set = func(string, *string) (bool, error) { return true, nil }
	err := k.Preflight(t.Context(), testKey)
	if unavailable, ok := errors.AsType[*UnavailableError](err); !ok || unavailable.Reason != NotStored {
		t.Errorf("error %v", err)
	}
}
