package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/oauth-login/oauth-login/store"
)

// offered returns what a shell would offer for the last of some words, of which it
// drops what does not begin so, and whether it would offer files as well. Nothing
// else may be said, on either stream.
func offered(t *testing.T, p *program, words ...string) (choices []string, files bool) {
	t.Helper()
	var out, err bytes.Buffer
	p.out, p.err = &out, &err
	if code := p.run(t.Context(), append([]string{cobra.ShellCompNoDescRequestCmd}, words...)); code != exitDone || err.Len() > 0 {
		t.Fatalf("%q: exit code %d, %q", words, code, &err)
	}
	lines := strings.Fields(out.String())
	if len(lines) == 0 || !strings.HasPrefix(lines[len(lines)-1], ":") {
		t.Fatalf("%q: %q", words, &out)
	}
	typed := words[len(words)-1]
	typed = typed[strings.IndexByte(typed, '=')+1:]
	for _, choice := range lines[:len(lines)-1] {
		if strings.HasPrefix(choice, typed) {
			choices = append(choices, choice)
		}
	}
	return choices, lines[len(lines)-1] == ":0"
}

// TestCompletionOffers: verbs, flags and values, for every shell, as all of them ask
// in the same words. A keychain that fails shows that none is asked.
func TestCompletionOffers(t *testing.T) {
	p := newTestProgram(t).program
	p.keychain = nil
	p.getenv = func(name string) string {
		return map[string]string{"OAUTH_LOGIN_OUTPUT": "nonsense", "OAUTH_LOGIN_EVENTS": "json", "OAUTH_LOGIN_TIMEOUT": "nonsense"}[name]
	}
	p.profiles.Dir = t.TempDir()
	for _, profile := range []store.Profile{
		{Issuer: "https://a.example", ClientID: "one", Name: "home"}, {Issuer: "https://b.example", ClientID: "two", Name: "work"},
		{Issuer: "https://b.example", ClientID: "three"}, {Issuer: "https://a.example", ClientID: "two"}, {Issuer: "https://a.example", ClientID: "t$(x)"},
	} {
		if err := p.profiles.Add(t.Context(), profile); err != nil {
			t.Fatal(err)
		}
	}
	for words, want := range map[string]string{
		"lo":                          "login logout",
		"--client-s":                  "--client-secret-file",
		"token --output ":             "text json",
		"token --output=":             "text json",
		"status --events ":            "json",
		"--store ":                    "keychain encrypted-file none",
		"token --format e":            "env exec-credential",
		"login --client-auth client_": "client_secret_basic client_secret_post client_secret_jwt",
		"--client-auth ":              "none client_secret_basic client_secret_post client_secret_jwt private_key_jwt tls_client_auth self_signed_tls_client_auth",
		"--response-mode ":            "query form_post jwt form_post.jwt",
		"logout --profile ":           "home work",
		"token --issuer https://b.example --profile ": "work",
		"--issuer ":            "https://a.example https://b.example",
		"status --client-id t": "two three",
		"git-credential ":      "get store erase",
		"git-credential get ":  "",
		"docker-credential ":   "get store erase list",
		"completion ":          "bash zsh fish powershell",
		"help tok":             "token",
		"--provider s":         "salesforce slack spotify",
		"providers g":          "github google gitlab",
		"providers github ":    "",
		"login ":               "",
		"token --min-ttl ":     "",
	} {
		got, files := offered(t, p, strings.Split(words, " ")...)
		slices.Sort(got)
		expected := strings.Fields(want)
		if slices.Sort(expected); !slices.Equal(got, expected) || files {
			t.Errorf("%q: %q, files %t", words, got, files)
		}
	}
	for _, words := range []string{"--client-key ", "token --ca-cert ", "--browser ", "exec -- ", "logout --store-identity "} {
		if got, files := offered(t, p, strings.Split(words, " ")...); len(got) > 0 || !files {
			t.Errorf("%q: %q, files %t", words, got, files)
		}
	}
}

// TestCompletionKnowsEveryFlag: what stands after a flag is a file, a command, or
// something that completion.go names.
func TestCompletionKnowsEveryFlag(t *testing.T) {
	p := newTestProgram(t).program
	p.profiles.Dir = t.TempDir()
	for _, verb := range verbsOf(p.rootCommand(&options{})) {
		if verb.Name() == "help" {
			continue
		}
		verb.InheritedFlags()
		verb.Flags().VisitAll(func(flag *pflag.Flag) {
			value, _ := pflag.UnquoteUsage(flag)
			if flag.NoOptDefVal != "" || flag.Name == "lock-dir" { // a switch, and directories
				return
			}
			words := []string{"--" + flag.Name, ""}
			if verb.HasParent() {
				words = append([]string{verb.Name()}, words...)
			}
			if _, files := offered(t, p, words...); files != (value == "FILE" || value == "COMMAND") {
				t.Errorf("%s: files are offered for %s: %t", verb.Name(), value, files)
			}
		})
	}
}

// TestCompletionNamesWhatVerbsTake: a value that is offered is one that is taken.
func TestCompletionNamesWhatVerbsTake(t *testing.T) {
	for flag, check := range map[string]func(o *options, value string) error{
		"format": func(o *options, value string) error {
			o.format = value
			return (&program{getenv: func(string) string { return "" }}).checkFormat(o)
		},
		"store": func(o *options, value string) error { o.store = value; _, err := o.place(store.Place{}); return err },
	} {
		for _, completion := range flagValues()[flag] {
			value, _, _ := strings.Cut(completion, "\t")
			o := &options{variable: "X", given: func(string) bool { return value == formatExecCredential }}
			if err := check(o, value); err != nil {
				t.Errorf("--%s %s: %v", flag, value, err)
			}
		}
	}
}

// TestCompletionScripts: each shell has one, which names itself, and the page says
// how each is installed.
func TestCompletionScripts(t *testing.T) {
	page := printed(t, "completion", "--help")
	for shell, word := range map[string]string{
		"bash": "complete -o default", "zsh": "#compdef oauth-login", "fish": "complete -c oauth-login", "powershell": "Register-ArgumentCompleter",
	} {
		if script := printed(t, "completion", shell); !strings.Contains(script, word) || !strings.Contains(page, "oauth-login completion "+shell) {
			t.Errorf("%s: the script has no %q, or the page no installation", shell, word)
		}
	}
}
