package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// everyPage returns the help page of each verb, by its name, as the command prints
// it; "" is the command itself.
func everyPage(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{"": printed(t, "--help")}
	for _, verb := range (&program{}).rootCommand(&options{}).Commands() {
		pages[verb.Name()] = printed(t, "help", verb.Name())
	}
	if len(pages) < 13 {
		t.Fatalf("there are %d pages only", len(pages))
	}
	return pages
}

func printed(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	p := &program{in: strings.NewReader(""), out: &out, err: &out, getenv: func(string) string { return "" }}
	if code := p.run(t.Context(), args); code != exitDone {
		t.Fatalf("%q: exit code %d\n%s", args, code, &out)
	}
	return out.String()
}

// TestHelpFitsTheTerminal: 80 columns are enough for every line of every page.
func TestHelpFitsTheTerminal(t *testing.T) {
	for name, page := range everyPage(t) {
		for line := range strings.Lines(page) {
			if line = strings.TrimSuffix(line, "\n"); utf8.RuneCountInString(line) > helpColumns || strings.TrimRight(line, " ") != line {
				t.Errorf("help %s: %q", name, line)
			}
		}
	}
}

// TestHelpBeginsWithWhatMostNeed: three commands, before anything else that can be
// typed.
func TestHelpBeginsWithWhatMostNeed(t *testing.T) {
	var commands []string
	for line := range strings.Lines(everyPage(t)[""]) {
		if strings.HasPrefix(line, "  oauth-login") {
			commands = append(commands, strings.Fields(line)[1])
		}
		if strings.Contains(line, "Logins:") {
			break
		}
	}
	if !slices.Equal(commands, []string{"--issuer", "token", "logout"}) {
		t.Errorf("it begins with %q", commands)
	}
}

// TestHelpShowsEverything: each verb and each flag of a verb is in one group, with
// its default; no group names what there is not; and each page says what the
// environment does, once.
func TestHelpShowsEverything(t *testing.T) {
	root, pages := (&program{}).rootCommand(&options{}), everyPage(t)
	verbs, flags := map[string]bool{}, map[string]bool{}
	for _, verb := range root.Commands() {
		verbs[verb.Name()] = true
		page := pages[verb.Name()]
		if n := strings.Count(page, "OAUTH_LOGIN_CLIENT_ID for --client-id"); n != 1 {
			t.Errorf("help %s speaks of the environment %d times", verb.Name(), n)
		}
		verb.InitDefaultHelpFlag()
		verb.InheritedFlags()
		verb.Flags().VisitAll(func(flag *pflag.Flag) {
			flags[flag.Name] = true
			line := "  " + flagWords(flag)
			text := strings.Join(strings.Fields(flagText(flag)), " ")
			if _, after, found := strings.Cut(page, "\n"+line); !found || !strings.HasPrefix(strings.Join(strings.Fields(after), " "), text) {
				t.Errorf("help %s does not show %q: a flag has to be in one of flagGroups", verb.Name(), line)
			}
			if value := flag.DefValue; flag.Value.Type() == "string" && value != "" && !strings.Contains(text, "default: "+value) {
				t.Errorf("--%s does not show its default %s", flag.Name, value)
			}
		})
	}
	checkGroups(t, verbGroups, verbs)
	checkGroups(t, flagGroups, flags)
}

func checkGroups(t *testing.T, groups []helpGroup, there map[string]bool) {
	t.Helper()
	grouped := map[string]int{}
	for _, group := range groups {
		for _, name := range group.names {
			if grouped[name]++; !there[name] {
				t.Errorf("%s: there is no %s", group.title, name)
			}
		}
	}
	for name := range there {
		if grouped[name] != 1 {
			t.Errorf("%s is in %d groups", name, grouped[name])
		}
	}
}

// TestExamplesOfHelpAreRight: what a page shows can be typed. Verbs and flags are
// those that there are.
func TestExamplesOfHelpAreRight(t *testing.T) {
	examples := 0
	for name, page := range everyPage(t) {
		for line := range strings.Lines(page) {
			if _, command, found := strings.Cut(line, "oauth-login "); found && strings.HasPrefix(line, "  ") && !strings.Contains(line, "Usage") {
				examples++
				if err := parses(command); err != nil {
					t.Errorf("help %s: %q: %v", name, line, err)
				}
			}
		}
	}
	if examples < 25 {
		t.Errorf("only %d examples were found", examples)
	}
}

// parses reports what is wrong with the verb and the flags of a command, up to what
// a shell would do next.
func parses(command string) error {
	for _, end := range []string{" | ", " > ", ")", ` \`, "[flags]", ` "$@"`} {
		command, _, _ = strings.Cut(command, end)
	}
	root := (&program{}).rootCommand(&options{})
	verb, rest, err := root.Find(strings.Fields(strings.Trim(strings.TrimSpace(command), "'\"")))
	if err != nil {
		return err
	}
	if verb == root && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return fmt.Errorf("there is no verb %s", rest[0])
	}
	verb.InitDefaultHelpFlag()
	verb.InheritedFlags()
	return verb.Flags().Parse(rest)
}

// TestMistakesInWordsAreUnderstood: what was probably meant is said in one line.
func TestMistakesInWordsAreUnderstood(t *testing.T) {
	for line, hint := range map[string]string{
		"--clientid x":        "did you mean --client-id? 'oauth-login login --help' shows the flags",
		"-issuer=x":           "did you mean --issuer? 'oauth-login login --help' shows the flags",
		"login --scopes x":    "did you mean --scope? 'oauth-login login --help' shows the flags",
		"token --form raw":    "did you mean --format? 'oauth-login token --help' shows the flags",
		"tokn --format raw":   "did you mean 'oauth-login token'? 'oauth-login --help' shows the commands",
		"log-out":             "did you mean 'oauth-login logout'? 'oauth-login --help' shows the commands",
		"help tokn":           "did you mean 'oauth-login token'? 'oauth-login --help' shows the commands",
		"token extra":         "'oauth-login token --help' shows the flags",
		"token --format x":    "'oauth-login token --help' shows the flags",
		"status --output x":   "'oauth-login status --help' shows the flags",
		"--port x":            "'oauth-login login --help' shows the flags",
		"status --format raw": "'oauth-login status --help' shows the flags",
		"login --issuer":      "'oauth-login login --help' shows the flags",
		"exec":                "for example: oauth-login exec -- env",
		"exec glab":           "for example: oauth-login exec -- glab",
		"exec glab --repo x":  "for example: oauth-login exec -- glab",
		"exec --evn X -- a":   "did you mean --env? 'oauth-login exec --help' shows the flags",
		"-x":                  "'oauth-login login --help' shows the flags",
		"x":                   "'oauth-login --help' shows the commands",
	} {
		var out, err bytes.Buffer
		p := &program{in: strings.NewReader(""), out: &out, err: &err, getenv: func(string) string { return "" }}
		code := p.run(t.Context(), strings.Fields(line))
		if lines := strings.Split(err.String(), "\n"); code != exitUsage || out.Len() > 0 || len(lines) != 3 || lines[1] != "hint: "+hint {
			t.Errorf("%s: exit code %d, %q, %q", line, code, &out, &err)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for words, want := range map[[2]string]int{
		{"", ""}: 0, {"a", ""}: 1, {"", "ab"}: 2, {"token", "token"}: 0, {"tokn", "token"}: 1, {"kitten", "sitting"}: 3, {"clientid", "client-id"}: 1,
	} {
		if got := editDistance(words[0], words[1]); got != want || editDistance(words[1], words[0]) != want {
			t.Errorf("%q: %d", words, got)
		}
	}
}

// verbsOf returns the command and its verbs.
func verbsOf(root *cobra.Command) []*cobra.Command {
	return append([]*cobra.Command{root}, root.Commands()...)
}
