package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
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
				want := 3 * time.Second
				if prompts {
					want = time.Minute
				}
				assertTimeout(t, load(k))
				if took := time.Since(start); took != want || prompts != (waited == time.Second) {
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

// The end of the context ends the wait for a keychain that does not answer, at once.
func TestKeychainThatHangsIsCancelled(t *testing.T) {
	for name, use := range map[string]func(context.Context, *Keychain) error{
		"load":   func(ctx context.Context, k *Keychain) error { _, err := k.Load(ctx, testKey); return err },
		"save":   func(ctx context.Context, k *Keychain) error { return k.Save(ctx, testKey, []byte("new")) },
		"delete": func(ctx context.Context, k *Keychain) error { return k.Delete(ctx, testKey) },
		"probe":  func(ctx context.Context, k *Keychain) error { return k.Probe(ctx) },
	} {
		for _, where := range []string{"in go-keyring", "while it is looked for", "behind another call"} {
			t.Run(name+" "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					release := make(chan struct{})
					r := &fakeRing{items: map[string]string{}}
					r.get = func(string, *string) (bool, error) { <-release; return false, nil }
					k := newFakeKeychain("linux", r)
					if where == "while it is looked for" {
						k.probe = func(context.Context) (bool, error) { <-release; return false, nil }
					}
					var other sync.WaitGroup
					if where == "behind another call" {
						other.Go(func() { load(k) })
						synctest.Wait()
					}
					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(time.Second, cancel)
					start := time.Now()
					if err := use(ctx, k); !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
						t.Errorf("error %v after %v", err, time.Since(start))
					}
					close(release)
					other.Wait()
				})
			})
		}
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
		old := recordOf("old", 100)
		r := &fakeRing{}
		r.set = func(_ string, secret *string) (bool, error) {
			if *secret == string(old) {
				time.Sleep(3 * time.Second)
			}
			return false, nil
		}
		k := newFakeKeychain("linux", r)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := k.Save(ctx, testKey, old); !errors.Is(err, context.DeadlineExceeded) {
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

// A write that was given up may still take effect. Until it has come back, the
// keychain is not settled, and nothing else of that call follows.
func TestSettled(t *testing.T) {
	for name, leave := range map[string]time.Duration{"timed out": time.Hour, "left": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				r := &fakeRing{set: func(string, *string) (bool, error) { <-release; return false, nil }}
				k := newFakeKeychain("linux", r)
				ctx, cancel := context.WithTimeout(t.Context(), leave)
				defer cancel()
				if !settled(k) {
					t.Error("a new keychain is not settled")
				}
				if err := k.Save(ctx, testKey, recordOf("old", 100)); err == nil {
					t.Error("it was saved")
				}
				if settled(k) {
					t.Error("settled while a write is under way")
				}
				close(release)
				<-k.Settled()
				synctest.Wait()
				if got := r.took(); !strings.HasSuffix(got, "set a.0") {
					t.Errorf("after it was given up it went on: %s", got)
				}
			})
		})
	}
}

// A read that waits for a password changes nothing, and nothing is written when
// that comes at last.
func TestGivenUpBeforeTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := &fakeRing{get: func(string, *string) (bool, error) { <-release; return false, nil }}
		k := newFakeKeychain("linux", r)
		for _, call := range []func(*Keychain) error{save("old"), remove} {
			assertTimeout(t, call(k))
			if !settled(k) {
				t.Error("a read keeps it unsettled")
			}
		}
		close(release)
		synctest.Wait()
		if got := r.took(); got != "get a.0" {
			t.Errorf("it did %s", got)
		}
	})
}

// The time is that of one step, not of a call that gets on.
func TestKeychainThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(string, *string) (bool, error) { time.Sleep(2 * time.Second); return false, nil }
		k := newFakeKeychain("linux", &fakeRing{get: slow, set: slow})
		if err := save("x")(k); err != nil {
			t.Error(err)
		}
	})
}

func settled(k *Keychain) bool {
	select {
	case <-k.Settled():
		return true
	default:
		return false
	}
}
