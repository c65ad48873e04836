//go:build unix

package main

import "syscall"

// become replaces this process by a command: signals, the terminal and the exit
// code are its own. It returns only if that fails.
func become(path string, command, environment []string) error {
	return cannotRun(command[0], syscall.Exec(path, command, environment))
}
