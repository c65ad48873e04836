package main

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// An exported is a name that other programs may use, with its comment.
type exported struct{ name, doc, kind string }

// TestExportedNamesAreDocumented: who embeds a package reads go doc. A group of
// constants or fields may share the comment of its first line.
func TestExportedNamesAreDocumented(t *testing.T) {
	for _, pkg := range []string{"grant", "loopback", "store", "issuertest"} {
		names := exportedNames(t, pkg)
		if len(names) < 10 {
			t.Errorf("%s has only %d exported names", pkg, len(names))
		}
		for _, e := range names {
			if e.doc == "" {
				t.Errorf("%s.%s has no comment", pkg, e.name)
			}
		}
	}
}

// The names of grant that no specification has: how Go prints, encodes and fails.
var ofGo = []string{
	"Version", "ErrArgument", "ErrNotOurs", "ErrNotResumable", "CheckError", "LoginRequired", "Secret", "CloseIdleConnections", "Valid", "OAuth2", "Method",
	"Format", "String", "Error", "Unwrap", "LogValue", "MarshalText", "MarshalJSON", "UnmarshalJSON", "MarshalBinary", "UnmarshalBinary",
}

// TestProtocolNamesCiteTheirSource: the comment of a type, function or method of
// grant says where the rules stand that it follows.
func TestProtocolNamesCiteTheirSource(t *testing.T) {
	source := regexp.MustCompile(`RFC \d+|OpenID Connect [A-Z].*section|JWT Secured Authorization Response Mode, section|FAPI 2.0`)
	for _, e := range exportedNames(t, "grant") {
		doc := strings.Join(strings.Fields(e.doc), " ")
		_, method, _ := strings.Cut(e.name, ".")
		if e.kind != "field" && !source.MatchString(doc) && !slices.Contains(ofGo, cmp.Or(method, e.name)) {
			t.Errorf("grant.%s cites no source: %s", e.name, doc)
		}
	}
}

func exportedNames(t *testing.T, pkg string) (names []exported) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", pkg, "*.go"))
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
		for _, declaration := range file.Decls {
			names = append(names, exportedOf(declaration)...)
		}
	}
	return slices.DeleteFunc(names, func(e exported) bool {
		return !ast.IsExported(e.name[strings.LastIndexByte(e.name, '.')+1:]) || !ast.IsExported(e.name)
	})
}

func exportedOf(declaration ast.Decl) (names []exported) {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return []exported{{d.Name.Name, d.Doc.Text(), "func"}}
		}
		receiver := d.Recv.List[0].Type
		if pointer, ok := receiver.(*ast.StarExpr); ok {
			receiver = pointer.X
		}
		if ident, ok := receiver.(*ast.Ident); ok {
			return []exported{{ident.Name + "." + d.Name.Name, d.Doc.Text(), "method"}}
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, exported{s.Name.Name, s.Doc.Text() + d.Doc.Text(), "type"})
				names = append(names, fieldsOf(s)...)
			case *ast.ValueSpec:
				for _, name := range s.Names {
					names = append(names, exported{name.Name, s.Doc.Text() + s.Comment.Text() + d.Doc.Text(), d.Tok.String()})
				}
			}
		}
	}
	return names
}

// fieldsOf returns the fields of a struct, or the methods of an interface. A
// field without a comment shares that of the line above it.
func fieldsOf(s *ast.TypeSpec) (names []exported) {
	var fields *ast.FieldList
	switch t := s.Type.(type) {
	case *ast.StructType:
		fields = t.Fields
	case *ast.InterfaceType:
		fields = t.Methods
	default:
		return nil
	}
	above := ""
	for _, field := range fields.List {
		doc := field.Doc.Text() + field.Comment.Text()
		if doc == "" {
			doc = above
		}
		above = doc
		for _, name := range field.Names {
			names = append(names, exported{s.Name.Name + "." + name.Name, doc, "field"})
		}
	}
	return names
}
