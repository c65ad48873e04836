package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain runs the tests, or plays one of the parts below when the test program has been started under the part's name.
func TestMain(m *testing.M) {
	if play, ok := parts[filepath.Base(os.Args[0])]; ok {
		if err := play(os.Args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(m))
}

// parts are the programs that the tests need beside the real ones. Each is a link to the test program, made by link.
var parts = map[string]func(args []string) error{
	"e2e-browser": handURL,
	"e2e-keyring": useKeyring,
}

// link makes the test program start as the named part, and returns the path to start.
func link(t *testing.T, dir, part string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, part)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs the tests and fails if a process is left, of ours or of the command's: orphans come to the nearest subreaper, which we are.
func run(m *testing.M) int {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "cannot adopt orphans:", err)
		return 1
	}
	code := m.Run()
	if build.dir != "" {
		os.RemoveAll(build.dir)
	}
	left := children()
	for deadline := time.Now().Add(3 * time.Second); len(left) > 0 && time.Now().Before(deadline); left = children() {
		time.Sleep(20 * time.Millisecond)
	}
	for _, child := range left {
		fmt.Fprintln(os.Stderr, "left behind:", child)
		code = 1
	}
	return code
}

// children lists the processes whose parent we are, and buries those that have ended.
func children() []string {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	var found []string
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // ended meanwhile
		}
		pid, rest, _ := strings.Cut(string(stat), " (")
		end := strings.LastIndexByte(rest, ')') // a command may hold parentheses
		if end < 0 {
			continue
		}
		var state string
		var parent int
		if _, err := fmt.Sscan(rest[end+1:], &state, &parent); err != nil {
			continue
		}
		switch {
		case parent != os.Getpid():
		case state == "Z":
			if n, err := strconv.Atoi(pid); err == nil {
				unix.Wait4(n, nil, unix.WNOHANG, nil)
			}
		default:
			found = append(found, pid+" "+rest[:end])
		}
	}
	return found
}
