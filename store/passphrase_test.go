package store

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/oauth-login/oauth-login/grant"
)

// withPassphrase is a store with a passphrase that is quick to try.
func withPassphrase(dir, passphrase string) *EncryptedFile {
	return &EncryptedFile{Dir: dir, workFactor: 4, Passphrase: func(context.Context, bool) (grant.Secret, error) {
		return grant.Secret(passphrase), nil
	}}
}

// A counter notes what it was asked.
type counter struct {
	mu    sync.Mutex
	asked []bool // confirm
}

func (c *counter) watch(e *EncryptedFile) *EncryptedFile {
	ask := e.Passphrase
	e.Passphrase = func(ctx context.Context, confirm bool) (grant.Secret, error) {
		c.mu.Lock()
		c.asked = append(c.asked, confirm)
		c.mu.Unlock()
		return ask(ctx, confirm)
	}
	return e
}

func (c *counter) expect(t *testing.T, want ...bool) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.asked, want) {
		t.Errorf("asked %v, want %v", c.asked, want)
	}
	c.asked = nil
}

// TestPassphraseIsAskedOnce: once per process, confirmed only when it is new,
// and not at all where nothing is stored.
func TestPassphraseIsAskedOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	var asked counter
	e := asked.watch(withPassphrase(dir, "correct horse"))
	if _, err := e.Load(t.Context(), keyA); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	asked.expect(t)
	if err := e.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked.expect(t, true)
	expectFiles(t, dir) // no passphrase is set before there is something to protect
	mustSave(t, e, keyA, "one")
	mustLoad(t, e, keyA)
	mustSave(t, e, keyB, "two")
	asked.expect(t)
	expectFiles(t, dir, keyA+".age", keyB+".age", "identity.age")

	again := asked.watch(withPassphrase(dir, "correct horse"))
	var wait sync.WaitGroup
	for range 5 {
		wait.Go(func() {
			if got, err := again.Load(t.Context(), keyA); err != nil || string(got) != "one" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	wait.Wait()
	asked.expect(t, false)
}

func TestPassphraseIsWrong(t *testing.T) {
	dir := private(t)
	mustSave(t, withPassphrase(dir, "correct horse"), keyA, "record")
	before := readText(t, filepath.Join(dir, keyA+".age"))
	wrong := withPassphrase(dir, "battery staple")
	_, err := wrong.Load(t.Context(), keyA)
	expectReason(t, "Load", err, WrongKey)
	expectReason(t, "Save", wrong.Save(t.Context(), keyA, []byte("x")), WrongKey)
	expectReason(t, "Probe", wrong.Probe(t.Context()), WrongKey)
	if strings.Contains(err.Error(), "battery") {
		t.Error("the error shows the passphrase")
	}
	if readText(t, filepath.Join(dir, keyA+".age")) != before {
		t.Error("the record was changed")
	}
	if got := mustLoad(t, withPassphrase(dir, "correct horse"), keyA); got != "record" {
		t.Errorf("loaded %q", got)
	}
}

// TestPassphraseIsForgotten: with the last record goes the passphrase.
func TestPassphraseIsForgotten(t *testing.T) {
	dir := private(t)
	old := withPassphrase(dir, "old")
	mustSave(t, old, keyA, "a")
	mustSave(t, old, keyB, "b")
	if err := withPassphrase(dir, "nobody asks for it").Delete(t.Context(), keyA); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, dir, keyB+".age", "identity.age")
	if err := old.Delete(t.Context(), keyB); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, dir)

	// A process that had it still in memory brings it back with its record.
	mustSave(t, old, keyA, "again")
	if got := mustLoad(t, withPassphrase(dir, "old"), keyA); got != "again" {
		t.Errorf("loaded %q", got)
	}
	if err := old.Delete(t.Context(), keyA); err != nil {
		t.Fatal(err)
	}
	mustSave(t, withPassphrase(dir, "new"), keyB, "b")
	expectReason(t, "Save with the old passphrase", old.Save(t.Context(), keyA, []byte("x")), WrongKey)
	expectFiles(t, dir, keyB+".age", "identity.age")
}

// TestPassphraseRace: of several that choose a passphrase at the same time, one
// is first, and the others use its identity or fail before the person signs in.
func TestPassphraseRace(t *testing.T) {
	dir := private(t)
	same := []*EncryptedFile{withPassphrase(dir, "same"), withPassphrase(dir, "same"), withPassphrase(dir, "same")}
	other := withPassphrase(dir, "other")
	for _, e := range same {
		if err := e.Probe(t.Context()); err != nil { // nobody has written yet: all choose
			t.Fatal(err)
		}
	}
	err := other.Probe(t.Context())
	expectReason(t, "Probe", err, WrongKey)
	if !strings.Contains(err.Error(), "another process has just chosen") {
		t.Errorf("Probe: %v", err)
	}
	keys := []string{keyA, keyB, strings.Repeat("1", 32)}
	var wait sync.WaitGroup
	for i, e := range same {
		wait.Go(func() { mustSave(t, e, keys[i], keys[i]) })
	}
	wait.Wait()
	expectReason(t, "Save", other.Save(t.Context(), strings.Repeat("2", 32), []byte("x")), WrongKey)
	later := withPassphrase(dir, "same")
	for _, key := range keys {
		if got := mustLoad(t, later, key); got != key {
			t.Errorf("loaded %q", got)
		}
	}
	expectFiles(t, dir, keys[0]+".age", keys[1]+".age", keys[2]+".age", "identity.age")
}

// TestPassphraseCanBeChanged with age itself, while a process has the old one.
func TestPassphraseCanBeChanged(t *testing.T) {
	dir := private(t)
	e := withPassphrase(dir, "old")
	mustSave(t, e, keyA, "record")
	file := filepath.Join(dir, "identity.age")
	scrypt, err := age.NewScryptIdentity("old")
	if err != nil {
		t.Fatal(err)
	}
	text, err := decrypt([]byte(readText(t, file)), scrypt)
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, file, wrapText(t, string(text), "new", 4))
	if got := mustLoad(t, withPassphrase(dir, "new"), keyA); got != "record" {
		t.Errorf("loaded %q", got)
	}
	_, err = e.Load(t.Context(), keyA)
	expectReason(t, "Load with the old passphrase", err, WrongKey)
}

// TestPassphraseWorkFactor: what is written costs what it should, and what is
// read cannot cost more than age's own.
func TestPassphraseWorkFactor(t *testing.T) {
	dir := private(t)
	e := withPassphrase(dir, "x")
	e.workFactor = 0
	mustSave(t, e, keyA, "record")
	file := filepath.Join(dir, "identity.age")
	_, line, _ := strings.Cut(readText(t, file), "-> scrypt ")
	if line, _, _ = strings.Cut(line, "\n"); !strings.HasSuffix(line, " 17") {
		t.Errorf("the stanza is %q, want a work factor of 17", line)
	}
	writeText(t, file, strings.Replace(readText(t, file), line, strings.TrimSuffix(line, "17")+"19", 1))
	start := time.Now()
	_, err := withPassphrase(dir, "x").Load(t.Context(), keyA)
	expectReason(t, "Load", err, Failed)
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v to refuse", took)
	}
}

func TestPassphraseFileOfIdentityIsDamagedOrGone(t *testing.T) {
	dir := private(t)
	mustSave(t, withPassphrase(dir, "x"), keyA, "record")
	file := filepath.Join(dir, "identity.age")
	for _, text := range []string{"", "garbage", wrapText(t, "no identity", "x", 4)} {
		writeText(t, file, text)
		e := withPassphrase(dir, "x")
		_, err := e.Load(t.Context(), keyA)
		expectReason(t, "Load", err, Failed)
		expectReason(t, "Save", e.Save(t.Context(), keyA, []byte("x")), Failed)
		if readText(t, file) != text {
			t.Fatal("the identity was replaced")
		}
	}
	removeFile(t, file)
	_, err := withPassphrase(dir, "x").Load(t.Context(), keyA)
	expectReason(t, "Load without identity.age", err, WrongKey)
	if !strings.Contains(err.Error(), "identity.age is missing") {
		t.Errorf("without identity.age: %v", err)
	}
	// Nor is it replaced as long as there is something that it could open.
	expectReason(t, "Save without identity.age", withPassphrase(dir, "x").Save(t.Context(), keyA, []byte("x")), WrongKey)
}

func TestPassphraseThatIsNone(t *testing.T) {
	refuse := errors.New("there is no terminal to ask at")
	tests := map[string]func(context.Context, bool) (grant.Secret, error){
		"empty":   func(context.Context, bool) (grant.Secret, error) { return "", nil },
		"refused": func(context.Context, bool) (grant.Secret, error) { return "", refuse },
		"missing": PassphraseFile(filepath.Join(t.TempDir(), "missing")),
		"blank":   PassphraseFile(writeText(t, filepath.Join(t.TempDir(), "file"), "\n")),
	}
	for name, ask := range tests {
		t.Run(name, func(t *testing.T) {
			e := &EncryptedFile{Dir: private(t), Passphrase: ask, workFactor: 4}
			expectReason(t, "Probe", e.Probe(t.Context()), Locked)
			expectReason(t, "Save", e.Save(t.Context(), keyA, nil), Locked)
			expectFiles(t, e.Dir)
		})
	}
}

func TestPassphraseFile(t *testing.T) {
	dir := private(t)
	mustSave(t, withPassphrase(dir, " with spaces "), keyA, "record")
	for _, ending := range []string{"", "\n", "\r\n"} {
		file := writeText(t, filepath.Join(t.TempDir(), "file"), " with spaces "+ending)
		e := &EncryptedFile{Dir: dir, Passphrase: PassphraseFile(file)}
		if got := mustLoad(t, e, keyA); got != "record" {
			t.Errorf("%q: loaded %q", ending, got)
		}
	}
}

// TestPassphraseCanBeLeft: whoever is asked can leave, and nobody else waits for
// that longer than they want.
func TestPassphraseCanBeLeft(t *testing.T) {
	asked := make(chan struct{})
	e := &EncryptedFile{Dir: private(t), workFactor: 4, Passphrase: func(ctx context.Context, _ bool) (grant.Secret, error) {
		close(asked)
		<-ctx.Done()
		return "", ctx.Err()
	}}
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { left <- e.Probe(ctx) }()
	<-asked
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := e.Probe(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for the other: %v", err)
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("after leaving: %v", err)
	}

	// Also while scrypt is at work.
	slow := withPassphrase(private(t), "x")
	slow.workFactor = 0
	ctx, leave = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer leave()
	start := time.Now()
	if err := slow.Probe(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("during scrypt: %v", err)
	}
	if took := time.Since(start); took > 200*time.Millisecond {
		t.Errorf("it took %v to leave", took)
	}
}

func wrapText(t *testing.T, text, passphrase string, workFactor int) string {
	t.Helper()
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	recipient.SetWorkFactor(workFactor)
	wrapped, err := encrypt([]byte(text), recipient)
	if err != nil {
		t.Fatal(err)
	}
	return string(wrapped)
}
