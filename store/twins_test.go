package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
)

// What an example has to have changed to run in a test: where the provider and its
// API are, who plays the person, and where the tokens go.
var inATest = []struct {
	change *regexp.Regexp
	undo   string
}{
	{regexp.MustCompile(`(?m)^\s*(iss := start|defer iss\.|fmt\.Println\(iss\.|// Output:|// \{"user"|// \d|// sign in).*\n`), ""},
	{regexp.MustCompile(`(?m)^\s*Store:\s+new\(store\.Memory\),\n`), ""},
	{regexp.MustCompile(`, (AllowInsecureRequests: true|Open: iss\.Open|Store: new\(store\.Memory\))`), ""},
	{regexp.MustCompile(`iss\.API\(issuertest\.Demand\{[^}]*\}\)`), `"https://api.example/me"`},
	{regexp.MustCompile(`iss\.URL`), `"https://issuer.example"`},
	{regexp.MustCompile(`iss\.ClientID`), `"my-cli"`},
}

// TestExamplesRun: an example that cannot run, as it needs a real provider and a
// keychain, has a twin that does, and differs in nothing else. None is longer than
// ten lines.
func TestExamplesRun(t *testing.T) {
	bodies := exampleBodies(t, "example_test.go")
	pairs := 0
	for name, body := range bodies {
		if strings.Contains(body, "// Output:") {
			continue
		}
		twin, ok := bodies[name+"_inATest"]
		if !ok || !strings.Contains(twin, "// Output:") {
			t.Errorf("%s does not run, and nothing runs in its place", name)
			continue
		}
		for _, difference := range inATest {
			twin = difference.change.ReplaceAllString(twin, difference.undo)
		}
		if strings.TrimSpace(twin) != strings.TrimSpace(body) {
			t.Errorf("%s is\n%s\nand what runs is\n%s", name, body, twin)
		}
		code := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(body), "show(resp, err)"))
		if lines := strings.Count(code, "\n") + 1; lines > 10 {
			t.Errorf("%s has %d lines", name, lines)
		}
		pairs++
	}
	if pairs != 4 {
		t.Errorf("%d examples have a twin, want 4", pairs)
	}
}

// exampleBodies returns what stands between the braces of the examples in a file.
func exampleBodies(t *testing.T, name string) map[string]string {
	t.Helper()
	source, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string]string{}
	for _, declaration := range file.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Example") {
			bodies[f.Name.Name] = string(source[files.Position(f.Body.Lbrace).Offset+1 : files.Position(f.Body.Rbrace).Offset])
		}
	}
	return bodies
}
