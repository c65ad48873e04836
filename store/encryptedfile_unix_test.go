//go:build unix

package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestEncryptedFileIsPrivate: what others can get at is refused, with the
// command that mends it.
func TestEncryptedFileIsPrivate(t *testing.T) {
	identity := newIdentity(t)
	tests := map[string]struct {
		spoil func(t *testing.T, dir, file string)
		hint  string
	}{
		"directory that others can list":  {func(t *testing.T, dir, _ string) { chmod(t, dir, 0o750) }, "chmod 700 "},
		"directory that others can write": {func(t *testing.T, dir, _ string) { chmod(t, dir, 0o702) }, "chmod 700 "},
		"file that others can read":       {func(t *testing.T, _, file string) { chmod(t, file, 0o604) }, "chmod 600 "},
		"file that a group can write":     {func(t *testing.T, _, file string) { chmod(t, file, 0o620) }, "chmod 600 "},
		"file that is a link": {func(t *testing.T, dir, file string) {
			move(t, file, filepath.Join(dir, "elsewhere"))
			link(t, "elsewhere", file)
		}, "remove it"},
		"file that is a pipe": {func(t *testing.T, _, file string) {
			removeFile(t, file)
			if err := syscall.Mkfifo(file, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "remove it"},
		"directory that is a link": {func(t *testing.T, dir, _ string) {
			move(t, dir, dir+"-elsewhere")
			link(t, dir+"-elsewhere", dir)
		}, "name the directory"},
		"directory of another user": {func(t *testing.T, dir, _ string) { giveAway(t, dir) }, "chown "},
		"file of another user":      {func(t *testing.T, _, file string) { giveAway(t, file) }, "chown "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := &EncryptedFile{Dir: filepath.Join(t.TempDir(), "it's mine"), Identity: identity}
			mustSave(t, e, keyA, "record")
			file := filepath.Join(e.Dir, keyA+".age")
			test.spoil(t, e.Dir, file)
			_, err := e.Load(t.Context(), keyA)
			expectReason(t, "Load", err, Unsafe)
			expectReason(t, "Save", e.Save(t.Context(), keyA, []byte("new")), Unsafe)
			if hints := hintsOf(err); !strings.HasPrefix(hints, test.hint) && !strings.Contains(hints, ": "+test.hint) {
				t.Errorf("the hint is %q, want %q", hints, test.hint)
			}
			if strings.HasPrefix(test.hint, "chmod") {
				mend(t, hintsOf(err))
				if got := mustLoad(t, e, keyA); got != "record" {
					t.Errorf("after mending: %q", got)
				}
			}
		})
	}
}

// TestEncryptedFileKeyIsPrivate: the same for files that are named to it.
func TestEncryptedFileKeyIsPrivate(t *testing.T) {
	identity := newIdentity(t)
	e := func() *EncryptedFile { return &EncryptedFile{Dir: filepath.Join(t.TempDir(), "d"), Identity: identity} }
	chmod(t, identity, 0o640)
	expectReason(t, "Probe with an identity for the group", e().Probe(t.Context()), Unsafe)
	passphrase := writeText(t, filepath.Join(t.TempDir(), "passphrase"), "x")
	chmod(t, passphrase, 0o604)
	_, err := PassphraseFile(passphrase)(t.Context(), false)
	expectReasonOnly(t, "PassphraseFile", err, Unsafe)
	chmod(t, identity, 0o400)
	linked := filepath.Join(t.TempDir(), "link") // as secrets of containers are
	link(t, identity, linked)
	if err := (&EncryptedFile{Dir: filepath.Join(t.TempDir(), "d"), Identity: linked}).Probe(t.Context()); err != nil {
		t.Error(err)
	}
	giveAway(t, identity)
	expectReason(t, "Probe with an identity of another user", e().Probe(t.Context()), Unsafe)
}

// TestPassphraseFileThatIsAPipe: one that nobody writes to can be left.
func TestPassphraseFileThatIsAPipe(t *testing.T) {
	silent, served := filepath.Join(t.TempDir(), "pipe"), filepath.Join(t.TempDir(), "pipe")
	for _, pipe := range []string{silent, served} {
		if err := syscall.Mkfifo(pipe, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := PassphraseFile(silent)(ctx, false); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent pipe: %v", err)
	}
	if err := os.WriteFile(silent, nil, 0); err != nil { // the reader that was left can end
		t.Error(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(served, []byte("correct horse\n"), 0) }()
	if got, err := PassphraseFile(served)(t.Context(), false); err != nil || got != "correct horse" {
		t.Errorf("a pipe: %d bytes, %v", len(got), err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

func TestEncryptedFileModes(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	e := withPassphrase(filepath.Join(t.TempDir(), "a", "b"), "x")
	mustSave(t, e, keyA, "record")
	for path, want := range map[string]os.FileMode{
		filepath.Dir(e.Dir): 0o700, e.Dir: 0o700, filepath.Join(e.Dir, keyA+".age"): 0o600,
		filepath.Join(e.Dir, identityName): 0o600, filepath.Join(e.Dir, lockName): 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %03o, want %03o", path, got, want)
		}
	}
}

// TestEncryptedFileLockIsBounded: a process that was stopped while it held the
// lock is no reason to hang. A killed one leaves no lock.
func TestEncryptedFileLockIsBounded(t *testing.T) {
	e := &EncryptedFile{Dir: private(t), Identity: newIdentity(t)}
	mustSave(t, e, keyA, "record")
	d, err := openDirectory(e.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	unlock, err := d.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		expectReason(t, "Save", e.Save(t.Context(), keyA, []byte("new")), TimedOut)
		if took := time.Since(start); took > 2*lockTimeout {
			t.Errorf("it took %v", took)
		}
	})
	if got := mustLoad(t, e, keyA); got != "record" {
		t.Errorf("loaded %q", got)
	}
	unlock()
	mustSave(t, e, keyA, "new")
}

// TestEncryptedFileKilled kills a process before each change that a save or a
// delete makes, and looks at what survives.
func TestEncryptedFileKilled(t *testing.T) {
	small, large := strings.Repeat("n", 700), strings.Repeat("n", 1<<20)
	const nothing = "(nothing)"
	tests := []struct {
		name, old, do, record string
		passphrase, damaged   bool
		least                 int // changes
	}{
		{name: "first save", old: nothing, do: "save", record: small, least: 5},
		{name: "save", old: "old", do: "save", record: small, least: 5},
		{name: "save large", old: strings.Repeat("o", 1<<20), do: "save", record: large, least: 5},
		{name: "first save with a passphrase", old: nothing, do: "save", record: small, passphrase: true, least: 10},
		{name: "save with a passphrase", old: "old", do: "save", record: small, passphrase: true, least: 5},
		{name: "save over a damaged one", old: nothing, do: "save", record: small, damaged: true, least: 7},
		{name: "delete", old: "old", do: "delete", record: nothing, least: 3},
		{name: "delete with a passphrase", old: "old", do: "delete", record: nothing, passphrase: true, least: 5},
		{name: "probe", old: "old", do: "probe", record: "old", least: 3},
		{name: "preflight", old: "old", do: "preflight", record: "old", least: 8},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			identity := newIdentity(t)
			if test.passphrase {
				identity = ""
			}
			for change := 1; ; change++ {
				dir := filepath.Join(t.TempDir(), "d")
				e := killable(dir, identity)
				if test.old != nothing {
					mustSave(t, e, keyA, test.old)
				}
				if test.damaged {
					if err := os.Mkdir(dir, 0o700); err != nil {
						t.Fatal(err)
					}
					writeText(t, filepath.Join(dir, keyA+".age"), "garbage")
				}
				killed := runUntilKilled(t, dir, identity, test.do, len(test.record), change)

				got := nothing
				record, err := killable(dir, identity).Load(t.Context(), keyA)
				switch {
				case err == nil:
					got = string(record)
				case !errors.Is(err, ErrNotFound) && !(test.damaged && isDamagedError(err)):
					t.Fatalf("killed before change %d: %v", change, err)
				}
				if got != test.record && (got != test.old || !killed) {
					t.Fatalf("killed (%v) before change %d: %d bytes are stored: %.20q", killed, change, len(got), got)
				}
				again := killable(dir, identity)
				mustSave(t, again, keyA, "again")
				if err := again.Delete(t.Context(), keyA); err != nil {
					t.Fatal(err)
				}
				expectFiles(t, dir)
				if !killed {
					if change <= test.least {
						t.Errorf("%s made %d changes, want at least %d", test.do, change-1, test.least)
					}
					return
				}
			}
		})
	}
}

const killVariable = "OAUTH_LOGIN_TEST_KILL"

// runUntilKilled runs a child that kills itself before a change, and reports
// whether it came that far. The child's record is of the letter n.
func runUntilKilled(t *testing.T, dir, identity, do string, size, change int) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestEncryptedFileChild$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%s|%d|%d", killVariable, dir, identity, do, size, change), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	killed := status.Signaled() && status.Signal() == syscall.SIGKILL
	if err != nil && !killed {
		t.Fatalf("%s until change %d: %v\n%s", do, change, err, out)
	}
	return killed
}

// TestEncryptedFileChild is the child of TestEncryptedFileKilled.
func TestEncryptedFileChild(t *testing.T) {
	words := strings.Split(os.Getenv(killVariable), "|")
	if len(words) != 5 {
		return
	}
	size, _ := strconv.Atoi(words[3])
	left, _ := strconv.Atoi(words[4])
	e := killable(words[0], words[1])
	e.before = func(change string) error {
		if left--; left > 0 {
			return nil
		}
		if change == "sync" { // what has not reached the disk may be cut off
			torn, _ := filepath.Glob(filepath.Join(e.Dir, tempPrefix+"*"))
			for _, file := range torn {
				os.Truncate(file, int64(size/2))
			}
		}
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	var err error
	switch words[2] {
	case "save":
		err = e.Save(t.Context(), keyA, []byte(strings.Repeat("n", size)))
	case "delete":
		err = e.Delete(t.Context(), keyA)
	case "probe":
		err = e.Probe(t.Context())
	case "preflight":
		err = e.Preflight(t.Context(), keyA)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// killable is a store with an identity, or with a passphrase where that is "".
func killable(dir, identity string) *EncryptedFile {
	if identity == "" {
		return withPassphrase(dir, "correct horse")
	}
	return &EncryptedFile{Dir: dir, Identity: identity}
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}

// giveAway makes something belong to somebody else.
func giveAway(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	if err := os.Chown(path, 12345, -1); err != nil {
		t.Fatal(err)
	}
}

// mend runs the command of a hint.
func mend(t *testing.T, command string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

func expectReasonOnly(t *testing.T, what string, err error, want Reason) {
	t.Helper()
	if unavailable, ok := errors.AsType[*UnavailableError](err); !ok || unavailable.Reason != want {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}
