package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/oauth-login/oauth-login/internal/issuer"
	"github.com/oauth-login/oauth-login/store"
)

// TestTokenDoesNotGrow: however many logins there are, the token of one costs as much
// as that of the only one: the files of the list that are opened are counted.
func TestTokenDoesNotGrow(t *testing.T) {
	provider, err := issuer.Start(&issuer.Options{Clients: []issuer.Client{{ID: "cli"}, {ID: "second"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	dir, command := t.TempDir(), buildCommand(t)
	identity := filepath.Join(dir, "identity")
	if err := writeIdentity(identity); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(command, append(args, "--lock-dir", filepath.Join(dir, "locks"))...)
		cmd.Env = []string{"HOME=" + dir}
		runInBrowser(t, provider, cmd)
	}
	stored := []string{"--store", encryptedStore, "--store-identity", identity, "--no-browser"}
	run(append(stored, "--issuer", provider.URL(), "--client-id", "second")...)
	run(append(stored, "--issuer", provider.URL(), "--client-id", "cli", "--profile", "work")...)

	list := filepath.Join(dir, ".config", "oauth-login", "profiles")
	ways := [][]string{{"token"}, {"token", "--profile", "work"}, {"token", "--issuer", provider.URL(), "--client-id", "second"}}
	var opened [2][3]int
	opens := countOpens(t, list)
	for many := range opened {
		for i, way := range ways {
			run(way...)
			opened[many][i] = opens()
		}
		for i := range 1000 * (1 - many) {
			other := store.Profile{Issuer: fmt.Sprintf("https://issuer%d.example", i), ClientID: "cli", Name: fmt.Sprint(i % 2 * i)}
			if err := (&store.Profiles{Dir: list}).Add(t.Context(), other); err != nil {
				t.Fatal(err)
			}
		}
		opens()
	}
	for i, way := range ways {
		few, many := opened[0][i], opened[1][i]
		if many != few || few == 0 || few > 5 {
			t.Errorf("%q opens %d files of the list, and %d where there are 1,000 more logins", way, few, many)
		}
	}
}

// runInBrowser runs the command to its end, and signs in where it asks for that.
func runInBrowser(t *testing.T, provider *issuer.Issuer, cmd *exec.Cmd) {
	t.Helper()
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	text := ""
	for lines := bufio.NewScanner(said); lines.Scan(); {
		text += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), provider.URL()+"/") {
			if _, err := new(issuer.Visitor).Visit(t.Context(), lines.Text()); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
	}
}

// countOpens returns a function that tells how many times files in a directory were
// opened since it was last called (inotify(7)).
func countOpens(t *testing.T, dir string) func() int {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if _, err := syscall.InotifyAddWatch(fd, dir, syscall.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	return func() (opened int) {
		buffer := make([]byte, 64<<10)
		for {
			n, err := syscall.Read(fd, buffer)
			if err != nil || n <= 0 {
				return opened
			}
			for at := 0; at < n; {
				// A watch, a mask, a cookie and the length of the name that follows.
				mask, length := binary.NativeEndian.Uint32(buffer[at+4:]), binary.NativeEndian.Uint32(buffer[at+12:])
				if mask&syscall.IN_ISDIR == 0 {
					opened++
				}
				at += syscall.SizeofInotifyEvent + int(length)
			}
		}
	}
}
