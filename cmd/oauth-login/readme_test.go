package main

import (
	"os"
	"strings"
	"testing"
)

// TestReadmeShowsTheExample keeps the code in the README the same as the
// example of package store, which the compiler has seen.
func TestReadmeShowsTheExample(t *testing.T) {
	readme, example := read(t, "../../README.md"), read(t, "../../store/example_test.go")
	_, code, found := strings.Cut(readme, "```go\n")
	code, _, _ = strings.Cut(code, "```")
	if !found || strings.Count(code, "\n") > 10 {
		t.Fatalf("the README's example is missing or longer than ten lines:\n%s", code)
	}
	for line := range strings.Lines(code) {
		if !strings.Contains(example, "\t"+line) {
			t.Errorf("the README has a line that the example of package store does not have:\n%s", line)
		}
	}
}

// TestReadmeNamesEveryVerb keeps the table of commands complete.
func TestReadmeNamesEveryVerb(t *testing.T) {
	readme := read(t, "../../README.md")
	for _, verb := range (&program{}).rootCommand(&options{}).Commands() {
		if !strings.Contains(readme, verb.Name()) {
			t.Errorf("the README does not mention %q", verb.Name())
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
