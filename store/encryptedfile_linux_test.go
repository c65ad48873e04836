package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestEncryptedFileDiskFull fills a small file system: the old record loads, the
// error says what to do, and nothing is left.
func TestEncryptedFileDiskFull(t *testing.T) {
	disk := mountSmallDisk(t)
	e := &EncryptedFile{Dir: filepath.Join(disk, "d"), Identity: newIdentity(t)}
	mustSave(t, e, keyA, "record")
	if err := e.Probe(t.Context()); err != nil {
		t.Fatalf("with room: %v", err)
	}
	// As long as a small record still fits, it is saved; a large one is not.
	expectReason(t, "Save of 1 MiB", e.Save(t.Context(), keyA, bytes.Repeat([]byte("x"), 1<<20)), Full)
	expectFiles(t, e.Dir, keyA+".age")
	fillDisk(t, disk)
	expectReason(t, "Save", e.Save(t.Context(), keyA, []byte("new")), Full)
	expectReason(t, "first Save", e.Save(t.Context(), keyB, []byte("new")), Full)
	expectReason(t, "Probe", e.Probe(t.Context()), Full)
	expectReason(t, "Preflight", e.Preflight(t.Context(), keyA), Full)
	if got := mustLoad(t, e, keyA); got != "record" {
		t.Errorf("loaded %q", got)
	}
	expectFiles(t, e.Dir, keyA+".age")
	if err := e.Delete(t.Context(), keyA); err != nil { // frees room
		t.Error(err)
	}
}

// TestEncryptedFileReadOnly: the old record loads from a file system that takes
// nothing, and nothing else works there.
func TestEncryptedFileReadOnly(t *testing.T) {
	disk := mountSmallDisk(t)
	e := &EncryptedFile{Dir: filepath.Join(disk, "d"), Identity: newIdentity(t)}
	mustSave(t, e, keyA, "record")
	for _, locked := range []bool{true, false} {
		if !locked { // as in a copy
			removeFile(t, filepath.Join(e.Dir, lockName))
		}
		remount(t, disk, syscall.MS_RDONLY)
		expectReason(t, "Save", e.Save(t.Context(), keyA, []byte("new")), Denied)
		expectReason(t, "Probe", e.Probe(t.Context()), Denied)
		expectReason(t, "Preflight", e.Preflight(t.Context(), keyA), Denied)
		expectReason(t, "Delete", e.Delete(t.Context(), keyA), Denied)
		if got := mustLoad(t, e, keyA); got != "record" {
			t.Errorf("loaded %q", got)
		}
		expectFiles(t, e.Dir, keyA+".age")
		fresh := &EncryptedFile{Dir: filepath.Join(disk, "fresh", "d"), Identity: e.Identity}
		expectReason(t, "Probe of a new directory", fresh.Probe(t.Context()), Denied)
		remount(t, disk, 0)
	}
}

// mountSmallDisk returns the directory of an empty file system of 256 KiB.
func mountSmallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k,mode=0700")
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skip("NOT TESTED: mounting a small file system needs root")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func remount(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, "size=256k,mode=0700"); err != nil {
		t.Fatal(err)
	}
}

func fillDisk(t *testing.T, dir string) {
	t.Helper()
	err := os.WriteFile(filepath.Join(dir, "filler"), []byte(strings.Repeat("x", 1<<20)), 0o600)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
}
