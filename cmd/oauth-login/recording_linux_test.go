package main

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// TestReadmeShowsARealTerminal types what the README shows, at a terminal of 80
// columns. "..." there stands for what is left out, and a time for any other.
func TestReadmeShowsARealTerminal(t *testing.T) {
	_, recording, _ := strings.Cut(read(t, "../../README.md"), "```console\n$ ")
	recording, _, found := strings.Cut(recording, "```")
	if !found {
		t.Fatal("the README shows no terminal")
	}
	provider := startProvider(t, &issuer.Options{Clients: []issuer.Client{{ID: "my-cli"}}})
	h := newHome(t)
	api := provider.URL() + "/userinfo"
	there := strings.NewReplacer("https://issuer.example", provider.URL(), "https://api.example/me", api)
	back := strings.NewReplacer(api, "https://api.example/me", provider.URL(), "https://issuer.example")
	for _, step := range strings.Split(recording, "\n$ ") {
		command, want, _ := strings.Cut(step, "\n")
		if _, err := exec.LookPath("curl"); err != nil && strings.Contains(command, "curl ") {
			continue
		}
		got := show(t, h.script(t, there.Replace(command)), 80, []string{"NO_COLOR=1", "FAKE_KEYCHAIN_NAME=Secret Service"})
		if got = strings.TrimSpace(back.Replace(got)); !asShown(strings.TrimSpace(want)).MatchString(got) {
			t.Errorf("$ %s\n%s\nshows\n%s", command, want, got)
		}
	}
}

// asShown is a pattern for what the README shows.
func asShown(text string) *regexp.Regexp {
	pattern := regexp.QuoteMeta(text)
	pattern = strings.ReplaceAll(pattern, `\.\.\.`, `[^\n]*`)
	pattern = regexp.MustCompile(`\d\d:\d\d:\d\d`).ReplaceAllString(pattern, `\d\d:\d\d:\d\d`)
	pattern = regexp.MustCompile(`\d{4}-\d\d-\d\d`).ReplaceAllString(pattern, `\d{4}-\d\d-\d\d`)
	return regexp.MustCompile("^" + pattern + "$")
}
