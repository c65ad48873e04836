package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
)

const (
	keyA = "0123456789abcdef0123456789abcdef"
	keyB = "fedcba9876543210fedcba9876543210"
)

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

// expectFiles compares the names of files in a directory, the locks aside.
func expectFiles(t testing.TB, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		if entry.Name() != lockName && entry.Name() != locksName {
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
