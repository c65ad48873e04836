package store

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"io/fs"
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
	filesName = "directory of large logins"
	keySize   = 32 // AES-256
)

// fileName is the name of a slot's file.
func fileName(key, slot string) string { return key + "." + slot }

// read returns what is in the file of a place, nil if that cannot be it.
func (f files) read(key string, p *place) (record []byte, err error) {
	aead, err := newAEAD(p.Key)
	if err != nil || f.dir == nil {
		return nil, nil
	}
	d, err := f.open(openDirectory)
	if err != nil {
		return nil, missing(err)
	}
	defer d.close()
	sealed, err := d.read(fileName(key, p.Slot), sealedMax)
	if err != nil {
		return nil, missing(err)
	}
	if record, err = aead.Open(nil, nil, sealed, []byte(key)); err != nil {
		return nil, nil
	}
	return record, nil
}

// write replaces the file of a place in one step, and reads it back.
func (f files) write(ctx context.Context, key string, p *place, record []byte) error {
	aead, err := newAEAD(p.Key)
	if err != nil {
		return err
	}
	d, err := f.open(createDirectory)
	if err != nil {
		return explainFile(filesName, err)
	}
	defer d.close()
	err = d.locked(ctx, func() error {
		return d.replace(fileName(key, p.Slot), aead.Seal(nil, nil, record, []byte(key)))
	})
	if err != nil {
		return explainFile(filesName, err)
	}
	if stored, err := f.read(key, p); err != nil || !bytes.Equal(stored, record) {
		return &UnavailableError{Reason: NotStored, Backend: filesName, Err: err}
	}
	return nil
}

// newAEAD never gets a key twice: each generation has a new one, and it seals one
// record.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// remove deletes the file of a slot, if there is one.
func (f files) remove(ctx context.Context, key, slot string) error {
	if f.dir == nil {
		return nil
	}
	path, err := f.dir()
	if err != nil {
		return nil
	}
	d, err := openDirectory(path)
	if err != nil {
		return nil // there is none, or none that was ever written to
	}
	defer d.close()
	if _, err := d.root.Lstat(fileName(key, slot)); err != nil {
		return missing(err) // nearly always, and then nobody need be waited for
	}
	return missing(d.locked(ctx, func() error { return d.remove(fileName(key, slot)) }))
}

// open returns the directory, once it is known that it is this user's alone.
func (f files) open(open func(string) (*directory, error)) (*directory, error) {
	path, err := f.dir()
	if err != nil {
		return nil, &UnavailableError{Reason: Absent, Backend: filesName, Err: err}
	}
	d, err := open(path)
	if err != nil {
		return nil, err
	}
	if err := d.private(); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// missing is no error for what is not there.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return explainFile(filesName, err)
}
