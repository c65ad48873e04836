package main

import (
	"errors"
	"testing"

	"github.com/oauth-login/oauth-login/store"
)

// TestNameTakenMeanwhile: of two logins that take the same name while their people
// sign in, the second is not stored.
func TestNameTakenMeanwhile(t *testing.T) {
	p := &program{profiles: store.Profiles{Dir: t.TempDir()}}
	first := store.Profile{Issuer: "https://a.example", ClientID: "cli", Name: "work", Place: store.Place{Store: keychainStore}}
	second := first
	second.Issuer = "https://b.example"
	saved := 0
	save := func() error { saved++; return nil }
	if err := p.enlist(t.Context(), &options{}, first, save); err != nil {
		t.Fatal(err)
	}
	if err := p.enlist(t.Context(), &options{}, second, save); !errors.Is(err, errNameTaken) {
		t.Errorf("error %v", err)
	}
	if err := p.enlist(t.Context(), &options{}, first, save); err != nil {
		t.Errorf("the same login again: %v", err)
	}
	profiles, err := p.profiles.List()
	if saved != 2 || err != nil || len(profiles) != 1 || profiles[0].Issuer != first.Issuer {
		t.Errorf("saved %d times, list %+v, %v", saved, profiles, err)
	}
}

// TestOneNameForTwo: logins of one name, as old versions could make them, are told
// apart by what they are named in full.
func TestOneNameForTwo(t *testing.T) {
	profiles := []store.Profile{
		{Issuer: "https://a.example", ClientID: "cli", Name: "work"}, {Issuer: "https://b.example", ClientID: "cli", Name: "work"},
		{Issuer: "https://a.example", ClientID: "cli", Name: "home"},
	}
	want := []string{
		"--issuer https://a.example --client-id cli --profile work", "--issuer https://b.example --client-id cli --profile work", "--profile home",
	}
	for i, got := range commandLines(profiles) {
		if got != want[i] {
			t.Errorf("%s, want %s", got, want[i])
		}
	}
}
