package store_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

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
		if err := p.Save(profile); err != nil {
			t.Fatal(err)
		}
	}
	wantB := b
	wantB.Default = true
	if got, want := list(t, p), []store.Profile{wantB, a, work}; !reflect.DeepEqual(got, want) {
		t.Errorf("list = %+v, want %+v", got, want)
	}

	if got, ok, err := p.Default(); err != nil || !ok || got != wantB {
		t.Errorf("Default = %+v, %v, %v; want %+v", got, ok, err, wantB)
	}
	if err := p.Remove(b); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := p.Default(); err != nil || ok {
		t.Errorf("Default after its removal = %+v, %v, %v; want none", got, ok, err)
	}
	if got, want := list(t, p), []store.Profile{a, work}; !reflect.DeepEqual(got, want) {
		t.Errorf("after removing the default: %+v, want %+v without a default", got, want)
	}
	if err := p.Remove(b); err != nil {
		t.Errorf("removing twice: %v", err)
	}
}

func TestProfilesPassOverForeignFiles(t *testing.T) {
	p := &store.Profiles{Dir: t.TempDir()}
	mine := store.Profile{Issuer: "https://a.example", ClientID: "cli"}
	if err := p.Save(mine); err != nil {
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
	if err := (&store.Profiles{Dir: filepath.Join(file, "profiles")}).Check(); err == nil {
		t.Error("Check accepted a directory below a file")
	}
	dir := t.TempDir()
	if err := (&store.Profiles{Dir: dir}).Check(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("Check left %v", left)
	}
}

func list(t *testing.T, p *store.Profiles) []store.Profile {
	t.Helper()
	profiles, err := p.List()
	if err != nil {
		t.Fatal(err)
	}
	return profiles
}
