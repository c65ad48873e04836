package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// files keeps the records that are too large for the keychain of a system, one
// file for each slot. A file is encrypted with a key of its own, which is in the
// keychain: in the head of the generation. So it is worth nothing without, and
// as a head is never in force before its file is there, the two cannot disagree.
//
// The directory belongs to the user, as the keychain does, whatever variables
// such as HOME say.
type files struct {
	dir func() (string, error) // nil where no record is kept in a file
}

const (
	keySize  = 32 // AES-256
	tempName = ".new"
)

// read returns what is in the file of a place, nil if that cannot be it.
func (f files) read(key string, p *place) ([]byte, error) {
	aead, err := newAEAD(p.Key)
	if err != nil || f.dir == nil {
		return nil, nil
	}
	dir, err := f.dir()
	if err != nil {
		return nil, f.failed(err)
	}
	sealed, err := os.ReadFile(fileName(dir, key, p.Slot))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, f.failed(err)
	}
	record, err := aead.Open(nil, nil, sealed, []byte(key))
	if err != nil {
		return nil, nil
	}
	return record, nil
}

// write replaces the file of a place, in one step that lasts.
func (f files) write(key string, p *place, record []byte) error {
	dir, err := f.dir()
	if err != nil {
		return f.failed(err)
	}
	aead, err := newAEAD(p.Key)
	if err != nil {
		return err
	}
	if err := replaceFile(fileName(dir, key, p.Slot), aead.Seal(nil, nil, record, []byte(key))); err != nil {
		return f.failed(err)
	}
	if stored, err := f.read(key, p); err != nil || !bytes.Equal(stored, record) {
		return &UnavailableError{Reason: NotStored, Backend: f.name(), Err: err}
	}
	return nil
}

// newAEAD never uses a key twice: each generation has a new one, and it seals one
// record.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// remove deletes the file of a slot, and what a crash has left of it.
func (f files) remove(key, slot string) error {
	if f.dir == nil {
		return nil
	}
	dir, err := f.dir()
	if err != nil {
		return nil // nothing can have been written
	}
	path := fileName(dir, key, slot)
	for _, name := range []string{path + tempName, path} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return f.failed(err)
		}
	}
	return nil
}

func fileName(dir, key, slot string) string { return filepath.Join(dir, key+"."+slot) }

// replaceFile writes a file beside the one to be replaced, and down to the disk
// before it takes its place.
func replaceFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp := path + tempName
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
		return err
	}
	return syncDir(dir)
}

func (f files) name() string { return "directory of large logins" }

func (f files) failed(err error) error {
	return &UnavailableError{Reason: Failed, Backend: f.name(), Err: err}
}
