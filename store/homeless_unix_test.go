//go:build unix

package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/store"
)

// TestHomeless: where there is no place for files, the hint is to name one, and not to
// restart something.
func TestHomeless(t *testing.T) {
	for _, variable := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"} {
		t.Setenv(variable, "")
	}
	_, listErr := new(store.Profiles).List()
	_, filesErr := new(store.EncryptedFile).Directory()
	for _, err := range []error{listErr, filesErr} {
		e, ok := errors.AsType[*store.UnavailableError](err)
		if !ok {
			t.Errorf("got %v", err)
			continue
		}
		if hint := strings.Join(e.Hints(), "; "); e.Reason != store.Absent || !strings.Contains(hint, "set HOME") || strings.Contains(hint, "restart") {
			t.Errorf("%v: %s", e, hint)
		}
	}
}

// TestFilesAreNotRestarted: what goes wrong with files has a hint that is about files.
func TestFilesAreNotRestarted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profiles")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := (&store.Profiles{Dir: dir}).List()
	e, ok := errors.AsType[*store.UnavailableError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	if hint := strings.Join(e.Hints(), "; "); e.Reason != store.Failed || strings.Contains(hint, "restart") || !strings.Contains(hint, "ulimit") {
		t.Errorf("%v: %s", e, hint)
	}
}
