package grant_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEveryCheckHasAVector: a name that CheckError.Check may have is that of a
// vector, and a vector has no other name.
func TestEveryCheckHasAVector(t *testing.T) {
	checks, covered := checkNames(t), map[string]bool{}
	for name, v := range vectors(t) {
		if check := v.Want.Check; check != "" {
			covered[check] = true
			if _, known := checks[check]; !known {
				t.Errorf("%s: the source has no check %s", name, check)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		if checks[name] && !covered[name] {
			t.Errorf("the check %s has no vector", name)
		}
	}
}

// checkNames reads the names from the source. Those that need a vector are the
// constants check... and, for every kind of token, what all tokens go through. A
// claim that only some kinds have needs none by this test.
func checkNames(t *testing.T) map[string]bool {
	names := map[string]bool{}
	var kinds, ofEvery, ofSome []string
	for _, file := range sources(t) {
		for _, declaration := range file.Decls {
			onClaims := isMethodOf(declaration, "claimChecker")
			ast.Inspect(declaration, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ValueSpec:
					for i, value := range n.Values {
						text, isText := literal(value)
						switch {
						case isText && strings.HasPrefix(n.Names[i].Name, "check"):
							names[text] = true
						case isText && isIdent(n.Type, "jwtKind"):
							kinds = append(kinds, text)
						}
					}
				case *ast.CallExpr:
					switch what, method := call(n); {
					case method == "check", onClaims && isRefusal(method):
						ofEvery = append(ofEvery, what)
					case isRefusal(method):
						ofSome = append(ofSome, what)
					}
				}
				return true
			})
		}
	}
	if len(kinds) == 0 || len(names) < 30 || !slices.Contains(ofEvery, "nbf") || !slices.Contains(ofSome, "auth_time") {
		t.Fatalf("found only the kinds %q, the checks %v, %q and %q", kinds, names, ofEvery, ofSome)
	}
	for _, kind := range kinds {
		for _, what := range ofEvery {
			names[kind+"."+what] = true
		}
		for _, what := range ofSome {
			if !names[kind+"."+what] {
				names[kind+"."+what] = false // listed, and not demanded
			}
		}
	}
	return names
}

// isRefusal: the methods of claimChecker that refuse the claim they name first.
func isRefusal(method string) bool {
	return slices.Contains([]string{"refuse", "notNumber", "timestampError"}, method)
}

// call returns the method and its first argument, if that is a string literal.
func call(c *ast.CallExpr) (argument, method string) {
	selector, ok := c.Fun.(*ast.SelectorExpr)
	if !ok || len(c.Args) == 0 {
		return "", ""
	}
	argument, ok = literal(c.Args[0])
	if !ok {
		return "", ""
	}
	return argument, selector.Sel.Name
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}

func isIdent(e ast.Expr, name string) bool {
	ident, ok := e.(*ast.Ident)
	return ok && ident.Name == name
}

func isMethodOf(d ast.Decl, typeName string) bool {
	f, ok := d.(*ast.FuncDecl)
	if !ok || f.Recv == nil {
		return false
	}
	receiver := f.Recv.List[0].Type
	if pointer, ok := receiver.(*ast.StarExpr); ok {
		receiver = pointer.X
	}
	return isIdent(receiver, typeName)
}

// sources are the files of the package itself.
func sources(t *testing.T) (files []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}
