package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"github.com/oauth-login/oauth-login/grant"
)

const (
	keyA = "0123456789abcdef0123456789abcdef"
	keyB = "fedcba9876543210fedcba9876543210"
)

func TestEncryptedFileRoundTrip(t *testing.T) {
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	hybridFile := writeText(t, filepath.Join(t.TempDir(), "key"), "# a comment\n"+hybrid.String()+"\n")
	identityFile := newIdentity(t)
	tests := map[string]func(dir string) *EncryptedFile{
		"identity":   func(dir string) *EncryptedFile { return &EncryptedFile{Dir: dir, Identity: identityFile} },
		"hybrid":     func(dir string) *EncryptedFile { return &EncryptedFile{Dir: dir, Identity: hybridFile} },
		"passphrase": func(dir string) *EncryptedFile { return withPassphrase(dir, "correct horse") },
	}
	for name, open := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "deep", "down")
			for _, size := range []int{0, 1, 2500, 64 << 10, 1 << 20} {
				record := bytes.Repeat([]byte("secret! "), size/8+1)[:size]
				if err := open(dir).Save(t.Context(), keyA, record); err != nil {
					t.Fatalf("save %d bytes: %v", size, err)
				}
				if got, err := open(dir).Load(t.Context(), keyA); err != nil || !bytes.Equal(got, record) {
					t.Fatalf("of %d bytes, %d came back, %v", size, len(got), err)
				}
			}
			if text := readText(t, filepath.Join(dir, keyA+".age")); strings.Contains(text, "secret!") {
				t.Error("the file is not encrypted")
			}
			if _, err := open(dir).Load(t.Context(), keyB); !errors.Is(err, ErrNotFound) {
				t.Errorf("another key: %v", err)
			}
			if err := open(dir).Delete(t.Context(), keyA); err != nil {
				t.Fatal(err)
			}
			if err := open(dir).Delete(t.Context(), keyA); !errors.Is(err, ErrNotFound) {
				t.Errorf("deleting again: %v", err)
			}
			expectFiles(t, dir)
		})
	}
}

func TestEncryptedFileDirectory(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "LocalAppData"} {
		t.Setenv(name, home)
	}
	e := &EncryptedFile{Identity: newIdentity(t)}
	dir, err := e.Directory()
	if err != nil || !strings.HasPrefix(dir, home) || filepath.Base(filepath.Dir(dir)) != "oauth-login" {
		t.Fatalf("Directory() = %q, %v", dir, err)
	}
	if err := e.Save(t.Context(), keyA, []byte("x")); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, dir, keyA+".age")
}

func TestEncryptedFileRefusesArguments(t *testing.T) {
	identity := newIdentity(t)
	both := withPassphrase(t.TempDir(), "x")
	both.Identity = identity
	tests := map[string]struct {
		e   *EncryptedFile
		key string
	}{
		"neither": {&EncryptedFile{Dir: t.TempDir()}, keyA},
		"both":    {both, keyA},
		"short":   {&EncryptedFile{Dir: t.TempDir(), Identity: identity}, "abc"},
		"path":    {&EncryptedFile{Dir: t.TempDir(), Identity: identity}, "../" + keyA[3:]},
		"case":    {&EncryptedFile{Dir: t.TempDir(), Identity: identity}, strings.ToUpper(keyA)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := test.e.Load(t.Context(), test.key)
			for _, err := range []error{err, test.e.Save(t.Context(), test.key, nil), test.e.Delete(t.Context(), test.key)} {
				if !errors.Is(err, grant.ErrArgument) {
					t.Errorf("%v, want ErrArgument", err)
				}
			}
		})
	}
}

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

// TestEncryptedFileWrites pins the order that makes a save safe, and lets each
// of its changes fail in turn: the old record stays, and nothing else does.
func TestEncryptedFileWrites(t *testing.T) {
	e := &EncryptedFile{Dir: private(t), Identity: newIdentity(t)}
	var changes []string
	e.before = func(change string) error { changes = append(changes, change); return nil }
	mustSave(t, e, keyA, "old")
	want := []string{"create", "write", "sync", "rename", "sync directory"}
	if !slices.Equal(changes, want) {
		t.Fatalf("a save makes the changes %q, want %q", changes, want)
	}
	for i, failing := range want {
		count := 0
		e.before = func(change string) error {
			if count++; count == i+1 {
				return &os.PathError{Op: change, Path: "x", Err: os.ErrPermission}
			}
			return nil
		}
		err := e.Save(t.Context(), keyA, []byte("new"))
		expectReason(t, failing, err, Denied)
		e.before = nil
		record := "old"
		if failing == "sync directory" {
			record = "new"
		}
		if got := mustLoad(t, e, keyA); got != record {
			t.Errorf("after %q has failed: %q", failing, got)
		}
		expectFiles(t, e.Dir, keyA+".age")
	}
}

// TestEncryptedFileInterrupted: a preflight marks the record until it is saved.
func TestEncryptedFileInterrupted(t *testing.T) {
	e := &EncryptedFile{Dir: filepath.Join(t.TempDir(), "d"), Identity: newIdentity(t)}
	expect := func(when string, want bool) {
		t.Helper()
		if got, err := e.Interrupted(t.Context(), keyA); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", when, got, err, want)
		}
	}
	if err := e.Preflight(t.Context(), keyA); !errors.Is(err, ErrNotFound) {
		t.Errorf("without a record: %v", err)
	}
	expect("without a record", false)
	if err := e.Refused(t.Context(), keyA); err != nil {
		t.Errorf("refused without a record: %v", err)
	}
	mustSave(t, e, keyA, "one")
	expect("after a save", false)
	if err := e.Preflight(t.Context(), keyA); err != nil {
		t.Fatal(err)
	}
	expect("after a preflight", true)
	mark := readText(t, filepath.Join(e.Dir, keyA+".refreshing"))
	mustSave(t, e, keyA, "one")
	expect("after another save", false)
	expectFiles(t, e.Dir, keyA+".age")
	writeText(t, filepath.Join(e.Dir, keyA+".refreshing"), mark)
	expect("with the mark of an older record", false)
	if err := e.Preflight(t.Context(), keyA); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time, there is nothing to take back
		if err := e.Refused(t.Context(), keyA); err != nil {
			t.Fatal(err)
		}
		expect("after a refusal", false)
		expectFiles(t, e.Dir, keyA+".age")
	}
	if err := e.Delete(t.Context(), keyA); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, e.Dir)
}

// TestEncryptedFileConcurrency: readers see whole records while many write.
func TestEncryptedFileConcurrency(t *testing.T) {
	dir, identity := private(t), newIdentity(t)
	record := func(i int) string { return strings.Repeat(string(rune('a'+i)), 5000*(i+1)) }
	mustSave(t, &EncryptedFile{Dir: dir, Identity: identity}, keyA, record(0))
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		writers.Go(func() {
			e := &EncryptedFile{Dir: dir, Identity: identity}
			for range 10 {
				if err := e.Save(t.Context(), keyA, []byte(record(i))); err != nil {
					t.Error(err)
				}
			}
		})
		readers.Go(func() {
			e := &EncryptedFile{Dir: dir, Identity: identity}
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := e.Load(t.Context(), keyA)
				if err != nil || len(got) == 0 || string(got) != record(int(got[0]-'a')) {
					t.Errorf("torn: %d bytes, %v", len(got), err)
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	expectFiles(t, dir, keyA+".age")
}

func TestEncryptedFileKeepsSecrets(t *testing.T) {
	identity := newIdentity(t)
	secret := strings.TrimSpace(readText(t, identity))
	e, f := &EncryptedFile{Dir: private(t), Identity: identity}, withPassphrase(private(t), "correct horse")
	mustSave(t, e, keyA, "record")
	mustSave(t, f, keyA, "record")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		for _, text := range []string{fmt.Sprintf(verb, e), fmt.Sprintf(verb, f)} {
			if strings.Contains(text, secret) || strings.Contains(text, "correct horse") || strings.Contains(text, "AGE-SECRET") {
				t.Errorf("%s shows a secret", verb)
			}
		}
	}
}

func BenchmarkEncryptedFileLoad(b *testing.B) {
	dir, identity := private(b), newIdentity(b)
	record := bytes.Repeat([]byte("x"), 1500)
	if err := (&EncryptedFile{Dir: dir, Identity: identity}).Save(b.Context(), keyA, record); err != nil {
		b.Fatal(err)
	}
	b.Run("first", func(b *testing.B) { // as a command does: with the identity to read
		for b.Loop() {
			if _, err := (&EncryptedFile{Dir: dir, Identity: identity}).Load(b.Context(), keyA); err != nil {
				b.Fatal(err)
			}
		}
	})
	e := &EncryptedFile{Dir: dir, Identity: identity}
	b.Run("next", func(b *testing.B) {
		for b.Loop() {
			if _, err := e.Load(b.Context(), keyA); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("floor", func(b *testing.B) { // a program that only reads and decrypts
		k, err := readIdentity(b.Context(), identity)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			sealed, err := os.ReadFile(filepath.Join(dir, keyA+".age"))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := decrypt(sealed, k.identities...); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// private returns a new directory that a store accepts.
func private(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	chmod(t, dir, 0o700)
	return dir
}

func chmod(t testing.TB, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// newIdentity writes an identity and returns the name of the file.
func newIdentity(t testing.TB) string {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return writeText(t, filepath.Join(t.TempDir(), "key"), identity.String()+"\n")
}

func sealText(t testing.TB, identity, text string) []byte {
	t.Helper()
	k, err := readIdentity(t.Context(), identity)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := encrypt([]byte(text), k.recipient)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func writeText(t testing.TB, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func readText(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func mustSave(t testing.TB, s Store, key, record string) {
	t.Helper()
	if err := s.Save(t.Context(), key, []byte(record)); err != nil {
		t.Fatal(err)
	}
}

func mustLoad(t testing.TB, s Store, key string) string {
	t.Helper()
	record, err := s.Load(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(record)
}

// expectFiles compares the names of files in a directory, the lock aside.
func expectFiles(t testing.TB, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		if entry.Name() != lockName {
			got = append(got, entry.Name())
		}
	}
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func expectReason(t testing.TB, what string, err error, want Reason) {
	t.Helper()
	unavailable, ok := errors.AsType[*UnavailableError](err)
	if !ok || unavailable.Reason != want {
		t.Errorf("%s: %v, want an UnavailableError that says %q", what, err, want)
		return
	}
	if unavailable.Backend == "" || len(unavailable.Hints()) == 0 {
		t.Errorf("%s: no backend or no hint in %#v", what, unavailable)
	}
}

func isDamagedError(err error) bool {
	_, damaged := errors.AsType[*DamagedError](err)
	return damaged
}

func hintsOf(err error) string {
	if unavailable, ok := errors.AsType[*UnavailableError](err); ok {
		return strings.Join(unavailable.Hints(), "\n")
	}
	return ""
}

func removeFile(t testing.TB, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}
