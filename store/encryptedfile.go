package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/oauth-login/oauth-login/grant"
)

// An EncryptedFile keeps each record in a file of its own, encrypted with age
// (age-encryption.org/v1): for machines without a keychain. Set Identity or
// Passphrase.
//
// The files are <key>.age in Dir, for this user alone (0600 in 0700). A file or
// directory that others can read or replace, that belongs to somebody else, or
// that is a symbolic link is refused, with the command that mends it. On Windows
// it is the access list of the user's profile directory that keeps others out,
// and nothing is checked.
//
// A file is written under another name, down to the disk, read back, and then
// given its name, so that a crash, a full disk or a loss of power leaves the old
// record or the new one. What a killed process has left is removed by the next
// that writes. A damaged file is kept as <key>.damaged when a new login takes its
// place.
//
// Encryption protects a disk or a backup that somebody else gets hold of. It
// does not protect from programs of the same user once they know the passphrase
// or can read the identity. Who can write to Dir and knows neither the identity
// nor its public key can bring back an older file, but cannot make one, nor pass
// one off as that of another login.
type EncryptedFile struct {
	// Dir is the directory; empty means "oauth-login/encrypted" in the user's
	// data directory: $XDG_DATA_HOME or ~/.local/share, on macOS ~/Library/
	// Application Support, on Windows %LocalAppData%. It is made when it is missing.
	Dir string
	// Identity is a file with age identities, as age-keygen writes it. Records
	// are encrypted to the first and decrypted with any of them.
	Identity string
	// Passphrase returns the passphrase; confirm says that a new one is being
	// chosen, and that the person should type it twice. It is called once as
	// long as the answer is right. The passphrase protects an identity that is
	// made at the first save, in the file identity.age: to change it, decrypt
	// that file with age and encrypt it with age -p. From Probe, or the first Save,
	// until that is written or the process ends, other processes are asked for it, and
	// refused with another one (WrongKey).
	Passphrase func(ctx context.Context, confirm bool) (grant.Secret, error)

	mu         sync.Mutex
	turn       chan struct{}      // held while a passphrase is being asked for
	held       func() *keys       // what was unlocked last; a function, so that it cannot be printed
	choice     func()             // gives up the right to choose the passphrase; nil for none
	workFactor int                // of a new passphrase; 0 means scryptWorkFactor
	before     func(string) error // directory.before
}

var _ Store = (*EncryptedFile)(nil)

const (
	encryptedFileName = "encrypted-file store"
	recordExtension   = ".age"
	damagedExtension  = ".damaged"
	locksName         = "locks"       // a directory
	markExtension     = ".refreshing" // a checksum of the file whose refresh was begun
	// sealedMax bounds what is read of one file.
	sealedMax = recordMax + 64<<10
)

// Name returns "encrypted-file store".
func (e *EncryptedFile) Name() string { return encryptedFileName }

// Directory returns Dir, or what it means when it is empty.
func (e *EncryptedFile) Directory() (string, error) {
	if e.Dir != "" {
		return e.Dir, nil
	}
	data, err := userDataDir()
	if err != nil {
		return "", homeless(encryptedFileName, err)
	}
	return filepath.Join(data, "oauth-login", "encrypted"), nil
}

// Load returns the record under key. Where there is none, it asks for no
// passphrase.
func (e *EncryptedFile) Load(ctx context.Context, key string) (record []byte, err error) {
	defer e.explain(&err)
	d, err := e.open(ctx, key, openDirectory)
	if err != nil {
		return nil, notFound(err)
	}
	defer d.close()
	sealed, err := d.read(key+recordExtension, sealedMax)
	if err != nil {
		return nil, notFound(err)
	}
	keys, err := e.unlock(ctx, d, false)
	if err != nil {
		return nil, err
	}
	return keys.open(filepath.Join(d.path, key+recordExtension), key, sealed)
}

// Save replaces the record under key.
func (e *EncryptedFile) Save(ctx context.Context, key string, record []byte) (err error) {
	defer e.explain(&err)
	d, err := e.open(ctx, key, createDirectory)
	if err != nil {
		return err
	}
	defer d.close()
	keys, err := e.unlock(ctx, d, true)
	if err != nil {
		return err
	}
	return d.locked(ctx, func() error {
		keys, missing, err := e.settle(ctx, d, keys)
		if err != nil {
			return err
		}
		if err := setAside(d, keys, key); err != nil {
			return err
		}
		if missing {
			if err := d.replace(identityName, keys.wrapped); err != nil {
				return err
			}
		}
		sealed, err := keys.seal(key, record)
		if err != nil {
			return err
		}
		if err := d.replace(key+recordExtension, sealed); err != nil {
			return err
		}
		d.delete(key + markExtension) // it is of another record now; if it stays, nobody believes it
		e.settleChoice()
		return nil
	})
}

// setAside looks at the record that is about to be replaced. One of another key
// or of a newer version is not given up; one that is damaged gets another name.
func setAside(d *directory, keys *keys, key string) error {
	name := key + recordExtension
	sealed, err := d.read(name, sealedMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		_, err = keys.open(filepath.Join(d.path, name), key, sealed)
	}
	if _, damaged := errors.AsType[*DamagedError](err); damaged {
		return d.rename(name, key+damagedExtension)
	}
	return err
}

// Delete removes the record under key. It needs no passphrase.
func (e *EncryptedFile) Delete(ctx context.Context, key string) (err error) {
	defer e.explain(&err)
	d, err := e.open(ctx, key, openDirectory)
	if err != nil {
		return notFound(err)
	}
	defer d.close()
	return d.locked(ctx, func() error {
		found := false
		for _, name := range []string{key + markExtension, key + damagedExtension, key + recordExtension} {
			err := d.remove(name)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			found = found || err == nil && name != key+markExtension
		}
		if !found {
			return ErrNotFound
		}
		return forgetPassphrase(d)
	})
}

// forgetPassphrase removes the identity when there is no record left that it
// could open, so that the next passphrase can be another.
func forgetPassphrase(d *directory) error {
	names, err := d.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != identityName && (strings.HasSuffix(name, recordExtension) || strings.HasSuffix(name, damagedExtension)) {
			return nil
		}
	}
	if err := d.remove(identityName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Probe tells whether a record could be saved. It asks for the passphrase, so
// that a wrong one is found before the person signs in. A new one is not written
// before there is something to save.
func (e *EncryptedFile) Probe(ctx context.Context) (err error) {
	defer e.explain(&err)
	d, err := e.open(ctx, noKey, createDirectory)
	if err != nil {
		return err
	}
	defer d.close()
	if _, err := e.unlock(ctx, d, true); err != nil {
		return err
	}
	return d.locked(ctx, func() error { return d.try(spareSize) })
}

const (
	noKey     = "00000000000000000000000000000000"
	spareSize = 32 << 10 // bytes; most logins are smaller
)

// Preflight proves that the record under key could be replaced, also by one
// that is somewhat larger, before its refresh token is spent, and marks that a
// refresh of it has begun. Without a record, the error is ErrNotFound.
func (e *EncryptedFile) Preflight(ctx context.Context, key string) (err error) {
	defer e.explain(&err)
	d, err := e.open(ctx, key, openDirectory)
	if err != nil {
		return notFound(err)
	}
	defer d.close()
	if _, err := d.root.Lstat(key + recordExtension); err != nil {
		return notFound(err)
	}
	if _, err := e.unlock(ctx, d, false); err != nil {
		return err
	}
	return d.locked(ctx, func() error {
		sealed, err := d.read(key+recordExtension, sealedMax)
		if err != nil {
			return notFound(err)
		}
		if err := d.try(len(sealed) + spareSize); err != nil {
			return err
		}
		return d.replace(key+markExtension, []byte(checksum(sealed)))
	})
}

// Interrupted reports whether a refresh of the record under key was begun, by
// Preflight, and what came of it never saved: its refresh token may be spent.
func (e *EncryptedFile) Interrupted(ctx context.Context, key string) (interrupted bool, err error) {
	defer e.explain(&err)
	d, err := e.open(ctx, key, openDirectory)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer d.close()
	sealed, err := d.read(key+recordExtension, sealedMax)
	if err == nil {
		var mark []byte
		mark, err = d.read(key+markExtension, sealedMax)
		interrupted = err == nil && string(mark) == checksum(sealed)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return interrupted, err
}

// Refused takes the mark of Preflight back: the server has refused the refresh, so
// nothing was spent, and Interrupted has nothing to explain.
func (e *EncryptedFile) Refused(ctx context.Context, key string) (err error) {
	defer e.explain(&err)
	d, err := e.open(ctx, key, openDirectory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.close()
	return d.locked(ctx, func() error {
		err := d.remove(key + markExtension)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	})
}

// Lock waits for the lock of that name, which is a file in Dir: it has to keep
// apart whoever uses these files, on whatever machine or in whatever container.
func (e *EncryptedFile) Lock(ctx context.Context, name string) (unlock func(), err error) {
	files, err := e.fileLocks()
	if err != nil {
		return nil, err
	}
	return files.Lock(ctx, name)
}

func (e *EncryptedFile) fileLocks() (fileLocks, error) {
	dir, err := e.Directory()
	return fileLocks{filepath.Join(dir, locksName)}, err
}

// open opens the directory with openOrCreate and makes sure that it is private.
func (e *EncryptedFile) open(ctx context.Context, key string, openOrCreate func(string) (*directory, error)) (*directory, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !isItemKey(key) {
		return nil, fmt.Errorf("%w: %q is no key of a record", grant.ErrArgument, key)
	}
	if (e.Identity == "") == (e.Passphrase == nil) {
		return nil, fmt.Errorf("%w: an EncryptedFile needs either Identity or Passphrase", grant.ErrArgument)
	}
	path, err := e.Directory()
	if err != nil {
		return nil, err
	}
	d, err := openOrCreate(path)
	if err != nil {
		return nil, err
	}
	d.before = e.before
	if err := d.private(); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// isItemKey keeps keys from being other file names than those of records.
func isItemKey(key string) bool {
	return len(key) == len(noKey) && strings.Trim(key, "0123456789abcdef") == ""
}

func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	return err
}

// userDataDir is for data what os.UserConfigDir is for settings.
func userDataDir() (string, error) {
	switch runtime.GOOS {
	case "windows":
		return os.UserCacheDir() // %LocalAppData%
	case "darwin", "ios":
		return os.UserConfigDir() // ~/Library/Application Support
	}
	// XDG Base Directory Specification: a relative path is to be ignored.
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return data, nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "share"), err
}
