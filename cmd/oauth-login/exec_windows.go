package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
)

// become runs a command and waits for it, as no process can take the place of
// another here. Ctrl-C reaches both; what it means is the command's to say.
func become(path string, command, environment []string) error {
	signal.Ignore(os.Interrupt)
	cmd := &exec.Cmd{Path: path, Args: command, Env: environment, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	err := cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return &endedError{ended.ExitCode()}
	}
	if err != nil {
		return cannotRun(command[0], err)
	}
	return nil
}
