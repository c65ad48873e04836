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
	mustSave(t, e, keyA, "x")
	expectFiles(t, dir, keyA+".age")
	t.Setenv("XDG_DATA_HOME", "relative") // to be ignored, as the specification says
	if dir, err := e.Directory(); err != nil || !strings.HasPrefix(dir, home) {
		t.Errorf("with a relative data directory: %q, %v", dir, err)
	}
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

// TestEncryptedFileReadsBack: a disk that stores something else is found out
// before the old record is given up.
func TestEncryptedFileReadsBack(t *testing.T) {
	e := &EncryptedFile{Dir: private(t), Identity: newIdentity(t)}
	mustSave(t, e, keyA, "old")
	e.before = func(change string) error {
		if change == "sync" {
			files, err := filepath.Glob(filepath.Join(e.Dir, tempPrefix+"*"))
			if err != nil || len(files) != 1 {
				t.Errorf("files that are being written: %q, %v", files, err)
			}
			text := []byte(readText(t, files[0]))
			text[len(text)-1] ^= 1
			writeText(t, files[0], string(text))
		}
		return nil
	}
	expectReason(t, "Save", e.Save(t.Context(), keyA, []byte("new")), NotStored)
	e.before = nil
	if got := mustLoad(t, e, keyA); got != "old" {
		t.Errorf("loaded %q", got)
	}
	expectFiles(t, e.Dir, keyA+".age")
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
