//go:build unix

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A keyboard is a terminal that shows nothing of what is typed and hands it over
// at once: a terminal that collects lines cuts them at 4095 bytes. Ctrl-C and
// output work as ever, unlike in the raw mode of package term.
type keyboard struct {
	fd     int
	before *unix.Termios
	quiet  unix.Termios // what it is put into
	wake   *os.File     // readable when ctx has ended
	stop   func()
}

// openKeyboard is for a terminal that we are in the foreground of. Its reads end
// with ctx.
func openKeyboard(ctx context.Context, terminal *os.File) (*keyboard, error) {
	k := &keyboard{fd: int(terminal.Fd())}
	if !k.ours() {
		return nil, errors.New("another program has the terminal")
	}
	var err error
	if k.before, err = unix.IoctlGetTermios(k.fd, getTermios); err != nil {
		return nil, err
	}
	wake, end, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	woken := context.AfterFunc(ctx, func() { end.Close() })
	k.quiet = *k.before
	k.quiet.Lflag &^= unix.ICANON | unix.ECHO | unix.IEXTEN
	k.quiet.Cc[unix.VMIN], k.quiet.Cc[unix.VTIME] = 0, 0 // no read waits
	resumed := whenResumed(func() { _ = k.hush() })      // first, as it may be stopped at once
	err = k.hush()
	k.wake, k.stop = wake, func() {
		woken()
		resumed()
		end.Close() // a second time does nothing
		wake.Close()
	}
	if err != nil {
		k.stop()
		return nil, err
	}
	return k, nil
}

func (k *keyboard) ours() bool { return inForeground(k.fd) }

// hush has the terminal do what a keyboard is to do.
func (k *keyboard) hush() error {
	if !k.ours() {
		return nil // not now; read does it when it is
	}
	return unix.IoctlSetTermios(k.fd, setTermios, &k.quiet)
}

// read waits for something that is typed.
func (k *keyboard) read(ctx context.Context, buffer []byte) (int, error) {
	for {
		watched := []unix.PollFd{{Fd: int32(k.fd), Events: unix.POLLIN}, {Fd: int32(k.wake.Fd()), Events: unix.POLLIN}}
		_, err := unix.Poll(watched, -1)
		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case !k.ours():
			if k.pause(ctx); k.ours() {
				_ = k.hush() // a job that went on in the background is told nothing
			}
			continue
		}
		n, err := unix.Read(k.fd, buffer)
		switch {
		case n > 0:
			return n, nil
		case err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN):
			return 0, err
		case watched[0].Revents&unix.POLLIN == 0: // the terminal is gone
			return 0, io.EOF
		}
	}
}

// pause is for a job that was sent to the background, where the shell has the
// terminal.
func (k *keyboard) pause(ctx context.Context) {
	timer := time.NewTimer(200 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// discard reads what was typed until nothing comes for a while: a terminal does
// not take in the whole of a long paste at once, and to flush it is not enough.
func (k *keyboard) discard(quiet time.Duration) {
	buffer := make([]byte, 4096)
	for left := maxPaste; left > 0 && k.ours(); {
		watched := []unix.PollFd{{Fd: int32(k.fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(watched, int(quiet.Milliseconds())); errors.Is(err, unix.EINTR) {
			continue
		} else if n <= 0 {
			return
		}
		n, err := unix.Read(k.fd, buffer)
		if n <= 0 && !errors.Is(err, unix.EINTR) {
			return
		}
		left -= max(0, n)
	}
}

// close restores the terminal, and discards what was typed and not read.
func (k *keyboard) close() {
	k.stop()
	k.discard(0)
	if k.ours() {
		_ = unix.IoctlSetTermios(k.fd, setTermiosFlush, k.before) // a terminal that is gone needs none
	}
}
