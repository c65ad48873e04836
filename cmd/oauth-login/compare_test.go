package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// What differs from one run to the next, and what stands for it in a script. The order
// matters.
var varying = []struct{ pattern, stand string }{
	{`(?m)^ok +system .*\n`, ""}, // where there is something to say
	{`oauth-login [0-9]\S* (\([0-9a-f]+\) )?\S+/\S+ go\S+`, "oauth-login <version>"},
	{`::1 (can be listened on|cannot be listened on, which \S+ does not need)`, "::1 <is there or not>"},
	{`https?://\S+/authorize\?\S+`, "<page>"},
	{`\b127\.0\.0\.1:[0-9]+`, "127.0.0.1:<port>"},
	{`\[::1\]:[0-9]+`, "[::1]:<port>"},
	{`[0-9.]+ ms\b`, "<n> ms"},
	{`([0-9]{4}-[0-9]{2}-[0-9]{2} )?[0-9]{2}:[0-9]{2}:[0-9]{2}`, "<time>"},
	{`user-[0-9a-f]{16}`, "<user>"},
	{`(?m)by [0-9]s$`, "by <n>s"},
}

// compareLines: compare stdout|stderr FILE: what the last command has said there has
// these lines and no other ones, but for what varies. The order of the lines does not
// matter, as some of the steps go on side by side.
func compareLines(ts *testscript.TestScript, _ bool, args []string) {
	if got, want := linesOf(ts.ReadFile(args[0])), linesOf(ts.ReadFile(args[1])); !slices.Equal(got, want) {
		ts.Fatalf("%s has\n%s\n\nwant\n%s", args[0], strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func linesOf(text string) []string {
	for _, v := range varying {
		text = regexp.MustCompile(v.pattern).ReplaceAllString(text, v.stand)
	}
	return slices.Sorted(slices.Values(strings.Split(strings.TrimSpace(text), "\n")))
}
