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
	wake   *os.File // readable when ctx has ended
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
	k.wake, k.stop = wake, func() {
		woken()
		end.Close() // a second time does nothing
		wake.Close()
	}
	quiet := *k.before
	quiet.Lflag &^= unix.ICANON | unix.ECHO | unix.IEXTEN
	quiet.Cc[unix.VMIN], quiet.Cc[unix.VTIME] = 0, 0 // no read waits
	if err := unix.IoctlSetTermios(k.fd, setTermios, &quiet); err != nil {
		k.stop()
		return nil, err
	}
	return k, nil
}

// ours reports whether this process is in the foreground. Others are stopped when
// they touch the terminal.
func (k *keyboard) ours() bool {
	group, err := unix.IoctlGetInt(k.fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
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
			k.pause(ctx)
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
