package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestVersionNeedsNoWholeTree: what is left out of the tree, so that `version` is
// quick, must not be missed.
func TestVersionNeedsNoWholeTree(t *testing.T) {
	for _, line := range []string{
		"version", "version --output json", "version --help", "version -h", "version --verbose", "version more",
		"version --issuer x", "version --output yaml", "version help", "version login",
	} {
		args := strings.Fields(line)
		pruned := answerOf(args, func(p *program) *cobra.Command { return p.commandFor(args, &options{}) })
		whole := answerOf(args, func(p *program) *cobra.Command { return p.rootCommand(&options{}) })
		if pruned != whole || whole == "" {
			t.Errorf("%s: %q, with the whole tree %q", line, pruned, whole)
		}
	}
}

// answerOf returns what the command prints, and its error.
func answerOf(args []string, build func(p *program) *cobra.Command) string {
	var out bytes.Buffer
	p := &program{in: strings.NewReader(""), out: &out, err: &out, getenv: func(string) string { return "" }}
	root := build(p)
	root.SetArgs(args)
	if err := root.Execute(); err != nil {
		out.WriteString(err.Error())
	}
	return out.String()
}

// TestEndsAtOnce: Ctrl-C has to find the tidy way out of everything that waits.
func TestEndsAtOnce(t *testing.T) {
	for line, want := range map[string]bool{
		"version": true, "--help": true, "-h": true, "help token": true, "login --help": true,
		"": false, "login": false, "token": false, "--profile --help": false, "--issuer -h": false, "login --client-id --help": false,
	} {
		if got := endsAtOnce(strings.Fields(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
