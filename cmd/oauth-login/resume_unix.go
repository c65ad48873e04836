//go:build unix

package main

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// whenResumed calls do whenever the process goes on after it was stopped (Ctrl-Z and
// fg): a shell may have put the terminal into another state meanwhile, and would show
// a secret that is typed. stop waits for do.
func whenResumed(do func()) (stop func()) {
	resumed, over, ended := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(resumed, unix.SIGCONT)
	go func() {
		defer close(ended)
		for {
			select {
			case <-resumed:
				do()
			case <-over:
				return
			}
		}
	}()
	return func() {
		signal.Stop(resumed)
		close(over)
		<-ended
	}
}

// inForeground reports whether this process may touch a terminal. Others are stopped
// when they do.
func inForeground(fd int) bool {
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// hide has a terminal show nothing of what is typed.
func hide(fd int) {
	state, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil || !inForeground(fd) {
		return
	}
	state.Lflag &^= unix.ECHO
	_ = unix.IoctlSetTermios(fd, setTermios, state)
}
