package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// markdownPages returns the README and the pages of docs, by their paths in the repository.
func markdownPages(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{"README.md": read(t, "../../README.md")}
	paths, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(paths) < 7 {
		t.Fatalf("%q, %v", paths, err)
	}
	for _, path := range paths {
		pages["docs/"+filepath.Base(path)] = read(t, path)
	}
	return pages
}

var (
	aFlag    = regexp.MustCompile("(?:^|[\\s`'(])--([a-z][a-z0-9-]+)")
	aLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	aTest    = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z0-9]\\w*)`")
	aCommand = regexp.MustCompile(`(?m)^(?:\$ |ExecStart=/usr/bin/| {4})?oauth-login (.*)$`)
	anIssue  = regexp.MustCompile(`(?i)\bissue #?\d+|(?:^|\s)#\d+\b|/(?:tmp/wt|work|root|home/\w+)/`)
)

// ofOthers are flags of other programs that the pages speak of.
var ofOthers = []string{"profile-directory", "private-window", "codespace", "config", "unlock", "tags"}

// TestDocsNameFlagsThatThereAre: every flag, and every command line with its verb.
func TestDocsNameFlagsThatThereAre(t *testing.T) {
	known := map[string]bool{}
	for _, verb := range verbsOf((&program{}).rootCommand(&options{})) {
		verb.InitDefaultHelpFlag()
		verb.InheritedFlags()
		verb.Flags().VisitAll(func(flag *pflag.Flag) { known[flag.Name] = true })
	}
	commands := 0
	for name, page := range markdownPages(t) {
		for _, match := range aFlag.FindAllStringSubmatch(page, -1) {
			if !known[match[1]] && !slices.Contains(ofOthers, match[1]) {
				t.Errorf("%s: there is no flag --%s", name, match[1])
			}
		}
		for _, match := range aCommand.FindAllStringSubmatch(page, -1) {
			command, _, _ := strings.Cut(match[1], "  ") // a remark
			command, _, _ = strings.Cut(command, " 2> ")
			commands++
			if err := parses(command); err != nil {
				t.Errorf("%s: oauth-login %s: %v", name, match[1], err)
			}
		}
	}
	if commands < 30 {
		t.Errorf("only %d commands were found", commands)
	}
}

// TestDocsLinksLeadSomewhere: to a file of this repository, or to https; and the
// README leads to each page.
func TestDocsLinksLeadSomewhere(t *testing.T) {
	pages := markdownPages(t)
	for name, page := range pages {
		for _, match := range aLink.FindAllStringSubmatch(page, -1) {
			target, _, _ := strings.Cut(match[1], "#")
			if strings.HasPrefix(target, "https://") || target == "" {
				continue
			}
			if _, err := os.Stat(filepath.Join("../..", filepath.Dir(name), target)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if name != "README.md" && !strings.Contains(pages["README.md"], "("+name+")") {
			t.Errorf("the README has no link to %s", name)
		}
	}
}

// TestDocsNameTestsThatThereAre: a claim with a proof has one.
func TestDocsNameTestsThatThereAre(t *testing.T) {
	tests, named := testNames(t), 0
	for name, page := range markdownPages(t) {
		for _, match := range aTest.FindAllStringSubmatch(page, -1) {
			if named++; !tests[match[1]] {
				t.Errorf("%s: there is no %s", name, match[1])
			}
		}
		if name != "docs/security.md" {
			continue
		}
		for line := range strings.Lines(page) {
			if strings.HasPrefix(line, "| ") && !strings.Contains(line, "| Proof |") && !aTest.MatchString(line) {
				t.Errorf("%s: without a proof: %s", name, line)
			}
		}
	}
	if named < 60 {
		t.Errorf("only %d tests are named", named)
	}
}

// testNames returns what all test files of the repository define.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	definition := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == "node_modules" {
			return fs.SkipDir
		}
		if err == nil && strings.HasSuffix(path, "_test.go") {
			for _, match := range definition.FindAllStringSubmatch(read(t, path), -1) {
				names[match[1]] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestDocsAreTidy: lines of text fit on a screen, the README is short, and nothing
// speaks of one machine or of a number that readers cannot look up.
func TestDocsAreTidy(t *testing.T) {
	pages := markdownPages(t)
	for name, page := range pages {
		code, titles := false, 0
		for line := range strings.Lines(page) {
			line = strings.TrimSuffix(line, "\n")
			if strings.HasPrefix(line, "```") {
				code = !code
			}
			if !code && strings.HasPrefix(line, "# ") {
				titles++
			}
			if utf8.RuneCountInString(line) > 140 && !strings.HasPrefix(line, "|") && (!code || name == "README.md") {
				t.Errorf("%s: a line of %d: %s", name, utf8.RuneCountInString(line), line)
			}
			if anIssue.MatchString(line) || strings.TrimRight(line, " \t") != line {
				t.Errorf("%s: %q", name, line)
			}
		}
		if strings.Contains(page, "\n\n\n") || !strings.HasPrefix(page, "# ") || titles != 1 || code {
			t.Errorf("%s: two empty lines, not one title, or a block without an end", name)
		}
	}
	if lines := strings.Count(pages["README.md"], "\n"); lines > 200 {
		t.Errorf("the README has %d lines", lines)
	}
}

// TestDocsHaveTheExitCodes: all of them, with their names in docs/scripting.md.
func TestDocsHaveTheExitCodes(t *testing.T) {
	pages := markdownPages(t)
	for code, name := range exitNames() {
		number := strconv.Itoa(code)
		if !strings.Contains(pages["docs/scripting.md"], "\n| "+number+" | `"+name+"` |") {
			t.Errorf("docs/scripting.md does not have %d %s", code, name)
		}
		if !regexp.MustCompile(`\n\| (\d+, )?` + number + `(, \d+)? \|`).MatchString(pages["README.md"]) {
			t.Errorf("the README does not have %d", code)
		}
	}
}

// TestDocsHaveTheEvents: those that the source emits, the help page and docs/events.md
// are the same, and so are their members.
func TestDocsHaveTheEvents(t *testing.T) {
	emitted := map[string]bool{}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, match := range regexp.MustCompile(`Event: "(\w+)"`).FindAllStringSubmatch(read(t, path), -1) {
			emitted[match[1]] = true
		}
	}
	if len(emitted) < 16 {
		t.Errorf("the source has %v only", emitted)
	}
	page := read(t, "../../docs/events.md")
	described := map[string]bool{}
	for line := range strings.Lines(page) {
		if first, _, found := strings.Cut(strings.TrimPrefix(line, "| "), " |"); found && strings.HasPrefix(first, "`") {
			for _, name := range strings.Split(first, ", ") {
				described[strings.Trim(name, "`")] = true
			}
		}
	}
	delete(described, "event") // the heading
	for _, names := range []map[string]bool{emitted, described} {
		for name := range names {
			if !emitted[name] || !described[name] || !regexp.MustCompile(`\b`+name+`\b`).MatchString(eventsHelp) {
				t.Errorf("%s: emitted %t, in docs/events.md %t, or not in the help", name, emitted[name], described[name])
			}
		}
	}
	members := reflect.TypeFor[event]()
	for i := range members.NumField() {
		name, _, _ := strings.Cut(members.Field(i).Tag.Get("json"), ",")
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/events.md has no %s", name)
		}
	}
}
