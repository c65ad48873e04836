package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// A directory holds files that are replaced in one step: a reader sees the old
// text or the new one, and so does whoever comes after a crash. It is opened
// once, so that nobody can put another one in its place meanwhile. Whoever
// changes a file holds the lock.
type directory struct {
	path string
	root *os.Root
	// before is called before each change; an error stands for that of the
	// change. Only tests have one.
	before func(change string) error
	// patience is how long to wait for another process; 0 means lockTimeout.
	patience time.Duration
	// volatile is for files that can be made again: they need not be there after a
	// loss of power, and are not waited for.
	volatile bool
}

const (
	lockName   = ".lock" // never removed: a lock on a removed file excludes nobody
	tempPrefix = ".new-"
)

// How long to wait for another process that changes a file, which takes some
// milliseconds, and how often to look.
const (
	lockTimeout = 10 * time.Second
	lockPoll    = 5 * time.Millisecond
)

// openDirectory fails with fs.ErrNotExist where there is none.
func openDirectory(path string) (*directory, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &directory{path: path, root: root}, nil
}

// createDirectory opens a directory after making it where it is missing.
func createDirectory(path string) (*directory, error) {
	if err := makeDirectories(path); err != nil {
		return nil, err
	}
	return openDirectory(path)
}

// makeDirectories is os.MkdirAll for this user alone, and survives a loss of
// power.
func makeDirectories(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeDirectories(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	above, err := os.Open(parent)
	if err != nil {
		return nil // it may be searched, but not read
	}
	defer above.Close()
	return syncDirectory(above)
}

func (d *directory) close() { d.root.Close() }

// lock waits until no other process changes files here.
func (d *directory) lock(ctx context.Context) (unlock func(), err error) {
	patience := cmp.Or(d.patience, lockTimeout)
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	file := flock.New(filepath.Join(d.path, lockName))
	locked, err := file.TryLockContext(bounded, lockPoll)
	if locked {
		return func() { file.Close() }, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if bounded.Err() != nil {
		return nil, &UnavailableError{Reason: TimedOut, Err: fmt.Errorf("another process has held %s for %v", file.Path(), patience),
			Hint: "end the process that holds it; it may have been stopped"}
	}
	return nil, err
}

// locked changes files while no other process does, after it has removed what
// processes have left that were killed while they wrote.
func (d *directory) locked(ctx context.Context, change func() error) error {
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.tidy(); err != nil {
		return err
	}
	return change()
}

// private refuses a directory that other users can look into or replace.
func (d *directory) private() error {
	named, err := os.Lstat(d.path)
	if err != nil {
		return err
	}
	opened, err := d.root.Stat(".")
	if err != nil {
		return err
	}
	if !os.SameFile(named, opened) {
		return unsafe("name the directory that it leads to", "%s is a symbolic link", d.path)
	}
	return checkOwner(d.path, opened)
}

// ours refuses a directory that other users can change. They may look into it, and
// it may be in the place that a symbolic link leads to, as files of settings are.
func (d *directory) ours() error {
	opened, err := d.root.Stat(".")
	if err != nil {
		return err
	}
	return checkWriters(d.path, opened)
}

// read returns a file of this user's that nobody else can read or change.
func (d *directory) read(name string, limit int64) ([]byte, error) {
	path := filepath.Join(d.path, name)
	named, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	// Looked at before, as opening a pipe may take for ever. Between here and
	// there another process may replace the file, which is how files are written
	// here; nobody else can, in a private directory.
	if !named.Mode().IsRegular() {
		return nil, unsafe("remove it", "%s is not a regular file", path)
	}
	file, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	opened, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkOwner(path, opened); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(file, limit))
}

// replace writes a file and makes sure that it stays written. When it fails,
// the old one is still there. The caller holds the lock.
func (d *directory) replace(name string, data []byte) error {
	temp, err := d.writeTemp(data)
	if err != nil {
		return err
	}
	if err = d.rename(temp, name); err != nil {
		d.delete(temp) // is not there any more if only the sync has failed
	}
	return err
}

// writeTemp writes a file of a new name, down to the disk, and reads it back.
func (d *directory) writeTemp(data []byte) (name string, err error) {
	if err := d.step("create"); err != nil {
		return "", err
	}
	name = tempPrefix + rand.Text()
	file, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	err = d.fill(file, data)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		d.delete(name)
		return "", err
	}
	return name, nil
}

func (d *directory) fill(file *os.File, data []byte) error {
	if err := d.step("write"); err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		return err
	}
	if err := d.step("sync"); err != nil {
		return err
	}
	if d.volatile {
		return nil
	}
	if err := file.Sync(); err != nil {
		return err
	}
	stored := make([]byte, len(data))
	if _, err := file.ReadAt(stored, 0); err != nil {
		return err
	}
	if !bytes.Equal(stored, data) {
		return &UnavailableError{Reason: NotStored}
	}
	return nil
}

// try proves that a file of some size could be written, and leaves nothing. The
// caller holds the lock.
func (d *directory) try(size int) error {
	data := make([]byte, size)
	rand.Read(data) // never fails; some file systems take any number of zeros
	temp, err := d.writeTemp(data)
	if err != nil {
		return err
	}
	return d.delete(temp)
}

// rename gives a file another name. The caller holds the lock.
func (d *directory) rename(from, to string) error {
	if err := d.step("rename"); err != nil {
		return err
	}
	if err := d.root.Rename(from, to); err != nil {
		return err
	}
	return d.sync()
}

// remove deletes a file for good. The caller holds the lock.
func (d *directory) remove(name string) error {
	if err := d.step("remove"); err != nil {
		return err
	}
	if err := d.delete(name); err != nil {
		return err
	}
	return d.sync()
}

// tidy removes files that nobody is writing any more. The caller holds the lock.
func (d *directory) tidy() error {
	names, err := d.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, tempPrefix) {
			continue
		}
		if err := d.delete(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// names returns the names of all files.
func (d *directory) names() ([]string, error) {
	self, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer self.Close()
	return self.Readdirnames(-1)
}

// sync makes new, changed and removed names survive a loss of power.
func (d *directory) sync() error {
	if err := d.step("sync directory"); err != nil || d.volatile {
		return err
	}
	self, err := d.root.Open(".")
	if err != nil {
		return err
	}
	defer self.Close()
	return syncDirectory(self)
}

func syncDirectory(open *os.File) error {
	if runtime.GOOS == "windows" { // has no such call; the rename is in NTFS's journal
		return nil
	}
	return open.Sync()
}

// errorInvalidFunction is what Wine 8 (Debian 12, 2026) says to a deletion by
// os.Root, of which it knows only the older kind.
const errorInvalidFunction = syscall.Errno(1)

// delete removes a name.
func (d *directory) delete(name string) error {
	err := d.root.Remove(name)
	if runtime.GOOS == "windows" && errors.Is(err, errorInvalidFunction) {
		return os.Remove(filepath.Join(d.path, name))
	}
	return err
}

func (d *directory) step(change string) error {
	if d.before == nil {
		return nil
	}
	return d.before(change)
}
