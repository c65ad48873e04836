package main

import (
	"os"
	"strings"
	"testing"
)

// TestReadmeShowsTheExample keeps the code in the README the same as the first
// example of package store, whose twin runs.
func TestReadmeShowsTheExample(t *testing.T) {
	readme, source := read(t, "../../README.md"), read(t, "../../store/example_test.go")
	_, code, found := strings.Cut(readme, "```go\n")
	code, _, _ = strings.Cut(code, "```")
	if !found || strings.Count(code, "\n") > 10 {
		t.Fatalf("the README's example is missing or longer than ten lines:\n%s", code)
	}
	_, example, _ := strings.Cut(source, "func Example() {\n")
	example, _, _ = strings.Cut(example, "\n}\n")
	if want := unindented(code) + "show(resp, err)"; unindented(example) != want {
		t.Errorf("the README has\n%s\nand the example of package store is\n%s", code, example)
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
