package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/zalando/go-keyring"
)

// A fakeRing is a keychain with faults. A hook that is nil does nothing; one
// that returns true takes the place of the operation.
type fakeRing struct {
	get, set, del func(user string, secret *string) (bool, error)

	mu       sync.Mutex
	items    map[string]string
	log      []string
	foldCase bool // names are compared without regard to it
}

func (r *fakeRing) name(service, user string) string {
	if r.foldCase {
		return strings.ToLower(service + ":" + user)
	}
	return service + ":" + user
}

func (r *fakeRing) note(what, user string, hook func(string, *string) (bool, error), secret *string) (bool, error) {
	r.mu.Lock()
	name, ok := strings.CutPrefix(user, testKey+".")
	if !ok {
		name = "canary"
	}
	r.log = append(r.log, what+" "+name)
	r.mu.Unlock()
	if hook == nil {
		return false, nil
	}
	return hook(user, secret)
}

func (r *fakeRing) Get(service, user string) (secret string, err error) {
	if done, err := r.note("get", user, r.get, &secret); done {
		return secret, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	secret, ok := r.items[r.name(service, user)]
	if !ok {
		return "", keyring.ErrNotFound
	}
	return secret, nil
}

func (r *fakeRing) Set(service, user, secret string) error {
	if done, err := r.note("set", user, r.set, &secret); done {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.items == nil {
		r.items = map[string]string{}
	}
	r.items[r.name(service, user)] = secret
	return nil
}

func (r *fakeRing) Delete(service, user string) error {
	if done, err := r.note("delete", user, r.del, nil); done {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.items[r.name(service, user)]; !ok {
		return keyring.ErrNotFound
	}
	delete(r.items, r.name(service, user))
	return nil
}

func (r *fakeRing) took() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	log := strings.Join(r.log, ", ")
	r.log = nil
	return log
}

func ready(context.Context) (bool, error) { return false, nil }

func newFakeKeychain(goos string, r ring) *Keychain {
	return &Keychain{ring: r, probe: ready, goos: goos}
}

const testKey = "0123456789abcdef0123456789abcdef"

// The keychain reports success and does something else.
func TestKeychainThatLies(t *testing.T) {
	lose := func(string, *string) (bool, error) { return true, nil }
	torn := &fakeRing{}
	torn.set = func(user string, secret *string) (bool, error) {
		torn.items = map[string]string{service + ":" + user: (*secret)[:1]}
		return true, nil
	}
	tests := map[string]struct {
		ring *fakeRing
		call func(*Keychain) error
		want string
	}{
		"an item is torn":          {torn, save("new"), "reported success"},
		"a new item is lost":       {&fakeRing{set: lose}, save("new"), "reported success"},
		"a change is lost":         {&fakeRing{set: lose, items: map[string]string{"oauth-login:" + testKey + ".a.0": "old"}}, save("new"), "reported success"},
		"an item is emptied":       {&fakeRing{get: lose}, save("new"), "reported success"},
		"a deletion is dismissed":  {&fakeRing{del: lose, items: map[string]string{"oauth-login:" + testKey + ".a.0": "old"}}, remove, "still there"},
		"a canary is lost":         {&fakeRing{set: lose}, probe, "reported success"},
		"a canary cannot be freed": {&fakeRing{del: lose}, probe, "still there"},
		"a canary goes by itself":  {&fakeRing{del: func(string, *string) (bool, error) { return true, keyring.ErrNotFound }}, probe, "gone at once"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.call(newFakeKeychain("linux", test.ring))
			unavailable, ok := errors.AsType[*UnavailableError](err)
			if !ok || unavailable.Reason != NotStored || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func save(secret string) func(*Keychain) error {
	return func(k *Keychain) error { return k.Save(context.Background(), testKey, []byte(secret)) }
}

func remove(k *Keychain) error { return k.Delete(context.Background(), testKey) }

func probe(k *Keychain) error { return k.Probe(context.Background()) }

func load(k *Keychain) error {
	_, err := k.Load(context.Background(), testKey)
	return err
}

func TestKeychainErrors(t *testing.T) {
	exit := func(status int) error { return fmt.Errorf("wrapped: %w", exitError(status)) }
	tests := []struct {
		goos string
		err  error
		want Reason // empty for ErrNotFound
	}{
		{"linux", keyring.ErrNotFound, ""},
		{"darwin", exit(44), ""},
		{"darwin", exit(36), Locked},
		{"darwin", exit(51), Denied},
		{"darwin", exit(128), Denied},
		{"darwin", exit(1), Failed},
		{"darwin", errors.New("fork/exec /usr/bin/security: no such file"), Failed},
		{"windows", syscall.Errno(1312), Absent},
		{"windows", syscall.Errno(8), Full},
		{"windows", syscall.Errno(234), Failed},
		{"windows", syscall.Errno(5), Failed},
		{"linux", keyring.ErrUnsupportedPlatform, Absent},
		{"linux", keyring.ErrSetDataTooBig, TooBig},
		{"linux", errors.New("failed to unlock correct collection '/org/freedesktop/secrets/collection/login'"), Locked},
		{"linux", syscall.Errno(8), Failed}, // means something else there
		{"linux", exit(44), Failed},
	}
	for _, test := range tests {
		fail := func(string, *string) (bool, error) { return true, test.err }
		for name, call := range map[string]func(*Keychain) error{"load": load, "save": save("x"), "delete": remove, "probe": probe} {
			if name == "save" || name == "probe" {
				if test.want == "" {
					continue // nothing can be missing where it is written
				}
			}
			err := call(newFakeKeychain(test.goos, &fakeRing{get: fail, set: fail, del: fail}))
			unavailable, ok := errors.AsType[*UnavailableError](err)
			switch {
			case test.want == "" && !errors.Is(err, ErrNotFound):
				t.Errorf("%s, %s of %v: %v, want ErrNotFound", test.goos, name, test.err, err)
			case test.want != "" && (!ok || unavailable.Reason != test.want):
				t.Errorf("%s, %s of %v: %v, want %q", test.goos, name, test.err, err, test.want)
			}
			if ok && (len(unavailable.Hints()) == 0 || strings.HasSuffix(err.Error(), ".") || strings.Contains(err.Error(), "\n")) {
				t.Errorf("hints %q for %q", unavailable.Hints(), err)
			}
		}
	}
}

type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
func (e exitError) ExitCode() int { return int(e) }

func TestKeychainProbesBeforeEveryCall(t *testing.T) {
	absent := &UnavailableError{Reason: Absent, Backend: "test"}
	r := &fakeRing{}
	k := newFakeKeychain("linux", r)
	k.probe = func(context.Context) (bool, error) { return false, absent }
	for name, call := range map[string]func(*Keychain) error{"load": load, "save": save("x"), "delete": remove, "probe": probe} {
		if err := call(k); !errors.Is(err, absent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := r.took(); got != "" {
		t.Errorf("go-keyring was called: %s", got)
	}
}

func TestKeychainName(t *testing.T) {
	for goos, want := range map[string]string{
		"linux": "Secret Service", "openbsd": "Secret Service", "darwin": "macOS Keychain", "windows": "Windows Credential Manager",
	} {
		if got := (&Keychain{goos: goos}).Name(); got != want {
			t.Errorf("%s: %q", goos, got)
		}
	}
}
