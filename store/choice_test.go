package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// slowly is a store whose passphrase takes its time to be typed, or fails to be.
func slowly(dir, passphrase string, takes time.Duration, fail error) *EncryptedFile {
	e := withPassphrase(dir, passphrase)
	e.Passphrase = func(ctx context.Context, _ bool) (grant.Secret, error) {
		time.Sleep(takes)
		return grant.Secret(passphrase), fail
	}
	return e
}

// TestChoiceIsWaitedFor: while somebody types a new passphrase, another one waits to
// be asked for it, but not for ever.
func TestChoiceIsWaitedFor(t *testing.T) {
	gone := errors.New("there is nobody")
	for _, test := range []struct {
		name   string
		takes  time.Duration
		fail   error
		asked  []bool // what the other one is asked, whether it is new
		reason Reason
		after  time.Duration // at most
	}{
		{"soon", 5 * time.Second, nil, []bool{false}, "", 6 * time.Second},
		{"given up", 5 * time.Second, gone, []bool{true}, "", 6 * time.Second},
		{"never", time.Minute, nil, nil, Locked, choiceWait},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := private(t)
			synctest.Test(t, func(t *testing.T) {
				first := slowly(dir, "same", test.takes, test.fail)
				ended := make(chan error, 1)
				go func() { ended <- first.Probe(t.Context()) }()
				synctest.Wait()
				var asked counter
				second := asked.watch(withPassphrase(dir, "same"))
				began := time.Now()
				err := second.Probe(t.Context())
				if test.reason != "" {
					expectReason(t, "Probe", err, test.reason)
				} else if err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > test.after {
					t.Errorf("it took %v", took)
				}
				asked.expect(t, test.asked...)
				if err := <-ended; !errors.Is(err, test.fail) {
					t.Error(err)
				}
			})
		})
	}
}

// TestChoiceEndsWithTheContext: whoever waits can leave.
func TestChoiceEndsWithTheContext(t *testing.T) {
	dir := private(t)
	synctest.Test(t, func(t *testing.T) {
		go slowly(dir, "x", time.Minute, nil).Probe(t.Context())
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := withPassphrase(dir, "x").Probe(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Minute)
	})
}

// TestChoiceIsNotThatOfTheDead: whoever waits is asked for what the living have
// chosen.
func TestChoiceIsNotThatOfTheDead(t *testing.T) {
	dir := private(t)
	dead := withPassphrase(dir, "dead")
	if err := dead.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	dead.choice()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		go func() { ended <- slowly(dir, "living", 5*time.Second, nil).Probe(t.Context()) }()
		synctest.Wait()
		began := time.Now()
		if err := withPassphrase(dir, "living").Probe(t.Context()); err != nil || time.Since(began) < 4*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestChoiceOfTheDead: what a process has chosen that ended before it signed in, or
// while it wrote, binds nobody.
func TestChoiceOfTheDead(t *testing.T) {
	dir := private(t)
	first := withPassphrase(dir, "first")
	if err := first.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectReason(t, "while it lives", withPassphrase(dir, "second").Probe(t.Context()), WrongKey)
	first.choice() // as the kernel does at its end
	second := withPassphrase(dir, "second")
	if err := second.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustSave(t, second, keyA, "record")
	if got := mustLoad(t, withPassphrase(dir, "second"), keyA); got != "record" {
		t.Errorf("loaded %q", got)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, locksName)); err != nil || len(entries) != 1 {
		t.Errorf("beside the lock are %v, %v", entries, err)
	}
	// It is free for the next time.
	if err := second.Delete(t.Context(), keyA); err != nil {
		t.Fatal(err)
	}
	if err := withPassphrase(dir, "third").Probe(t.Context()); err != nil {
		t.Error(err)
	}
}
