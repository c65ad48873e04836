package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Where Debian keeps Wine. Its wrapper in /usr/bin has messages of its own.
const (
	wineLoader  = "/usr/lib/wine/wine64"
	wineServer  = "/usr/lib/wine/wineserver64"
	wineLibrary = "/usr/lib/x86_64-linux-gnu/wine/x86_64-windows"
)

// wine is a Windows for the time of a test, as far as Wine is one: the functions of the Credential Manager, files, locks and sockets
// are its, and behind them are this machine's. It shows nothing, and needs no display.
type wine struct {
	dir string   // its drive C is drive_c in here
	env []string // of whatever runs in it
}

// startWine makes a Windows without what a desktop needs. Wine's own way of making one takes half a minute and 700 MB; with links to its
// libraries it takes a moment and nothing.
func startWine(t *testing.T) *wine {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("Wine runs programs for the machine that it is on, and the ones here are for amd64")
	}
	dir, err := os.MkdirTemp("", "wine") // not t.TempDir, which would be removed before the server has ended
	if err != nil {
		t.Fatal(err)
	}
	w := &wine{dir: dir, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "WINEPREFIX=" + dir, "WINEARCH=win64", "WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml=",
	}}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Cleanup(func() {
		for _, flag := range []string{"-k", "-w"} { // end everything, wait for the end
			cmd := exec.Command(wineServer, flag)
			cmd.Env = w.env
			cmd.Run() // fails when nothing was started
		}
	})
	libraries, err := filepath.Glob(filepath.Join(wineLibrary, "*"))
	if err != nil || len(libraries) == 0 {
		t.Fatalf("no Wine in %s (setup.sh installs it): %v", wineLibrary, err)
	}
	system := filepath.Join(dir, "drive_c/windows/system32")
	for _, name := range []string{system, filepath.Join(dir, "dosdevices")} {
		if err := os.MkdirAll(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, library := range libraries {
		symlink(t, library, filepath.Join(system, filepath.Base(library)))
	}
	symlink(t, "../drive_c", filepath.Join(dir, "dosdevices/c:"))
	symlink(t, "/", filepath.Join(dir, "dosdevices/z:"))
	if err := os.WriteFile(filepath.Join(dir, ".update-timestamp"), []byte("disable"), 0o600); err != nil {
		t.Fatal(err)
	}
	addProcessPrng(t, system)
	return w
}

func symlink(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}

// addProcessPrng adds the library that every Go program needs and Wine 8 does not have. All that is in it is another name for the random
// numbers that Wine does have.
func addProcessPrng(t *testing.T, system string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"entry.s":    ".text\n.globl DllMainCRTStartup\nDllMainCRTStartup:\n movl $1,%eax\n ret\n",
		"export.def": "LIBRARY bcryptprimitives.dll\nEXPORTS\nProcessPrng=advapi32.SystemFunction036\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{
		"x86_64-w64-mingw32-as entry.s -o entry.o",
		"x86_64-w64-mingw32-ld -s -shared -e DllMainCRTStartup -o " + filepath.Join(system, "bcryptprimitives.dll") + " entry.o export.def",
	} {
		words := strings.Fields(line)
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s (setup.sh installs it): %v\n%s", line, err, out)
		}
	}
}

// install builds a program for Windows from a package of the product, by "go build" or another verb of go, and returns a program for this
// machine that runs it.
func (w *wine) install(t *testing.T, name, pkg string, verb ...string) (path string) {
	t.Helper()
	program := filepath.Join(w.dir, "drive_c", name+".exe")
	cmd := exec.Command("go", append(verb, "-o", program, pkg)...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	path = filepath.Join(w.dir, name)
	script := "#!/bin/sh\nexec " + wineLoader + " " + program + ` "$@"` + "\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}
