package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/store"
)

func TestProfiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "profiles")
	p := &store.Profiles{Dir: dir}
	if got := list(t, p); got != nil {
		t.Fatalf("a new list holds %v", got)
	}
	if _, ok, err := p.Default(); ok || err != nil {
		t.Fatalf("a new list has the default %v, %v", ok, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("reading made the directory")
	}

	a := store.Profile{Issuer: "https://a.example", ClientID: "cli"}
	b := store.Profile{Issuer: "https://b.example", ClientID: "cli", CACert: "/ca.pem"}
	work := store.Profile{Issuer: "https://a.example", ClientID: "cli", Name: "work"}
	for _, profile := range []store.Profile{a, work, b} {
		if err := p.Save(t.Context(), profile); err != nil {
			t.Fatal(err)
		}
	}
	wantB := b
	wantB.Default = true
	if got, want := list(t, p), []store.Profile{wantB, a, work}; !reflect.DeepEqual(got, want) {
		t.Errorf("list = %+v, want %+v", got, want)
	}

	if got, ok, err := p.Default(); err != nil || !ok || !reflect.DeepEqual(got, wantB) {
		t.Errorf("Default = %+v, %v, %v; want %+v", got, ok, err, wantB)
	}
	if err := p.Remove(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := p.Default(); err != nil || ok {
		t.Errorf("Default after its removal = %+v, %v, %v; want none", got, ok, err)
	}
	if got, want := list(t, p), []store.Profile{a, work}; !reflect.DeepEqual(got, want) {
		t.Errorf("after removing the default: %+v, want %+v without a default", got, want)
	}
	if err := p.Remove(t.Context(), b); err != nil {
		t.Errorf("removing twice: %v", err)
	}
}

func TestProfilesPassOverForeignFiles(t *testing.T) {
	p := &store.Profiles{Dir: t.TempDir()}
	mine := store.Profile{Issuer: "https://a.example", ClientID: "cli"}
	if err := p.Save(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"notes.txt":                             "x",
		"torn.json":                             `{"issuer":"https`,
		"00000000000000000000000000000000.json": `{"issuer":"https://evil.example","client_id":"cli"}`,
	} {
		if err := os.WriteFile(filepath.Join(p.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := list(t, p); len(got) != 1 || got[0].Issuer != mine.Issuer {
		t.Errorf("list = %+v", got)
	}
}

func TestProfilesCheckSaysWhenNothingCanBeSaved(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&store.Profiles{Dir: filepath.Join(file, "profiles")}).Check(t.Context()); err == nil {
		t.Error("Check accepted a directory below a file")
	}
	dir := t.TempDir()
	if err := (&store.Profiles{Dir: dir}).Check(t.Context()); err != nil {
		t.Error(err)
	}
	if left := visible(t, dir); len(left) != 0 {
		t.Errorf("Check left %v", left)
	}
}

// TestProfilesPlace: what says where the login is comes back.
func TestProfilesPlace(t *testing.T) {
	p := &store.Profiles{Dir: t.TempDir()}
	want := store.Profile{
		Issuer: "https://a.example", ClientID: "cli",
		Place: store.Place{Store: "encrypted-file", Dir: "/data", Identity: "/key", PassphraseFile: "/passphrase"},
		Left:  []store.Place{{Store: "keychain"}, {Store: "encrypted-file", Dir: "/other"}},
	}
	if err := p.Add(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if got := list(t, p); !reflect.DeepEqual(got, []store.Profile{want}) {
		t.Errorf("list = %+v, want %+v, and no default", got, want)
	}
}

// TestProfilesOfOldVersions: entries without a version and a place are read.
func TestProfilesOfOldVersions(t *testing.T) {
	p := &store.Profiles{Dir: t.TempDir()}
	want := store.Profile{Issuer: "https://a.example", ClientID: "cli"}
	if err := p.Add(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.Dir, visible(t, p.Dir)[0])
	if err := os.WriteFile(file, []byte(`{"issuer":"https://a.example","client_id":"cli"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := list(t, p); !reflect.DeepEqual(got, []store.Profile{want}) {
		t.Errorf("list = %+v, want %+v", got, want)
	}
	// Where it is, nobody knows; so it is not said to have left.
	want.Place.Store = "keychain"
	err := p.Enlist(t.Context(), want, func() error {
		if got := list(t, p); got[0].Left != nil {
			t.Errorf("during the save: %+v", got)
		}
		return nil
	})
	want.Default = true
	if got := list(t, p); err != nil || !reflect.DeepEqual(got, []store.Profile{want}) {
		t.Errorf("list = %+v, %v, want %+v", got, err, want)
	}
}

// TestProfilesOfNewerVersions: they are listed, and nothing changes them.
func TestProfilesOfNewerVersions(t *testing.T) {
	p := &store.Profiles{Dir: t.TempDir()}
	profile := store.Profile{Issuer: "https://a.example", ClientID: "cli"}
	if err := p.Save(t.Context(), profile); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.Dir, entry(t, p.Dir))
	newer := `{"version":2,"issuer":"https://a.example","client_id":"cli","place":{"store":"moon"},"left":{"store":"keychain"},"more":1}`
	if err := os.WriteFile(file, []byte(newer), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := list(t, p); len(got) != 1 || !got[0].Newer || got[0].Issuer != profile.Issuer || !got[0].Default {
		t.Errorf("list = %+v, want one that is newer", got)
	}
	if got, ok, err := p.Default(); !ok || err != nil || !got.Newer {
		t.Errorf("default = %+v, %v, %v, want one that is newer", got, ok, err)
	}
	for name, err := range map[string]error{
		"Save": p.Save(t.Context(), profile), "Add": p.Add(t.Context(), profile), "Remove": p.Remove(t.Context(), profile),
		"Leave": p.Leave(t.Context(), profile, func(store.Place) error {
			t.Error("a login is deleted that only a newer version knows the place of")
			return nil
		}),
	} {
		if !errors.Is(err, store.ErrNewer) {
			t.Errorf("%s: %v, want ErrNewer", name, err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != newer {
		t.Errorf("the entry is %s, %v", got, err)
	}
}

func TestProfilesPrune(t *testing.T) {
	p := &store.Profiles{Dir: filepath.Join(t.TempDir(), "profiles")}
	profile := store.Profile{Issuer: "https://a.example", ClientID: "cli"}
	trouble := errors.New("the store cannot be asked")
	answer := func(gone bool, err error) func() (bool, error) { return func() (bool, error) { return gone, err } }
	if pruned, err := p.Prune(t.Context(), profile, answer(true, nil)); pruned || err != nil {
		t.Errorf("without a list: %v, %v", pruned, err)
	}
	if err := p.Save(t.Context(), profile); err != nil {
		t.Fatal(err)
	}
	if pruned, err := p.Prune(t.Context(), profile, answer(false, nil)); pruned || err != nil {
		t.Errorf("one that is there: %v, %v", pruned, err)
	}
	if pruned, err := p.Prune(t.Context(), profile, answer(true, trouble)); pruned || !errors.Is(err, trouble) {
		t.Errorf("one that cannot be looked for: %v, %v", pruned, err)
	}
	if got := list(t, p); len(got) != 1 {
		t.Fatalf("list = %+v", got)
	}
	if pruned, err := p.Prune(t.Context(), profile, answer(true, nil)); !pruned || err != nil {
		t.Errorf("one that is gone: %v, %v", pruned, err)
	}
	if got := list(t, p); len(got) != 0 {
		t.Errorf("list = %+v", got)
	}
}

// TestProfilesPruneIsExclusive: a profile that is saved while somebody finds out
// that it is gone is on the list in the end.
func TestProfilesPruneIsExclusive(t *testing.T) {
	p := &store.Profiles{Dir: t.TempDir()}
	profile := store.Profile{Issuer: "https://a.example", ClientID: "cli"}
	if err := p.Save(t.Context(), profile); err != nil {
		t.Fatal(err)
	}
	saved := make(chan error, 1)
	pruned, err := p.Prune(t.Context(), profile, func() (bool, error) {
		go func() { saved <- (&store.Profiles{Dir: p.Dir}).Save(t.Context(), profile) }()
		select {
		case err := <-saved:
			t.Errorf("Save did not wait: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		return true, nil
	})
	if err != nil || !pruned {
		t.Errorf("%v, %v", pruned, err)
	}
	if err := <-saved; err != nil {
		t.Error(err)
	}
	if got := list(t, p); len(got) != 1 || !got[0].Default {
		t.Errorf("list = %+v, want the profile, as the default", got)
	}
}

// TestProfilesEnlist: the list and the login change together. The old place is
// listed until the new one holds the login, and is left then.
func TestProfilesEnlist(t *testing.T) {
	p := &store.Profiles{Dir: filepath.Join(t.TempDir(), "profiles")}
	keychain, files := store.Place{Store: "keychain"}, store.Place{Store: "encrypted-file", Dir: "/data"}
	at := func(place store.Place, left ...store.Place) store.Profile {
		return store.Profile{Issuer: "https://a.example", ClientID: "cli", Place: place, Left: left}
	}
	expect := func(when string, want ...store.Profile) {
		t.Helper()
		got := list(t, p)
		for i := range got {
			got[i].Default = false
		}
		if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", when, got, want)
		}
	}
	enlist := func(place store.Place, result error, during store.Profile) {
		t.Helper()
		called := false
		err := p.Enlist(t.Context(), at(place), func() error {
			called = true
			expect("during the save", during)
			return result
		})
		if !called || !errors.Is(err, result) {
			t.Errorf("called %v, error %v, want %v", called, err, result)
		}
	}
	leave := func(result error, want ...store.Place) {
		t.Helper()
		var left []store.Place
		err := p.Leave(t.Context(), at(keychain, files), func(place store.Place) error {
			left = append(left, place)
			return result
		})
		if !slices.Equal(left, want) || !errors.Is(err, result) {
			t.Errorf("left %+v, %v; want %+v, %v", left, err, want, result)
		}
	}
	trouble := errors.New("full")

	leave(nil)
	enlist(keychain, trouble, at(keychain))
	expect("after a first save that has failed")
	if _, ok, err := p.Default(); ok || err != nil {
		t.Errorf("default: %v, %v", ok, err)
	}
	enlist(keychain, nil, at(keychain))
	expect("after a save", at(keychain))
	if _, ok, err := p.Default(); !ok || err != nil {
		t.Errorf("default: %v, %v", ok, err)
	}
	leave(nil)

	enlist(files, trouble, at(keychain, files))
	expect("after a move that has failed", at(keychain))
	enlist(files, nil, at(keychain, files))
	expect("after a move", at(files, keychain))
	leave(trouble, keychain)
	expect("after the old place could not be left", at(files, keychain))
	enlist(files, nil, at(files, keychain))
	expect("after another save", at(files, keychain))
	leave(nil, keychain)
	expect("in the end", at(files))
}

// TestProfilesLeaveEveryPlace: a login that moves again before its copies could be
// deleted leaves them all, and one that comes back keeps what it has there.
func TestProfilesLeaveEveryPlace(t *testing.T) {
	p := &store.Profiles{Dir: t.TempDir()}
	a, b, c := store.Place{Store: "keychain"}, store.Place{Store: "encrypted-file", Dir: "/b"}, store.Place{Store: "encrypted-file", Dir: "/c"}
	profile := store.Profile{Issuer: "https://a.example", ClientID: "cli"}
	trouble := errors.New("locked")
	for _, test := range []struct {
		to     store.Place
		during []store.Place // to leave while it is saved
		after  []store.Place
	}{
		{a, nil, nil}, {b, []store.Place{b}, []store.Place{a}}, {c, []store.Place{a, c}, []store.Place{a, b}}, {a, []store.Place{a, b}, []store.Place{a, b, c}},
	} {
		profile.Place = test.to
		err := p.Enlist(t.Context(), profile, func() error {
			if got := list(t, p)[0].Left; !slices.Equal(got, test.during) {
				t.Errorf("on the way to %+v: %+v, want %+v", test.to, got, test.during)
			}
			return nil
		})
		if got := list(t, p)[0]; err != nil || got.Place != test.to || !slices.Equal(got.Left, test.after) {
			t.Errorf("at %+v: %+v, %v; want to leave %+v", test.to, got, err, test.after)
		}
	}
	var left []store.Place
	err := p.Leave(t.Context(), profile, func(place store.Place) error {
		if left = append(left, place); place == b {
			return trouble
		}
		return nil
	})
	if !slices.Equal(left, []store.Place{b, c}) || !errors.Is(err, trouble) {
		t.Errorf("left %+v, %v", left, err)
	}
	if got := list(t, p)[0].Left; !slices.Equal(got, []store.Place{b}) {
		t.Errorf("still to leave: %+v, want %+v", got, b)
	}
}

// TestProfilesOfSavesThatMayStillHappen: a login that a keychain may store after it
// has failed to answer is listed, and so is the place that a login may yet move to.
func TestProfilesOfSavesThatMayStillHappen(t *testing.T) {
	p := &store.Profiles{Dir: t.TempDir()}
	first, second := store.Place{Store: "keychain"}, store.Place{Store: "encrypted-file", Dir: "/b"}
	profile := store.Profile{Issuer: "https://a.example", ClientID: "cli", Place: first}
	for _, reason := range []store.Reason{store.Full, store.Denied, store.Locked, store.TimedOut} {
		failure := &store.UnavailableError{Reason: reason, Backend: "test"}
		if err := p.Enlist(t.Context(), profile, func() error { return failure }); !errors.Is(err, failure) {
			t.Errorf("%v: %v", reason, err)
		}
		if got := list(t, p); (len(got) == 1) != (reason == store.TimedOut) {
			t.Errorf("%v: %+v", reason, got)
		}
	}
	if _, ok, err := p.Default(); ok || err != nil {
		t.Errorf("it is the default: %v, %v", ok, err)
	}
	if err := p.Save(t.Context(), profile); err != nil {
		t.Fatal(err)
	}
	profile.Place = second
	_ = p.Enlist(t.Context(), profile, func() error { return &store.UnavailableError{Reason: store.TimedOut} })
	if got := list(t, p)[0]; got.Place != first || !slices.Equal(got.Left, []store.Place{second}) {
		t.Errorf("after a move that may still happen: %+v", got)
	}
}

// TestProfilesReadIsBounded: what is no entry takes neither memory nor time.
func TestProfilesReadIsBounded(t *testing.T) {
	p := &store.Profiles{Dir: t.TempDir()}
	profile := store.Profile{Issuer: "https://a.example", ClientID: "cli"}
	if err := p.Save(t.Context(), profile); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.Dir, entry(t, p.Dir))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, bytes.Repeat([]byte(" "), 1<<20)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := list(t, p); len(got) != 0 {
		t.Errorf("list = %+v", got)
	}
	if err := p.Save(t.Context(), profile); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Save: %v", err)
	}
}

// TestProfilesLeaveNothingOfTheirOwn: a place is not left while it is the one of
// the login, whatever the list says.
func TestProfilesLeaveNothingOfTheirOwn(t *testing.T) {
	p := &store.Profiles{Dir: t.TempDir()}
	place := store.Place{Store: "encrypted-file", Dir: "/data", Identity: "/new"}
	old := place
	old.Identity = "/old"
	profile := store.Profile{Issuer: "https://a.example", ClientID: "cli", Place: place, Left: []store.Place{old}}
	if err := p.Add(t.Context(), profile); err != nil {
		t.Fatal(err)
	}
	if err := p.Leave(t.Context(), profile, func(store.Place) error { t.Error("the login was removed"); return nil }); err != nil {
		t.Error(err)
	}
	if got := list(t, p); got[0].Left != nil {
		t.Errorf("list = %+v", got)
	}
}

// visible returns the names of the files in a directory, but the lock's.
func visible(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != ".lock" {
			names = append(names, entry.Name())
		}
	}
	return names
}

// entry returns the name of the only profile's file.
func entry(t *testing.T, dir string) string {
	t.Helper()
	names := slices.DeleteFunc(visible(t, dir), func(name string) bool { return name == "default" })
	if len(names) != 1 {
		t.Fatalf("files %q", names)
	}
	return names[0]
}

func list(t *testing.T, p *store.Profiles) []store.Profile {
	t.Helper()
	profiles, err := p.List()
	if err != nil {
		t.Fatal(err)
	}
	return profiles
}

// TestProfilesEnlistWaitsForAnother: a login that waits for the lock of its record
// has the list meanwhile. Another one, whose tokens are there already, loses them
// if it does not wait as long as that may take.
func TestProfilesEnlistWaitsForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "profiles")
		enlist := func(clientID string, takes time.Duration) error {
			profile := store.Profile{Issuer: "https://a.example", ClientID: clientID}
			return (&store.Profiles{Dir: dir}).Enlist(t.Context(), profile, func() error {
				time.Sleep(takes)
				return nil
			})
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := enlist("slow", time.Minute); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if err := enlist("quick", 0); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
}
