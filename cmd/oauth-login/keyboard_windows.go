package main

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// A keyboard is a console that shows nothing of what is typed. Ctrl-C works as
// ever.
type keyboard struct {
	console *os.File
	before  uint32
	typed   chan []byte
	failed  chan error
}

// openKeyboard starts to read. Nothing can stop a read of a console: the last one
// is left behind, and ends with the process.
func openKeyboard(ctx context.Context, console *os.File) (*keyboard, error) {
	k := &keyboard{console: console, typed: make(chan []byte), failed: make(chan error, 1)}
	handle := windows.Handle(console.Fd())
	if err := windows.GetConsoleMode(handle, &k.before); err != nil {
		return nil, err
	}
	if err := windows.SetConsoleMode(handle, k.before&^windows.ENABLE_ECHO_INPUT|windows.ENABLE_LINE_INPUT|windows.ENABLE_PROCESSED_INPUT); err != nil {
		return nil, err
	}
	go func() {
		for {
			buffer := make([]byte, 4096)
			n, err := console.Read(buffer)
			if err != nil {
				k.failed <- err
				return
			}
			select {
			case k.typed <- buffer[:n]:
			case <-ctx.Done():
				return
			}
		}
	}()
	return k, nil
}

// read waits for something that is typed.
func (k *keyboard) read(ctx context.Context, buffer []byte) (int, error) {
	select {
	case typed := <-k.typed:
		return copy(buffer, typed), nil
	case err := <-k.failed:
		return 0, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// discard is for terminals that do not take in a long paste at once.
func (k *keyboard) discard(time.Duration) {}

// close restores the console, and discards what was typed and not read.
func (k *keyboard) close() {
	handle := windows.Handle(k.console.Fd())
	_ = windows.FlushConsoleInputBuffer(handle)
	_ = windows.SetConsoleMode(handle, k.before)
}
