//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDoctorLeavesNothing: what the doctor has written is deleted, whatever comes of
// reading it, and a keychain that changes it is found.
func TestDoctorLeavesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		load func(record []byte, err error) ([]byte, error)
		says string
	}{
		"that cannot be read": {func([]byte, error) ([]byte, error) { return nil, errors.New("no such session") }, "no such session"},
		"that is another":     {func([]byte, error) ([]byte, error) { return []byte("else"), nil }, "another"},
	} {
		p, out := newTestProgram(t), new(bytes.Buffer)
		shelf := &distortingStore{load: test.load}
		p.out, p.keychain = out, shelf
		if code := p.run(t.Context(), []string{"doctor", "--lock-dir", t.TempDir()}); code != exitFailure {
			t.Errorf("an item %s: exit code %d", name, code)
		}
		if n := shelf.records(); n != 0 {
			t.Errorf("an item %s is left", name)
		}
		if _, said, _ := strings.Cut(out.String(), "problem  keychain"); !strings.Contains(said, test.says) {
			t.Errorf("an item %s:\n%s", name, out)
		}
	}
}

// distortingStore gives back something else than it holds.
type distortingStore struct {
	countingStore
	load func([]byte, error) ([]byte, error)
}

func (s *distortingStore) Load(ctx context.Context, key string) ([]byte, error) {
	return s.load(s.countingStore.Load(ctx, key))
}

// TestDoctorWaitsForNoFile: a file that nobody ever writes to the end is a problem like
// others, and the rest of the report comes all the same.
func TestDoctorWaitsForNoFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	p, out := newTestProgram(t), new(bytes.Buffer)
	p.out = out
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 6*probeTime)
	defer cancel()
	code := p.run(ctx, []string{"doctor", "--lock-dir", t.TempDir(), "--issuer", "http://127.0.0.1:1", "--ca-cert", pipe,
		"--store", encryptedStore, "--store-identity", pipe})
	if code != exitFailure || time.Since(began) > 4*probeTime {
		t.Errorf("exit code %d after %s\n%s", code, time.Since(began), p.stderr)
	}
	for _, line := range []string{"files     a file that is named cannot be read within 5s", "files     the encrypted files cannot be read within 10s", "ok       logins"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no line %q in\n%s", line, out)
		}
	}
	if strings.Contains(out.String(), "--http-timeout") {
		t.Errorf("a file is mended like a provider:\n%s", out)
	}
}
