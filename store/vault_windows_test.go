package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/danieljoos/wincred"
)

// TestWindowsVault uses the real Credential Manager, of this user, and a new
// directory. Only those who ask for it get that.
func TestWindowsVault(t *testing.T) {
	dir := os.Getenv("OAUTH_LOGIN_TEST_VAULT")
	if dir == "" {
		t.Skip("OAUTH_LOGIN_TEST_VAULT names no directory")
	}
	before := vaultItems(t)
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
		if err := k.Save(t.Context(), key, record); err != nil {
			t.Fatalf("saving %d bytes: %v", n, err)
		}
		again := &Keychain{dataDir: k.dataDir}
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
	if _, err := k.Load(t.Context(), key); !errors.Is(err, ErrNotFound) {
		t.Errorf("after Delete: %v", err)
	}
	if left := vaultItems(t); left != before {
		t.Errorf("the vault holds %d items, and held %d before", left, before)
	}
	files, err := filepath.Glob(filepath.Join(k.dataDir, "[^.]*"))
	if err != nil || len(files) > 0 {
		t.Errorf("left the files %v, %v", files, err)
	}
}

// vaultItems is how many items there are, whoever's they are.
func vaultItems(t *testing.T) int {
	t.Helper()
	items, err := wincred.List()
	if err != nil {
		t.Logf("listing the vault: %v", err) // as when it is empty
	}
	return len(items)
}
