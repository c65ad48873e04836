package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) execCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use:   "exec [flags] -- COMMAND [ARGUMENT]...",
		Short: "Run a command with the token in an environment variable",
		Long: `Run a command with a valid access token in the environment variable
OAUTH_TOKEN, or the one that --env names.

  oauth-login exec --env GITLAB_TOKEN -- glab repo list

The command takes the place of oauth-login, so signals reach it and its exit
code is that of the whole; on Windows, it is waited for. The exit code is 127 if
there is no such command, and 126 if it cannot be run. The token is not renewed
while the command runs: --min-ttl 10m has one that lives for ten minutes at
least. The client secret and the passphrase of the store are taken out of the
command's environment. No browser is opened, unless --interactive is given.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return withoutDashes("env")
			}
			if c.ArgsLenAtDash() != 0 {
				return withoutDashes(args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return p.exec(c.Context(), o, args) },
	}
	o.selectFlags(command.Flags())
	o.tokenFlags(command.Flags())
	o.refreshFlag(command.Flags())
	o.variableFlag(command.Flags())
	return command
}

func withoutDashes(command string) error {
	return usageError("'oauth-login exec' wants a command after --", "for example: oauth-login exec -- "+shellWord(command))
}

// exec runs a command with the token in its environment, where nothing else of
// ours is secret: newProgram has taken that out.
func (p *program) exec(ctx context.Context, o *options, command []string) error {
	if err := o.checkVariable(); err != nil {
		return err
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return cannotRun(command[0], err)
	}
	token, err := p.validToken(ctx, o)
	if token == nil {
		return err
	}
	if err != nil {
		p.warning("the new token could not be saved: %v", err)
	}
	c, err := o.credential(token)
	if err != nil {
		return err
	}
	p.warnOfProof(c)
	p.asking.Wait() // the command gets the terminal as it was
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return become(path, command, environmentWith(o.variable, string(c.token)))
}

// environmentWith is the environment of this process with one more variable.
func environmentWith(name, value string) []string {
	var environment []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, name+"=") {
			environment = append(environment, variable)
		}
	}
	return append(environment, name+"="+value)
}

// cannotRun tells apart what shells do: there is no such command, and there is one
// that cannot be run.
func cannotRun(name string, err error) error {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return &commandError{code: exitNotFound, err: err, text: "there is no command " + quoted(name), hint: "check its name, and PATH"}
	}
	return &commandError{code: exitNotExecutable, err: err, text: "the command " + quoted(name) + " cannot be run: " + reason(err),
		hint: "check that it is a program, and that you may run it"}
}

// reason is an error of the system without the names that are said already.
func reason(err error) string {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// An endedError is the end of the command, where that could not take the place of
// this process.
type endedError struct{ code int }

func (e *endedError) Error() string { return fmt.Sprintf("the command has ended with %d", e.code) }
