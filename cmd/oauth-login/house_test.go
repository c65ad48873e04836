package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/oauth-login/oauth-login"

// TestArrows pins which package may import what: cmd -> {loopback, store}
// -> grant, and internal/issuer nothing of ours, so that a mistake in grant
// cannot hide in it; issuertest is that issuer for other programs. Standard
// library packages are free.
func TestArrows(t *testing.T) {
	allowed := map[string][]string{
		module + "/cmd/oauth-login": {
			module + "/grant", module + "/loopback", module + "/store", module + "/internal/issuer",
			"github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/term", "golang.org/x/sys/unix", "golang.org/x/sys/windows", "rsc.io/qr",
		},
		module + "/loopback": {module + "/grant", "github.com/go-chi/chi/v5", "github.com/pkg/browser"},
		module + "/store": {
			module + "/grant", "github.com/zalando/go-keyring", "github.com/godbus/dbus/v5", "golang.org/x/oauth2",
			"github.com/danieljoos/wincred", "golang.org/x/sys/windows", "filippo.io/age", "github.com/gofrs/flock",
		},
		module + "/grant":           {"github.com/go-jose/go-jose/v4", "golang.org/x/oauth2"},
		module + "/internal/issuer": {},
		module + "/issuertest":      {module + "/internal/issuer"},
	}
	for _, goos := range []string{"linux", "darwin", "windows"} {
		for _, p := range listPackages(t, goos) {
			imports, known := allowed[p.ImportPath]
			if !known {
				t.Errorf("%s is a package that the design does not have", p.ImportPath)
			}
			for _, path := range p.Imports {
				if strings.Contains(path, ".") && !slices.Contains(imports, path) {
					t.Errorf("%s: %s must not import %s", goos, p.ImportPath, path)
				}
			}
		}
	}
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func listPackages(t *testing.T, goos string) (packages []goPackage) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
	cmd.Env = append(cmd.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var p goPackage
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 5 {
		t.Fatalf("found only %d packages", len(packages))
	}
	return packages
}

// TestCommandCarriesNoTestCode keeps the test servers of the standard library
// and test-only modules out of what users run.
func TestCommandCarriesNoTestCode(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"/cmd/oauth-login").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(out)) {
		if path == "testing" || path == "net/http/httptest" || path == module+"/issuertest" || strings.HasPrefix(path, "github.com/rogpeppe/") {
			t.Errorf("the command imports %s", path)
		}
	}
}

// TestSize keeps the command, as `make build` makes it, within 12 MB. What
// breaks this is seldom a feature: code that looks methods up by name, such as
// html/template, makes the linker keep all methods of everything.
func TestSize(t *testing.T) {
	info, err := os.Stat(buildCommand(t))
	if err != nil {
		t.Fatal(err)
	}
	if size := info.Size(); size > 12_000_000 {
		t.Errorf("the command has %d bytes", size)
	}
}

// TestNoGlobals: what can be changed in a library is a field, so that two programs
// in one process, or two tests, do not get into each other's way. Importing one does
// nothing.
func TestNoGlobals(t *testing.T) {
	for _, pkg := range []string{"grant", "loopback", "store", "issuertest"} {
		for _, e := range exportedNames(t, pkg) {
			if e.kind == "var" && !strings.HasPrefix(e.name, "Err") {
				t.Errorf("%s.%s can be changed by everybody", pkg, e.name)
			}
		}
		paths, err := filepath.Glob(filepath.Join("..", "..", pkg, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if strings.Contains(read(t, path), "\nfunc init()") {
				t.Errorf("%s does something when it is imported", path)
			}
		}
	}
}

// buildCommand builds the command as `make build` does.
func buildCommand(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "oauth-login")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, module+"/cmd/oauth-login")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}
