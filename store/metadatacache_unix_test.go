//go:build unix

package store_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/oauth-login/oauth-login/store"
)

// TestMetadataCacheIsPrivate: what others could have written is not used, and
// nothing is written to where they can.
func TestMetadataCacheIsPrivate(t *testing.T) {
	const issuer = "https://a.example"
	for name, spoil := range map[string]func(dir, file string) error{
		"the directory is others' too":     func(dir, _ string) error { return os.Chmod(dir, 0o770) },
		"the file is others' too":          func(_, file string) error { return os.Chmod(file, 0o606) },
		"the directory is a symbolic link": func(dir, _ string) error { return moveAndLink(dir) },
		"the file is a symbolic link":      func(_, file string) error { return moveAndLink(file) },
		"the file is a pipe": func(_, file string) error {
			os.Remove(file)
			return syscall.Mkfifo(file, 0o600)
		},
		"the file is a directory": func(_, file string) error {
			os.Remove(file)
			return os.Mkdir(file, 0o700)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &store.MetadataCache{Dir: filepath.Join(t.TempDir(), "metadata")}
			if err := m.SaveMetadata(t.Context(), issuer, []byte("{}")); err != nil {
				t.Fatal(err)
			}
			files, _ := filepath.Glob(filepath.Join(m.Dir, "*.json"))
			if len(files) != 1 {
				t.Fatalf("files %q", files)
			}
			for path, mode := range map[string]os.FileMode{m.Dir: 0o700, files[0]: 0o600} {
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
					t.Errorf("%s: %v, %v", path, info.Mode(), err)
				}
			}
			if err := spoil(m.Dir, files[0]); err != nil {
				t.Fatal(err)
			}
			if entry, err := m.LoadMetadata(t.Context(), issuer); err == nil || len(entry) > 0 {
				t.Errorf("%q was used", entry)
			}
		})
	}
}

// moveAndLink leaves a symbolic link in the place of something.
func moveAndLink(path string) error {
	if err := os.Rename(path, path+"-moved"); err != nil {
		return err
	}
	return os.Symlink(path+"-moved", path)
}

// TestMetadataCacheDoesNotWait for a process that holds the lock: a login does not
// take longer for it.
func TestMetadataCacheDoesNotWait(t *testing.T) {
	m := &store.MetadataCache{Dir: filepath.Join(t.TempDir(), "metadata")}
	if err := m.SaveMetadata(t.Context(), "https://a.example", []byte("1")); err != nil {
		t.Fatal(err)
	}
	held := flock.New(filepath.Join(m.Dir, ".lock"))
	if locked, err := held.TryLock(); !locked {
		t.Fatal(err)
	}
	defer held.Close()
	start := time.Now()
	if err := m.SaveMetadata(t.Context(), "https://a.example", []byte("2")); err == nil {
		t.Error("it was saved against the lock")
	}
	if took := time.Since(start); took > 5*time.Second { // 50 ms on a machine that has time
		t.Errorf("it took %v", took)
	}
	if entry, err := m.LoadMetadata(t.Context(), "https://a.example"); string(entry) != "1" {
		t.Errorf("%q, %v", entry, err)
	}
}
