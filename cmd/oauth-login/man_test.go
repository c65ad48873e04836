package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/oauth-login/oauth-login/grant"
)

// The manual pages are made here, so that the command does not carry what makes
// them: `make man DIR=...`.
var manDir = flag.String("man", "", "write the manual pages to this `directory`")

// manualPages returns the page of the command and of each verb, by the name of its
// file.
func manualPages(root *cobra.Command) map[string]string {
	pages := map[string]string{}
	for _, verb := range verbsOf(root) {
		verb.InitDefaultHelpFlag()
		verb.InheritedFlags()
		pages[manualName(verb)+".1"] = manualPage(root, verb)
	}
	return pages
}

func manualName(verb *cobra.Command) string { return strings.ReplaceAll(verb.CommandPath(), " ", "-") }

func manualPage(root, verb *cobra.Command) string {
	var b strings.Builder
	name := manualName(verb)
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"oauth\\-login %s\" \"oauth\\-login\"\n.nh\n.ad l\n", roff(strings.ToUpper(name)), roff(grant.Version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(strings.ToLower(verb.Short[:1])+verb.Short[1:]))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n\\fB%s\\fR%s\n", roff(verb.CommandPath()), roff(strings.TrimPrefix(verb.UseLine(), verb.CommandPath())))
	text := verb.Long
	if text == "" {
		text = verb.Short + "."
	}
	b.WriteString(".SH DESCRIPTION\n" + manualText(text))
	if verb == root {
		b.WriteString(".SH COMMANDS\n")
		for _, group := range verbGroups {
			for _, name := range group.names {
				fmt.Fprintf(&b, ".TP\n\\fB%s\\fR\n%s\n", roff(name), roff(verbOf(root, name).Short))
			}
		}
	}
	b.WriteString(".SH OPTIONS\n" + manualFlags(verb.Flags()))
	if examples := verbExamples()[verb.Name()]; examples != "" {
		b.WriteString(".SH EXAMPLES\n" + manualText(examples))
	}
	b.WriteString(".SH ENVIRONMENT\n" + manualText(defaultsHelp) + ".SH EXIT STATUS\n" + manualText(exitHelp) + ".SH SEE ALSO\n")
	var others []string
	for _, other := range verbsOf(root) {
		if other != verb {
			others = append(others, "\\fB"+roff(manualName(other))+"\\fR(1)")
		}
	}
	b.WriteString(strings.Join(others, ",\n") + "\n")
	return b.String()
}

// manualText is a text with its paragraphs. Lines that are indented stay as they are.
func manualText(text string) string {
	var b strings.Builder
	literal, parted := false, false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			parted = true
			continue
		}
		if indented := strings.HasPrefix(line, "  "); indented != literal {
			literal, parted = indented, false
			text := map[bool]string{true: ".PP\n.RS 4\n.nf\n", false: ".fi\n.RE\n.PP\n"}[literal]
			if b.Len() == 0 {
				text = strings.TrimPrefix(text, ".PP\n") // the heading parts it from what is above
			}
			b.WriteString(text)
		}
		if parted {
			b.WriteString(map[bool]string{true: "\\&\n", false: ".PP\n"}[literal])
		}
		parted = false
		b.WriteString(roff(strings.TrimPrefix(line, "  ")) + "\n")
	}
	if literal {
		b.WriteString(".fi\n.RE\n")
	}
	return b.String()
}

func manualFlags(flags *pflag.FlagSet) string {
	var b strings.Builder
	for _, group := range flagGroups {
		title := fmt.Sprintf(".SS %s\n", roff(group.title))
		for _, name := range group.names {
			flag := flags.Lookup(name)
			if flag == nil || flag.Hidden {
				continue
			}
			words, value, _ := strings.Cut(strings.Replace(flagWords(flag), ", ", ",", 1), " ")
			fmt.Fprintf(&b, "%s.TP\n\\fB%s\\fR", title, roff(strings.Replace(words, ",", ", ", 1)))
			if title = ""; value != "" {
				fmt.Fprintf(&b, " \\fI%s\\fR", roff(value))
			}
			b.WriteString("\n" + roff(flagText(flag)) + "\n")
		}
	}
	return b.String()
}

// roff keeps every character what it is (groff_char(7)), and a line from being taken
// for a request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}

// TestManPages: there is a page for the command and each verb, and it says what the
// help page says. With -man, the pages are written.
func TestManPages(t *testing.T) {
	dir := *manDir
	if dir == "" {
		dir = t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	root := (&program{}).rootCommand(&options{})
	pages := manualPages(root)
	if len(pages) != len(root.Commands())+1 || pages["oauth-login.1"] == "" || pages["oauth-login-git-credential.1"] == "" {
		t.Fatalf("there are %d pages", len(pages))
	}
	for name, page := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, verb := range verbsOf(root) {
		checkManual(t, verb, filepath.Join(dir, manualName(verb)+".1"))
	}
}

// checkManual reads a page as the person does, where there is a man.
func checkManual(t *testing.T, verb *cobra.Command, path string) {
	t.Helper()
	shown, source := "", read(t, path)
	if man, err := exec.LookPath("man"); err == nil && strings.Contains(helpOf(man), "--warnings") {
		cmd := exec.Command(man, "--warnings=w", "-E", "ascii", "-l", path)
		cmd.Env = append(os.Environ(), "MANWIDTH=200", "MAN_KEEP_FORMATTING=", "PAGER=cat", "MANROFFSEQ=")
		var warnings strings.Builder
		cmd.Stderr = &warnings
		out, err := cmd.Output()
		if err != nil || warnings.Len() > 0 {
			t.Errorf("%s: %v\n%s", path, err, &warnings)
		}
		shown = strings.Join(strings.Fields(string(out)), " ")
	}
	if mandoc, err := exec.LookPath("mandoc"); err == nil {
		out, _ := exec.Command(mandoc, "-T", "lint", "-W", "warning", path).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "missing date") { // the same source makes the same page on every day
				t.Error(line)
			}
		}
	}
	verb.Flags().VisitAll(func(flag *pflag.Flag) {
		if !strings.Contains(source, roff("--"+flag.Name)+`\fR`) {
			t.Errorf("%s lacks --%s", path, flag.Name)
		}
		if text := strings.Join(strings.Fields(flagWords(flag)+" "+flagText(flag)), " "); shown != "" && !strings.Contains(shown, text) {
			t.Errorf("%s does not show %q", path, text)
		}
	})
	for line := range strings.Lines(verb.Long) {
		if text := strings.Join(strings.Fields(line), " "); shown != "" && !strings.Contains(shown, text) {
			t.Errorf("%s does not show %q", path, text)
		}
	}
}

func helpOf(program string) string {
	out, _ := exec.Command(program, "--help").CombinedOutput()
	return string(out)
}
