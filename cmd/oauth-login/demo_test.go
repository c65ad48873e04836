package main

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestInterruptedDemo presses Ctrl-C when the demo has something in the store.
// It has less than a second to remove that.
func TestInterruptedDemo(t *testing.T) {
	for name, test := range map[string]struct {
		at    string // what the store is doing
		takes time.Duration
		code  int
		left  bool
	}{
		"while it signs in":     {"save", 0, exitInterrupted, false},
		"slow store":            {"save", 300 * time.Millisecond, exitInterrupted, false},
		"store that hangs":      {"save", time.Hour, exitInterrupted, true},
		"while it removes":      {"delete", 300 * time.Millisecond, exitDone, false},
		"while a removal hangs": {"delete", time.Hour, exitInterrupted, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestProgram(t)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var pressed time.Time
			shelf := &sluggishStore{takes: test.takes, notify: func(what string) {
				if what == test.at && pressed.IsZero() {
					pressed = time.Now()
					interrupt()
				}
			}}
			p.keychain = shelf
			if code := p.run(ctx, []string{"demo"}); code != test.code {
				t.Errorf("exit code %d, want %d\n%s", code, test.code, p.stderr)
			}
			if took := time.Since(pressed); took > time.Second {
				t.Errorf("it took %v to end", took)
			}
			if left := shelf.records() > 0; left != test.left {
				t.Errorf("something is left in the store: %v", left)
			}
			said := p.stderr.String()
			_, remedy, told := strings.Cut(said, "hint: remove it: oauth-login ")
			if told != test.left || strings.Contains(said, "Removed what") == test.left {
				t.Errorf("it says\n%s", said)
			}
			if !test.left {
				return
			}
			shelf.takes = 0
			remedy, _, _ = strings.Cut(remedy, "\n")
			if code := p.run(t.Context(), strings.Fields(remedy)); code != exitDone || shelf.records() > 0 {
				t.Errorf("%s: exit code %d, %d logins are left", remedy, code, shelf.records())
			}
		})
	}
}

// A sluggishStore takes its time, and tells when it is used.
type sluggishStore struct {
	countingStore
	takes     time.Duration // to delete
	saveTakes time.Duration
	notify    func(what string)
}

func (s *sluggishStore) Save(ctx context.Context, key string, record []byte) error {
	s.notify("save")
	time.Sleep(s.saveTakes)
	return s.countingStore.Save(ctx, key, record)
}

func (s *sluggishStore) Delete(ctx context.Context, key string) error {
	s.notify("delete")
	select {
	case <-time.After(s.takes):
		return s.countingStore.Delete(ctx, key)
	case <-ctx.Done():
		return ctx.Err()
	}
}
