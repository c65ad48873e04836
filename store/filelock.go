package store

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// The lock of a file cannot be waited for together with a context, so it is
// asked for again and again. The part that is chance keeps processes that were
// started together from asking together.
const (
	lockPause  = 25 * time.Millisecond
	lockJitter = 25 * time.Millisecond
)

// fileLocks are the locks of a directory: one file for each name. The kernel
// releases a lock when its process ends, however that ends. The files stay: a
// process that waits for a file that another then deletes would hold a lock that
// nobody else sees.
type fileLocks struct {
	dir string // empty means the one of this user
}

var _ locker = fileLocks{}

// Lock waits for the lock, until ctx ends. An error other than "busy" is never
// passed over: without the lock, a refresh token could be spent twice.
func (l fileLocks) Lock(ctx context.Context, name string) (unlock func(), err error) {
	for {
		if unlock, err = l.try(name); unlock != nil || err != nil {
			return unlock, err
		}
		select {
		case <-time.After(lockPause + rand.N(lockJitter)):
		case <-ctx.Done():
			dir, _ := l.place()
			return nil, &LockError{Path: lockFile(dir, name), Busy: true}
		}
	}
}

// try takes the lock if nobody has it, and else returns nil. So it does where the
// file was removed meanwhile, by whom ever: such a lock excludes nobody, and the next
// try finds the new file.
func (l fileLocks) try(name string) (unlock func(), err error) {
	dir, err := l.directory()
	if err != nil {
		return nil, &LockError{Path: dir, Err: err}
	}
	path := lockFile(dir, name)
	file := flock.New(path) // never one that was used before: it would let us in again
	locked, err := file.TryLock()
	switch {
	case err != nil:
		return nil, &LockError{Path: path, Err: err}
	case !locked:
		return nil, nil
	case !inPlace(file):
		file.Unlock()
		return nil, nil
	}
	return func() { file.Unlock() }, nil
}

func lockFile(dir, name string) string { return filepath.Join(dir, name+".lock") }

// inPlace reports whether others who ask for the lock will find this file. What
// cleans caches and temporary directories spares files of late.
func inPlace(file *flock.Flock) bool {
	locked, err := file.Stat()
	if err != nil {
		return false
	}
	found, err := os.Stat(file.Path())
	if err != nil || !os.SameFile(locked, found) {
		return false
	}
	_ = os.Chtimes(file.Path(), time.Now(), time.Now()) // not needed for the lock itself
	return true
}

// directory returns the directory of the lock files, which is made where it is
// missing. Nobody but its owner may write to it.
func (l fileLocks) directory() (dir string, err error) {
	if dir, err = l.place(); err != nil {
		return dir, err
	}
	if err := makeDirectories(dir); err != nil {
		return dir, err
	}
	return dir, checkPrivate(dir)
}

// place is where the directory is, or has to be.
func (l fileLocks) place() (dir string, err error) {
	if l.dir != "" {
		return l.dir, nil
	}
	return userLocks()
}
