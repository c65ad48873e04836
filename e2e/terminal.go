package e2e

import (
	"bufio"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// startOnTerminal starts the command as a person would: on a terminal of its own. What it writes to standard error comes from there.
func (c *command) startOnTerminal(t *testing.T, args ...string) *process {
	t.Helper()
	control, terminal := openTerminal(t)
	p := c.prepare(args...)
	p.cmd.Stdin, p.cmd.Stderr = terminal, terminal
	p.cmd.SysProcAttr.Setsid, p.cmd.SysProcAttr.Setctty = true, true
	p.start(t)
	terminal.Close()
	p.copied = make(chan struct{})
	go func() {
		defer close(p.copied)
		lines := bufio.NewReader(control)
		for {
			line, err := lines.ReadBytes('\n')
			if n := len(line); n > 1 && line[n-2] == '\r' { // as terminals have it
				line = append(line[:n-2], '\n')
			}
			p.stderr.Write(line)
			if err != nil { // EIO, when the last one has closed the terminal
				return
			}
		}
	}()
	return p
}

// openTerminal returns the two ends of a new terminal.
func openTerminal(t *testing.T) (control, terminal *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { control.Close() })
	fd := int(control.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return control, terminal
}
