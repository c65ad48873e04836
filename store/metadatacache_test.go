package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/store"
)

func TestMetadataCache(t *testing.T) {
	m := &store.MetadataCache{Dir: filepath.Join(t.TempDir(), "a", "metadata")}
	load := func(issuer, want string) {
		t.Helper()
		if entry, err := m.LoadMetadata(t.Context(), issuer); err != nil || string(entry) != want {
			t.Errorf("%s: %q, %v", issuer, entry, err)
		}
	}
	save := func(issuer string, entry []byte) {
		t.Helper()
		if err := m.SaveMetadata(t.Context(), issuer, entry); err != nil {
			t.Errorf("%s: %v", issuer, err)
		}
	}
	load("https://a.example", "")
	save("https://a.example", nil)
	if err := m.Clear(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(m.Dir); err == nil {
		t.Error("a directory was made for nothing")
	}
	save("https://a.example", []byte("1"))
	save("https://a.example", []byte("2"))
	save("https://b.example", []byte("3"))
	load("https://a.example", "2")
	load("https://b.example", "3")
	save("https://a.example", nil)
	load("https://a.example", "")
	load("https://b.example", "3")
	names, err := filepath.Glob(filepath.Join(m.Dir, "*.json"))
	if err != nil || len(names) != 1 || strings.Contains(names[0], "example") {
		t.Errorf("%q, %v", names, err)
	}
	if err := m.Clear(t.Context()); err != nil {
		t.Error(err)
	}
	load("https://b.example", "")
}

// TestMetadataCacheIsBounded: what is too large is not read whole.
func TestMetadataCacheIsBounded(t *testing.T) {
	m := &store.MetadataCache{Dir: t.TempDir()}
	if err := os.Chmod(m.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := m.SaveMetadata(t.Context(), "https://a.example", bytes.Repeat([]byte(" "), 4<<20)); err != nil {
		t.Fatal(err)
	}
	if entry, _ := m.LoadMetadata(t.Context(), "https://a.example"); len(entry) > 3<<20 {
		t.Errorf("%d bytes were read", len(entry))
	}
}
