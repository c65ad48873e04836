package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// TestDiskThatTakesNothing: with a disk that is full or read-only, a login that
// is there can be used, nothing is spent, and nothing is left.
func TestDiskThatTakesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		spoil, mend func(t *testing.T, disk string)
		says        string
	}{
		"full":      {fillDisk, emptyDisk, "encrypted-file store is full: "},
		"read-only": {lockDisk, unlockDisk, "encrypted-file store denied the access: "},
	} {
		t.Run(name, func(t *testing.T) {
			provider := startProvider(t, &issuer.Options{AccessTokenTTL: 3 * time.Second})
			h := newHome(t)
			mountSmallDisk(t, h.data())
			identity := filepath.Join(h.dir, "key")
			if err := writeIdentity(identity); err != nil {
				t.Fatal(err)
			}
			login := []string{"--issuer", provider.URL(), "--client-id", "cli", "--store", "encrypted-file", "--store-identity", identity}
			if p := h.run(t, login...); p.cmd.ProcessState.ExitCode() != exitDone {
				t.Fatalf("login: %s", &p.stderr)
			}
			stored := h.files(t)
			test.spoil(t, h.data())

			if p := h.run(t, "token", "--min-ttl", "0s"); p.cmd.ProcessState.ExitCode() != exitDone || p.stdout.String() == "" {
				t.Errorf("a token that is valid: %s", &p.stderr)
			}
			time.Sleep(3 * time.Second)
			asked, visits := provider.Requests("token"), provider.Requests("authorize")
			for _, args := range [][]string{{"token"}, {"login"}, login} {
				p := h.run(t, args...)
				if code := p.cmd.ProcessState.ExitCode(); code != exitStoreUnavailable {
					t.Errorf("%s: exit code %d, want %d\n%s", args, code, exitStoreUnavailable, &p.stderr)
				}
				if text := p.stderr.String(); !strings.HasPrefix(text, "oauth-login: error: "+test.says) || strings.Count(text, "\nhint: ") != 1 {
					t.Errorf("%s says\n%s", args, text)
				}
			}
			if provider.Requests("token") != asked || provider.Requests("authorize") != visits {
				t.Error("something was spent that cannot be stored")
			}
			if got := h.files(t); !slices.Equal(got, stored) {
				t.Errorf("the disk holds %q, want %q", got, stored)
			}
			if p := h.run(t, "status"); !strings.Contains(p.stdout.String(), "refreshable") {
				t.Errorf("status:\n%s%s", &p.stdout, &p.stderr)
			}

			test.mend(t, h.data())
			if p := h.run(t, "token"); p.cmd.ProcessState.ExitCode() != exitDone {
				t.Errorf("after all: %s", &p.stderr)
			}
		})
	}
}

// files returns the names of the files of encrypted logins.
func (h *home) files(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(h.data(), "oauth-login", "encrypted"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// mountSmallDisk makes a directory that is a disk of 256 KiB.
func mountSmallDisk(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k,mode=0700")
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skip("NOT TESTED: mounting a small disk needs root")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
}

func fillDisk(t *testing.T, disk string) {
	t.Helper()
	err := os.WriteFile(filepath.Join(disk, "filler"), make([]byte, 1<<20), 0o600)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
}

func emptyDisk(t *testing.T, disk string) {
	t.Helper()
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
}

func lockDisk(t *testing.T, disk string)   { remount(t, disk, syscall.MS_RDONLY) }
func unlockDisk(t *testing.T, disk string) { remount(t, disk, 0) }

func remount(t *testing.T, disk string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|flags, "size=256k,mode=0700"); err != nil {
		t.Fatal(err)
	}
}
