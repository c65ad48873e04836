package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEmbeddingShowsWhatRuns: every line of code in docs/embedding.md stands in a
// test, together with those around it.
func TestEmbeddingShowsWhatRuns(t *testing.T) {
	tests := ""
	for _, pkg := range []string{"grant", "loopback", "store", "issuertest"} {
		paths, err := filepath.Glob(filepath.Join("..", "..", pkg, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			tests += unindented(read(t, path))
		}
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, "../../docs/embedding.md"), -1)
	if len(blocks) < 8 {
		t.Fatalf("the page has only %d blocks of code", len(blocks))
	}
	for _, block := range blocks {
		if !strings.Contains(tests, "\n"+unindented(block[1])) {
			t.Errorf("no test has\n%s", block[1])
		}
	}
}

// TestEmbeddingNamesWhatExists: every name in the tables of docs/embedding.md is one
// of the packages.
func TestEmbeddingNamesWhatExists(t *testing.T) {
	names := map[string]bool{}
	for _, pkg := range []string{"grant", "loopback", "store", "issuertest"} {
		for _, e := range exportedNames(t, pkg) {
			names[e.name] = true
			_, last, found := strings.Cut(e.name, ".")
			if found {
				names[last] = true
			}
		}
	}
	count := 0
	for line := range strings.Lines(read(t, "../../docs/embedding.md")) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		for _, match := range regexp.MustCompile("`(?:grant\\.|loopback\\.|store\\.)?([A-Z][A-Za-z.]*)[`({]").FindAllStringSubmatch(line, -1) {
			count++
			if !names[match[1]] {
				t.Errorf("the page names %s, which no package has", match[1])
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d names were found", count)
	}
}

// unindented is text without the space before its lines.
func unindented(text string) string {
	return regexp.MustCompile(`(?m)^[ \t]+`).ReplaceAllString(text, "")
}
