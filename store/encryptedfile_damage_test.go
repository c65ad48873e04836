package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEncryptedFileDamage: what is damaged says so, is not touched by anything
// but a save, and is kept aside then.
func TestEncryptedFileDamage(t *testing.T) {
	identity := newIdentity(t)
	tests := map[string]func(sealed []byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"cut":     func(sealed []byte) []byte { return sealed[:len(sealed)-1] },
		"longer":  func(sealed []byte) []byte { return append(sealed, 0) },
		"header":  func(sealed []byte) []byte { sealed[0] ^= 1; return sealed },
		"flipped": func(sealed []byte) []byte { sealed[len(sealed)-20] ^= 1; return sealed },
		"garbage": func([]byte) []byte { return []byte("garbage\n") },
		"foreign": func([]byte) []byte { return sealText(t, identity, "something else") },
		"no key":  func([]byte) []byte { return sealText(t, identity, "oauth-login 1\nrecord") },
		"version": func([]byte) []byte { return sealText(t, identity, "oauth-login x "+keyA+"\nrecord") },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			e := &EncryptedFile{Dir: t.TempDir(), Identity: identity}
			chmod(t, e.Dir, 0o700)
			mustSave(t, e, keyA, "record")
			file := filepath.Join(e.Dir, keyA+".age")
			damaged := string(damage([]byte(readText(t, file))))
			writeText(t, file, damaged)
			_, err := e.Load(t.Context(), keyA)
			if damage, ok := errors.AsType[*DamagedError](err); !ok || !strings.Contains(damage.Reason, file) {
				t.Fatalf("Load: %v, want a DamagedError that names the file", err)
			}
			if readText(t, file) != damaged {
				t.Error("Load has changed the file")
			}
			mustSave(t, e, keyA, "new")
			if got := mustLoad(t, e, keyA); got != "new" {
				t.Errorf("loaded %q", got)
			}
			if aside := readText(t, filepath.Join(e.Dir, keyA+".damaged")); aside != damaged {
				t.Error("the damaged file was not kept")
			}
			if err := e.Delete(t.Context(), keyA); err != nil {
				t.Error(err)
			}
			expectFiles(t, e.Dir)
		})
	}
}

// TestEncryptedFileOfAnotherLogin: a file passes for that of one key only.
func TestEncryptedFileOfAnotherLogin(t *testing.T) {
	e := &EncryptedFile{Dir: private(t), Identity: newIdentity(t)}
	mustSave(t, e, keyA, "record of a")
	sealed := readText(t, filepath.Join(e.Dir, keyA+".age"))
	writeText(t, filepath.Join(e.Dir, keyB+".age"), sealed)
	if got, err := e.Load(t.Context(), keyB); !isDamagedError(err) {
		t.Errorf("Load of a renamed file: %q, %v; want a DamagedError", got, err)
	}
}

// TestEncryptedFileNewer: a file of a later version is not touched.
func TestEncryptedFileNewer(t *testing.T) {
	identity := newIdentity(t)
	e := &EncryptedFile{Dir: private(t), Identity: identity}
	newer := string(sealText(t, identity, "oauth-login 2 "+keyA+" more\nrecord"))
	file := writeText(t, filepath.Join(e.Dir, keyA+".age"), newer)
	if _, err := e.Load(t.Context(), keyA); !errors.Is(err, ErrNewer) {
		t.Errorf("Load: %v, want ErrNewer", err)
	}
	if err := e.Save(t.Context(), keyA, []byte("old")); !errors.Is(err, ErrNewer) {
		t.Errorf("Save: %v, want ErrNewer", err)
	}
	if readText(t, file) != newer {
		t.Error("the file was changed")
	}
	expectFiles(t, e.Dir, keyA+".age")
}

// TestEncryptedFileOtherIdentity: a record of another key is neither shown nor
// given up.
func TestEncryptedFileOtherIdentity(t *testing.T) {
	first, second := newIdentity(t), newIdentity(t)
	dir := private(t)
	mustSave(t, &EncryptedFile{Dir: dir, Identity: first}, keyA, "record")
	other := &EncryptedFile{Dir: dir, Identity: second}
	_, err := other.Load(t.Context(), keyA)
	expectReason(t, "Load", err, WrongKey)
	expectReason(t, "Save", other.Save(t.Context(), keyA, []byte("x")), WrongKey)

	// To change the key, both are in the file for a while.
	both := writeText(t, filepath.Join(t.TempDir(), "key"), readText(t, second)+"\n"+readText(t, first))
	e := &EncryptedFile{Dir: dir, Identity: both}
	if got := mustLoad(t, e, keyA); got != "record" {
		t.Errorf("loaded %q", got)
	}
	mustSave(t, e, keyA, "record")
	if got := mustLoad(t, other, keyA); got != "record" {
		t.Errorf("loaded %q with the second identity", got)
	}
}

func TestEncryptedFileIdentityThatIsNone(t *testing.T) {
	secret := "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ"
	for name, text := range map[string]string{"empty": "", "garbage": "garbage", "misspelt": secret, "public": "age1qqqq"} {
		t.Run(name, func(t *testing.T) {
			e := &EncryptedFile{Dir: t.TempDir(), Identity: writeText(t, filepath.Join(t.TempDir(), "key"), text)}
			chmod(t, e.Dir, 0o700)
			err := e.Probe(t.Context())
			expectReason(t, "Probe", err, Locked)
			if strings.Contains(err.Error(), "QQQ") {
				t.Errorf("the error shows the identity: %v", err)
			}
		})
	}
	e := &EncryptedFile{Dir: private(t), Identity: filepath.Join(t.TempDir(), "missing")}
	err := e.Probe(t.Context())
	expectReason(t, "Probe", err, Locked)
	if hints := hintsOf(err); !strings.Contains(hints, "age-keygen -o ") {
		t.Errorf("hints for a missing identity: %s", hints)
	}
}

// TestEncryptedFileLeftovers: what a killed process has left is removed by the
// next that writes, and only that.
func TestEncryptedFileLeftovers(t *testing.T) {
	e := &EncryptedFile{Dir: private(t), Identity: newIdentity(t)}
	mustSave(t, e, keyA, "record")
	for _, change := range []func() error{
		func() error { return e.Save(t.Context(), keyA, []byte("x")) },
		func() error { return e.Probe(t.Context()) },
		func() error { return e.Preflight(t.Context(), keyA) },
		func() error { return e.Delete(t.Context(), keyA) },
	} {
		writeText(t, filepath.Join(e.Dir, ".new-LEFTOVER"), "torn")
		writeText(t, filepath.Join(e.Dir, "new-file of somebody"), "theirs")
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(e.Dir, ".new-LEFTOVER")); err == nil {
			t.Error("a leftover stays")
		}
		readText(t, filepath.Join(e.Dir, "new-file of somebody"))
	}
}
