package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// between returns the part of a text between two others.
func between(t *testing.T, text, before, after string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, before)
	part, _, ended := strings.Cut(rest, after)
	if !found || !ended {
		t.Fatalf("there is nothing between %q and %q", before, after)
	}
	return part
}

// TestReadmeRecipesWork runs the recipes of the README in a shell, against a provider
// and an API, and the words that kubectl and git would run.
func TestReadmeRecipesWork(t *testing.T) {
	readme := read(t, "../../README.md")
	opts := &issuer.Options{Clients: []issuer.Client{{ID: "my-cli"}}}
	opts.Device = onDevice(&issuer.Visitor{}, opts)
	provider := startProvider(t, opts)
	h := newHome(t)
	put := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	put("glab", "#!/bin/sh\necho \"glab $*\"; test -n \"$GITLAB_TOKEN\" && echo with a token\n", 0o755)
	if err := writeIdentity(filepath.Join(h.dir, ".login-key")); err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer("https://issuer.example", provider.URL(), "https://api.example/me", provider.URL()+"/userinfo")
	sh := func(command string) string {
		t.Helper()
		p := h.script(t, here.Replace(command))
		p.cmd.Env = append(p.cmd.Env, "PATH="+h.dir+":"+os.Getenv("PATH"))
		p.start(t)
		if code := p.wait(t); code != exitDone {
			t.Errorf("%s\nends with %d: %s", command, code, &p.stderr)
		}
		return p.stdout.String()
	}
	expect := func(command, want string) {
		t.Helper()
		if got := sh(command); !strings.Contains(got, want) {
			t.Errorf("%s\nprints %q", command, got)
		}
	}

	sh("oauth-login --issuer" + between(t, readme, "```sh\noauth-login --issuer", "  ")) // the first time
	recipes := strings.Split(between(t, readme, "exit code is 3.\n\n```sh\n", "\n```"), "\n")
	if len(recipes) != 3 {
		t.Fatalf("there are %d recipes", len(recipes))
	}
	if _, err := exec.LookPath("curl"); err == nil {
		expect(recipes[0], `"email":"ada@example.com"`)
	}
	expect(recipes[1], "glab repo list\nwith a token\n")
	expect(recipes[2]+"\necho ${#OAUTH_TOKEN}", "43") // letters of a token of this provider

	words := strings.NewReplacer(",", "", `"`, "").Replace(between(t, readme, "args: [", "]"))
	expect("oauth-login "+words, `"kind":"ExecCredential"`)
	helper := between(t, readme, `helper = "!`, `"`)
	expect("printf 'protocol=https\\nhost=git.example\\n\\n' | "+helper+" get", "username=oauth2\npassword=")
	for _, command := range strings.Split(between(t, readme, "needs nobody later.\n\n```sh\n", "\n```"), "\n") {
		sh(command)
	}
	expect("oauth-login status", "encrypted-file store")
}
