package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A new passphrase is chosen before the person signs in, and written with the first
// login after that. Meanwhile others must not choose another one: theirs could not be
// written any more, and their logins would be lost. So whoever chooses holds a lock
// until the login is saved, or the process ends, and leaves the identity that the
// passphrase protects beside the lock, for those who know the same passphrase. Of
// no lock, it means nothing.
const (
	choiceLock = "identity"        // no key of a record
	choiceName = "identity.chosen" // beside the lock
	choiceWait = 10 * time.Second  // for somebody who types
)

// chosen returns the keys for a new passphrase: those that were chosen here before,
// those of another process that the person knows the passphrase of, or new ones.
func (e *EncryptedFile) chosen(ctx context.Context, d *directory, held *keys) (*keys, error) {
	if held != nil && e.hasChoice() {
		return held, nil
	}
	others, release, err := e.takeChoice(ctx, d)
	if err != nil {
		return nil, err
	}
	if release == nil {
		return e.join(ctx, d, held, others)
	}
	k := held
	if k == nil {
		k, err = e.choose(ctx)
	}
	if err == nil {
		err = e.announce(k)
	}
	if err != nil {
		release()
		return nil, err
	}
	e.holdChoice(release)
	return k, nil
}

// takeChoice waits until this process may choose, and returns release then; or until
// it is known what another one has chosen.
func (e *EncryptedFile) takeChoice(ctx context.Context, d *directory) (others []byte, release func(), err error) {
	locks, err := e.fileLocks()
	if err != nil {
		return nil, nil, err
	}
	limited, cancel := context.WithTimeout(ctx, choiceWait)
	defer cancel()
	for {
		release, err := locks.try(choiceLock)
		if err != nil {
			return nil, nil, err
		}
		others, readErr := d.read(identityName, identityMax)
		if readErr == nil { // saved since
			if release != nil {
				release()
			}
			return others, nil, nil
		}
		if release != nil {
			os.Remove(e.choiceFile()) // of a process that has ended
			return nil, release, nil
		}
		others, readErr = d.read(filepath.Join(locksName, choiceName), identityMax)
		if !errors.Is(readErr, fs.ErrNotExist) {
			return others, nil, readErr
		}
		select {
		case <-time.After(lockPause):
		case <-limited.Done():
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
			return nil, nil, &UnavailableError{Reason: Locked, Err: errors.New("another process is choosing the passphrase"),
				Hint: "run the command again when that one has signed in"}
		}
	}
}

// join returns the keys of what another process has chosen.
func (e *EncryptedFile) join(ctx context.Context, d *directory, held *keys, others []byte) (*keys, error) {
	if held != nil && bytes.Equal(held.wrapped, others) {
		return held, nil
	}
	var k *keys
	var err error
	if held != nil {
		k, err = e.unwrap(ctx, d, others, held.passphrase)
	} else {
		k, err = e.ask(ctx, d, others)
	}
	if wrong, ok := errors.AsType[*UnavailableError](err); ok && wrong.Reason == WrongKey {
		wrong.Err = fmt.Errorf("another process has just chosen another passphrase for the logins in %s", d.path)
		wrong.Hint = "run the command again with that passphrase"
	}
	return k, err
}

// announce leaves what was chosen for others, in one step. The caller has the choice.
func (e *EncryptedFile) announce(k *keys) error {
	name := e.choiceFile()
	if err := os.WriteFile(name+".new", k.wrapped, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

func (e *EncryptedFile) choiceFile() string {
	dir, err := e.Directory()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, locksName, choiceName)
}

func (e *EncryptedFile) hasChoice() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.choice != nil
}

func (e *EncryptedFile) holdChoice(release func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.choice = release
}

// settleChoice gives the choice back when the identity is written.
func (e *EncryptedFile) settleChoice() {
	e.mu.Lock()
	release := e.choice
	e.choice = nil
	e.mu.Unlock()
	if release != nil {
		os.Remove(e.choiceFile())
		release()
	}
}
