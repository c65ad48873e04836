package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/oauth-login/oauth-login/grant"
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
//
// On macOS and Windows, a record of more than 64 KiB is in an encrypted file, and
// its key in the keychain. The file is in oauth-login/records, below the user's
// ~/Library/Application Support or local application data.
type Keychain struct {
	// Timeout bounds each step of a call that no person has a part in; 0 means 3
	// seconds.
	Timeout time.Duration
	// PromptTimeout bounds each step of a call for which the keychain may ask the
	// person for a password; 0 means 60 seconds.
	PromptTimeout time.Duration
	// Waiting is called once for a call that may have to wait for the person and
	// has done so for a second, with the name of the keychain; nil for nothing.
	// The person may be looking for a window that asks for a password.
	Waiting func(name string)

	ring  ring                                            // nil means go-keyring
	probe func(context.Context) (prompts bool, err error) // nil means that of the platform
	goos  string                                          // empty means runtime.GOOS
	// dataDir is for what is too large for the keychain; empty means that of the
	// user.
	dataDir string

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

// Names of items, beside those in slots.
const (
	service      = "oauth-login"
	markSuffix   = ".w" // that a refresh has begun
	canarySuffix = ".c"
)

const (
	defaultTimeout       = 3 * time.Second
	defaultPromptTimeout = time.Minute
	waitingAfter         = time.Second
)

// Load returns the record under key, of any size: with one read of the keychain
// where the record fits into an item.
func (k *Keychain) Load(ctx context.Context, key string) (record []byte, err error) {
	return k.call(ctx, func(s *steps) ([]byte, error) { return k.slots(s, key).load() })
}

// Save replaces the record under key, of any size up to 1 MiB. It has to be
// printable ASCII on one line. Whatever happens meanwhile, the old record is there
// or the new one, and when Save returns nil, the new one was read back. A record
// that a newer version of this package has saved is left alone: ErrNewer.
func (k *Keychain) Save(ctx context.Context, key string, record []byte) error {
	if len(record) == 0 || !printableASCII(record) {
		return fmt.Errorf("%w: a record is printable ASCII on one line", grant.ErrArgument)
	}
	if len(record) > recordMax {
		return k.unavailable(TooBig, fmt.Errorf("it takes %d bytes, the limit is 1 MiB", len(record)))
	}
	record = bytes.Clone(record) // a step of a call that was given up may still use it
	_, err := k.call(ctx, func(s *steps) ([]byte, error) { return nil, k.slots(s, key).save(ctx, record) })
	return err
}

// Delete removes everything that is stored under key and makes sure that the
// record is gone. It also removes what a crash has left, even where there is no
// record: ErrNotFound.
func (k *Keychain) Delete(ctx context.Context, key string) error {
	_, err := k.call(ctx, func(s *steps) ([]byte, error) { return nil, k.slots(s, key).delete(ctx) })
	return err
}

func (k *Keychain) slots(s *steps, key string) *slots {
	l := limitsOf(k.system())
	if l.parts == recordMax {
		return &slots{steps: s, key: key, limits: l}
	}
	dir := userData
	if k.dataDir != "" {
		dir = func() (string, error) { return k.dataDir, nil }
	}
	return &slots{steps: s, key: key, limits: l, files: files{dir}}
}

// Probe writes, reads and removes an item of its own. The error is that of a
// Save, but it comes before there is anything to lose.
func (k *Keychain) Probe(ctx context.Context) error {
	name := make([]byte, 16)
	rand.Read(name) // never fails
	user := hex.EncodeToString(name) + canarySuffix
	_, err := k.call(ctx, func(s *steps) ([]byte, error) {
		if _, err := s.get(user); err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		err := s.write(user, rand.Text())
		if err == nil {
			err = s.erase(user)
		}
		if err != nil { // also when the call was given up: nobody else has the name
			_ = try(func() error { return s.ring.Delete(service, user) })
		}
		return nil, err
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

func (k *Keychain) unavailable(reason Reason, err error) error {
	return &UnavailableError{Reason: reason, Backend: k.Name(), Err: err}
}
