package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// handURL is a program that the command starts as the browser. It hands its argument to the test that has made it, see newOpener, and
// is as noisy as browsers are.
func handURL(args []string) error {
	fmt.Println("browser: noise on stdout")
	fmt.Fprintln(os.Stderr, "browser: noise on stderr")
	if len(args) != 2 {
		return fmt.Errorf("got %d arguments, want a URL", len(args)-1)
	}
	conn, err := net.Dial("unix", openerSocket(filepath.Dir(args[0])))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.WriteString(conn, args[1])
	return err
}

func openerSocket(dir string) string { return filepath.Join(dir, "url") }

// newOpener makes a program for the command to start as the browser. What the program is started with comes out of the channel.
func newOpener(t *testing.T) (program string, urls <-chan string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "op") // not t.TempDir: the path of a socket has at most 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", openerSocket(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	handed := make(chan string, 1)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			address, err := io.ReadAll(conn)
			conn.Close()
			if err == nil {
				handed <- string(address)
			}
		}
	}()
	return link(t, dir, "e2e-browser"), handed
}
