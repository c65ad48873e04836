package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestVault uses the real keychain of this user, and a new directory. Only those
// who ask for it get that: the end-to-end tests, where the keychain is nobody's.
func TestVault(t *testing.T) {
	dir := os.Getenv("OAUTH_LOGIN_TEST_VAULT")
	if dir == "" {
		t.Skip("OAUTH_LOGIN_TEST_VAULT names no directory")
	}
	name := make([]byte, 16)
	rand.Read(name)
	key := hex.EncodeToString(name)
	k := &Keychain{dataDir: dir}
	t.Cleanup(func() { k.Delete(t.Context(), key) })
	if err := k.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, n := range []int{1, 40, 1000, 2400, 2401, 2500, 2501, 2560, 5000, 30000, 64 << 10, 64<<10 + 1, recordMax, 1000} {
		record := recordOf(strconv.Itoa(i), n)
		if n == 1 {
			record = []byte("x")
		}
		if err := k.Save(t.Context(), key, record); err != nil {
			t.Fatalf("saving %d bytes: %v", n, err)
		}
		again := &Keychain{dataDir: dir}
		if got, err := again.Load(t.Context(), key); err != nil || string(got) != string(record) {
			t.Fatalf("loading %d bytes: %d came back, %v", n, len(got), err)
		}
		if err := k.Preflight(t.Context(), key); err != nil {
			t.Errorf("before a refresh of %d bytes: %v", n, err)
		}
	}
	if err := k.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{".w", ".a.0", ".a.1", ".a.2", ".a.27", ".b.0", ".b.1", ".b.2", ".b.27"} {
		if item, err := (osRing{}).Get(service, key+suffix); !errors.Is(k.classify(err), ErrNotFound) {
			t.Errorf("%s holds %d bytes, %v", suffix, len(item), err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "[^.]*"))
	if err != nil || len(files) > 0 {
		t.Errorf("left the files %v, %v", files, err)
	}
}
