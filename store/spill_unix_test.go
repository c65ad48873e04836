//go:build unix

package store

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// A record that is too large for the keychain is in a file that is worth nothing
// without it.
func TestLargeRecordsAreInPrivateFiles(t *testing.T) {
	r := exactly("darwin")
	k := newFakeKeychain("darwin", r)
	k.dataDir = filepath.Join(t.TempDir(), "deep", "records")
	record := recordOf("hunter2", 100_000)
	roundTrip(t, k, record)
	for name, mode := range map[string]os.FileMode{"": os.ModeDir | 0o700, testKey + ".a": 0o600} {
		info, err := os.Stat(filepath.Join(k.dataDir, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%q has the mode %v, want %v; %v", name, info.Mode(), mode, err)
		}
	}
	sealed, err := os.ReadFile(filepath.Join(k.dataDir, testKey+".a"))
	if err != nil || bytes.Contains(sealed, []byte("hunter2")) {
		t.Errorf("the file holds the record, %v", err)
	}
	again := newFakeKeychain("darwin", r) // a new process
	again.dataDir = k.dataDir
	if got, err := again.Load(t.Context(), testKey); err != nil || !bytes.Equal(got, record) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	roundTrip(t, k, record)
	before := sealed
	if sealed, err = os.ReadFile(filepath.Join(k.dataDir, testKey+".b")); err != nil || bytes.Contains(sealed, before[len(before)-100:]) {
		t.Errorf("the same record is sealed with the same key, %v", err)
	}
	assertDeleted(t, k, r)
}

// The file of one login does not pass for that of another, whoever exchanges them.
func TestLargeRecordsCannotBeExchanged(t *testing.T) {
	r := exactly("windows")
	k := newFakeKeychain("windows", r)
	k.dataDir = filepath.Join(t.TempDir(), "records")
	const other = "f123456789abcdef0123456789abcdef"
	roundTrip(t, k, recordOf("x", 100_000))
	r.items[service+":"+other+".a.0"] = r.items[service+":"+testKey+".a.0"]
	if err := os.Rename(filepath.Join(k.dataDir, testKey+".a"), filepath.Join(k.dataDir, other+".a")); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Load(t.Context(), other); !errors.As(err, new(*DamagedError)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Where a file cannot be written, the old record stays, and small ones need none.
func TestLargeRecordThatCannotBeSaved(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"loose permissions": func(dir string) error { return errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, 0o755)) },
		"a symbolic link":   func(dir string) error { return os.Symlink(t.TempDir(), dir) },
		"a file":            func(dir string) error { return os.WriteFile(dir, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			r := exactly("windows")
			k := newFakeKeychain("windows", r)
			k.dataDir = filepath.Join(t.TempDir(), "records")
			roundTrip(t, k, recordOf("old", 100))
			if err := spoil(k.dataDir); err != nil {
				t.Fatal(err)
			}
			before := maps.Clone(r.items)
			err := k.Save(t.Context(), testKey, recordOf("new", 100_000))
			unavailable, ok := errors.AsType[*UnavailableError](err)
			if !ok || unavailable.Backend != filesName || len(unavailable.Hints()) == 0 {
				t.Errorf("error %v", err)
			}
			delete(r.items, service+":"+testKey+".b.0") // which may be new
			if !maps.Equal(r.items, before) {
				t.Errorf("the keychain has changed: %d items", len(r.items))
			}
			roundTrip(t, k, recordOf("new", 100))
		})
	}
}
