package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/zalando/go-keyring"
)

// A Keychain is the keychain of the operating system: a Secret Service (such as
// gnome-keyring, KWallet or KeePassXC) on Linux and BSD, Keychain on macOS, the
// Credential Manager on Windows. Its zero value is ready for use.
//
// Every call ends, whatever the keychain does. A step of it that is under way
// then goes on in the background, as nothing can stop it; no other one is begun.
// Until it returns, further calls fail at once, and Settled tells other processes'
// sake of a write: so it cannot overwrite what a later one has written.
//
// Each write is read back before it counts, because keychains report success
// for what they did not store.
type Keychain struct {
	// Timeout bounds each step of a call that no person has a part in; 0 means 3
	// seconds.
	Timeout time.Duration
	// PromptTimeout bounds each step of a call for which the keychain may ask the
	// person for a password; 0 means 60 seconds.
	PromptTimeout time.Duration
	// Waiting is called once for a call that takes longer than a second, with
	// the name of the keychain; nil for nothing. The person may be looking for
	// a window that asks for a password.
	Waiting func(name string)

	ring  ring                                            // nil means go-keyring
	probe func(context.Context) (prompts bool, err error) // nil means that of the platform
	goos  string                                          // empty means runtime.GOOS

	mu    sync.Mutex
	turn  chan struct{} // one call at a time
	stuck int           // calls that took too long and have not come back
	// unsettled is closed at the end of a write that was given up, and nil when
	// there is none.
	unsettled chan struct{}
}

var _ Store = (*Keychain)(nil)

// ring is the part of go-keyring that is used. Its functions cannot be stopped.
type ring interface {
	Get(service, user string) (string, error)
	Set(service, user, secret string) error
	Delete(service, user string) error
}

type osRing struct{}

func (osRing) Get(service, user string) (string, error) { return keyring.Get(service, user) }
func (osRing) Set(service, user, secret string) error   { return keyring.Set(service, user, secret) }
func (osRing) Delete(service, user string) error        { return keyring.Delete(service, user) }

// Names of items. On Windows "service:user" is the whole name, so neither has a
// colon.
const (
	service      = "oauth-login"
	recordSuffix = ".a.0" // slot a, part 0: where the only part of a record is
	markSuffix   = ".w"   // that a refresh has begun
	canarySuffix = ".c"
)

const (
	defaultTimeout       = 3 * time.Second
	defaultPromptTimeout = time.Minute
	waitingAfter         = time.Second
)

// Load returns the record under key: one read of the keychain.
func (k *Keychain) Load(ctx context.Context, key string) ([]byte, error) {
	record, err := k.call(ctx, func(s *steps) (string, error) { return s.get(key + recordSuffix) })
	if err != nil {
		return nil, err
	}
	return []byte(record), nil
}

// Save replaces the record under key and reads it back.
func (k *Keychain) Save(ctx context.Context, key string, record []byte) error {
	user := key + recordSuffix
	// Checked here: on macOS go-keyring finds out too late and leaves a process
	// behind, and at one length it reports success for a failure.
	if most := maxSecret(k.system(), service, user); len(record) > most {
		return k.unavailable(TooBig, fmt.Errorf("it takes %d bytes, the limit is %d", len(record), most))
	}
	_, err := k.call(ctx, func(s *steps) (string, error) {
		if _, err := s.get(user); err != nil && !errors.Is(err, ErrNotFound) {
			return "", err
		}
		return "", s.write(user, string(record))
	})
	return err
}

// Delete removes the record under key and makes sure that it is gone.
func (k *Keychain) Delete(ctx context.Context, key string) error {
	_, err := k.call(ctx, func(s *steps) (string, error) {
		if _, err := s.get(key + recordSuffix); err != nil {
			return "", err
		}
		if err := s.erase(key + recordSuffix); err != nil {
			return "", err
		}
		err := s.del(key + markSuffix)
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return "", err
	})
	return err
}

// Probe writes, reads and removes an item of its own. The error is that of a
// Save, but it comes before there is anything to lose.
func (k *Keychain) Probe(ctx context.Context) error {
	name := make([]byte, 16)
	rand.Read(name) // never fails
	user := hex.EncodeToString(name) + canarySuffix
	_, err := k.call(ctx, func(s *steps) (string, error) {
		if _, err := s.get(user); err != nil && !errors.Is(err, ErrNotFound) {
			return "", err
		}
		err := s.write(user, rand.Text())
		if err == nil {
			err = s.erase(user)
		}
		if err != nil { // also when the call was given up: nobody else has the name
			_ = try(func() error { return s.ring.Delete(service, user) })
		}
		return "", err
	})
	if errors.Is(err, ErrNotFound) {
		return k.unavailable(NotStored, errors.New("an item was gone at once"))
	}
	return err
}

// Name returns what people call the keychain of this system.
func (k *Keychain) Name() string {
	switch k.system() {
	case "windows":
		return windowsVault
	case "darwin", "ios":
		return macKeychain
	default:
		return secretService
	}
}

const (
	secretService = "Secret Service"
	macKeychain   = "macOS Keychain"
	windowsVault  = "Windows Credential Manager"
)

func (k *Keychain) system() string {
	if k.goos != "" {
		return k.goos
	}
	return runtime.GOOS
}

// ready finds out whether the keychain may be called, and how long a call may
// take. go-keyring must not be called before: without a session bus it starts
// stray daemons, and with a dead one it never returns.
func (k *Keychain) ready(ctx context.Context) (limit time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	limit, promptLimit := k.Timeout, k.PromptTimeout
	if limit == 0 {
		limit = defaultTimeout
	}
	if promptLimit == 0 {
		promptLimit = defaultPromptTimeout
	}
	k.mu.Lock()
	stuck := k.stuck > 0
	k.mu.Unlock()
	if stuck {
		return 0, k.unavailable(TimedOut, errors.New("an earlier call has not come back"))
	}
	probe := k.probe
	if probe == nil {
		probe = probePlatform
	}
	prompts, err := probe(ctx)
	if err != nil {
		return 0, err
	}
	if prompts {
		return max(limit, promptLimit), nil
	}
	return limit, nil
}

func (k *Keychain) unavailable(reason Reason, err error) error {
	return &UnavailableError{Reason: reason, Backend: k.Name(), Err: err}
}
