package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestQuickVerbs: what is left out of the tree, so that a verb is quick, must not be
// missed.
func TestQuickVerbs(t *testing.T) {
	for _, line := range []string{
		"token --help", "token -h", "token more", "token --isuer x", "token --help --output json", "token --min-ttl=-1s", "token help",
		"token --output yaml", "token --callback-path", "token --format x", "token --formt x", "token -x", "token --scope x", "token login",
		"exec", "exec --help", "exec --env 1 -- x", "exec --ev x", "exec --no-browsr x", "git-credential", "git-credential --help", "git-credential get more",
		"git-credential get --for-hst x", "docker-credential", "docker-credential -h", "docker-credential get more", "docker-credential gt",
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
		fmt.Fprint(&out, describe(context.Background(), err))
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

// TestStartsWithoutPreparations: nothing of ours is computed before main that a verb
// may not need. What a package allocates then is the same on every run.
func TestStartsWithoutPreparations(t *testing.T) {
	cmd := exec.Command(buildCommand(t), "version")
	cmd.Env = append(cmd.Environ(), "GODEBUG=inittrace=1")
	var trace bytes.Buffer
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	prepared := regexp.MustCompile(`init (main|` + module + `\S*) @.* (\d+) allocs`)
	packages := 0
	for line := range strings.Lines(trace.String()) {
		if strings.HasPrefix(line, "init ") {
			packages++
		}
		if found := prepared.FindStringSubmatch(line); found != nil {
			if n, _ := strconv.Atoi(found[2]); n > 25 { // errors and a few small maps
				t.Errorf("%s allocates %d times before main", found[1], n)
			}
		}
	}
	if packages < 20 {
		t.Errorf("the trace has %d packages:\n%s", packages, trace.String())
	}
}
