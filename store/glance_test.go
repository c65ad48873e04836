package store

import (
	"context"
	"errors"
	"testing"
)

// A glancingRing shows its items at a glance while it is open.
type glancingRing struct {
	fakeRing
	open bool
}

func (r *glancingRing) Glance(service, user string) (secret string, ok bool) {
	if !r.open {
		return "", false
	}
	secret, ok = r.items[r.name(service, user)]
	return secret, ok
}

// TestGlance: an item that is seen at a glance is all that is asked for. Before
// anything else is done with the keychain, there is a look whether it may be used,
// and where it may not, nothing is.
func TestGlance(t *testing.T) {
	record := string(seal(recordCodec, []byte("{}")))
	locked := &UnavailableError{Reason: Locked}
	tests := []struct {
		name    string
		open    bool
		problem error
		do      func(*Keychain) error
		looks   int
		used    bool // go-keyring was called
	}{
		{"load, open", true, locked, load, 0, false},
		{"load, closed", false, nil, load, 1, true},
		{"load, may not be used", false, locked, load, 1, false},
		{"save, open", true, nil, save(record), 1, true},
		{"save, may not be used", true, locked, save(record), 1, false},
		{"delete, may not be used", true, locked, remove, 1, false},
		{"delete, closed and may not be used", false, locked, remove, 1, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, looks := &glancingRing{open: test.open}, 0
			r.items = map[string]string{r.name(service, testKey+".a.0"): record}
			k := &Keychain{ring: r, goos: "linux", probe: func(context.Context) (bool, error) {
				looks++
				return false, test.problem
			}}
			err := test.do(k)
			if test.problem != nil && test.looks > 0 != errors.Is(err, test.problem) {
				t.Errorf("error %v", err)
			}
			if log := r.took(); looks != test.looks || (log != "") != test.used {
				t.Errorf("%d looks, go-keyring: %q", looks, log)
			}
		})
	}
}
