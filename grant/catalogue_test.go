package grant_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// catalogue is how many cases each group of the specification's test catalogue
// has. They are numbered from 1: AC-01 is the first of the code grant.
var catalogue = map[string]int{
	"AC": 49, "JARM": 15, "CA": 12, "DPOP": 3, "RT": 33, "PAR": 19, "DISC": 17, "WWW": 54, "JWKS": 8, "DEV": 53, "REV": 13, "UI": 23,
}

// withoutTest are the cases that mean nothing in Go, or here.
var withoutTest = map[string]string{
	"CA-06": "a crypto.Signer is no public key", "CA-09": "a crypto.Signer is no public key", "CA-10": "a kid is a string",
	"DISC-09": "Discover makes its own requests", "DISC-10": "Discover compares with the issuer that it was given",
	"JARM-04": "a response is parsed before", "JARM-07": "the state cannot be skipped", "JARM-09": "the signature cannot be skipped",
	"JWKS-06": "the keys are cached in the metadata alone", "JWKS-07": "the keys are cached in the metadata alone", "JWKS-08": "the keys are cached in the metadata alone",
}

// TestCatalogue: every case has a test whose name has its number.
func TestCatalogue(t *testing.T) {
	named := namedCases(t)
	for _, group := range slices.Sorted(maps.Keys(catalogue)) {
		for i := range catalogue[group] {
			id := fmt.Sprintf("%s-%02d", group, i+1)
			if reason := withoutTest[id]; named[id] == (reason != "") {
				t.Errorf("%s: a test names it: %t; why it needs none: %q", id, named[id], reason)
			}
		}
	}
}

// namedCases are the numbers in the string literals of the tests, which are the
// names of subtests, and in their comments.
func namedCases(t *testing.T) map[string]bool {
	t.Helper()
	number := regexp.MustCompile(`\b[A-Z]{2,4}-\d\d\b`)
	paths, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, path := range paths {
		if path == "catalogue_test.go" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		find := func(text string) {
			for _, id := range number.FindAllString(text, -1) {
				named[id] = true
			}
		}
		for _, comment := range file.Comments {
			find(comment.Text())
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				find(l.Value)
			}
			return true
		})
	}
	return named
}
