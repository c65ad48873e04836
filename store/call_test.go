package store

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestKeychainThatPanics(t *testing.T) {
	r := &fakeRing{get: func(string, *string) (bool, error) { panic("nil signal") }}
	k := newFakeKeychain("linux", r)
	err := load(k)
	if unavailable, ok := errors.AsType[*UnavailableError](err); !ok || unavailable.Reason != Failed {
		t.Errorf("error %v", err)
	}
	r.get = nil
	if err := load(k); !errors.Is(err, ErrNotFound) {
		t.Errorf("the next call: %v", err)
	}
}

func TestKeychainRetriesCollisions(t *testing.T) {
	for goos, collision := range map[string]error{"windows": syscall.Errno(234), "darwin": exitError(45)} {
		failures := 2
		r := &fakeRing{items: map[string]string{"oauth-login:" + testKey + ".a.0": "value"}}
		r.get = func(string, *string) (bool, error) {
			failures--
			return failures >= 0, collision
		}
		got, err := newFakeKeychain(goos, r).Load(t.Context(), testKey)
		if err != nil || string(got) != "value" {
			t.Errorf("%s: %q, %v", goos, got, err)
		}
	}
}

func TestKeychainThatHangs(t *testing.T) {
	for _, prompts := range []bool{false, true} {
		t.Run(fmt.Sprintf("prompts %v", prompts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				r := &fakeRing{items: map[string]string{"oauth-login:" + testKey + ".a.0": "value"}}
				r.get = func(string, *string) (bool, error) { <-release; return false, nil }
				k := newFakeKeychain("linux", r)
				k.probe = func(context.Context) (bool, error) { return prompts, nil }
				var waited time.Duration
				start := time.Now()
				k.Waiting = func(name string) { waited = time.Since(start) }
				want := 5 * time.Second
				if prompts {
					want = time.Minute
				}
				assertTimeout(t, load(k))
				if took := time.Since(start); took != want || waited != time.Second {
					t.Errorf("took %v, want %v; said so after %v", took, want, waited)
				}
				// As long as that call is out, further ones fail at once.
				r.took()
				start = time.Now()
				assertTimeout(t, save("newer")(k))
				if took := time.Since(start); took != 0 || r.took() != "" {
					t.Errorf("the next call took %v and reached go-keyring", took)
				}
				// It comes back.
				close(release)
				synctest.Wait()
				if err := load(k); err != nil {
					t.Errorf("after it came back: %v", err)
				}
			})
		})
	}
}

func assertTimeout(t *testing.T, err error) {
	t.Helper()
	unavailable, ok := errors.AsType[*UnavailableError](err)
	if !ok || unavailable.Reason != TimedOut {
		t.Errorf("error %v, want a timeout", err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v passes for the end of a context", err)
	}
}

// A caller who leaves must not let the next one in while the keychain is still
// at work: the older write could land after the newer one.
func TestKeychainCallsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRing{}
		r.set = func(_ string, secret *string) (bool, error) {
			if *secret == "old" {
				time.Sleep(3 * time.Second)
			}
			return false, nil
		}
		k := newFakeKeychain("linux", r)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := k.Save(ctx, testKey, []byte("old")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("left after %v", took)
		}
		if err := save("new")(k); err != nil {
			t.Fatal(err)
		}
		if got, err := k.Load(t.Context(), testKey); err != nil || string(got) != "new" {
			t.Errorf("Load: %q, %v", got, err)
		}
	})
}

func TestKeychainTimeoutsAreAdjustable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRing{get: func(string, *string) (bool, error) { time.Sleep(time.Hour); return false, nil }}
		k := newFakeKeychain("linux", r)
		k.Timeout = time.Minute
		start := time.Now()
		assertTimeout(t, load(k))
		if took := time.Since(start); took != time.Minute {
			t.Errorf("took %v", took)
		}
		time.Sleep(time.Hour)
	})
}
