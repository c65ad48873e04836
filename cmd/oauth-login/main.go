// Command oauth-login signs a person in to an OAuth 2.0 or OpenID Connect
// provider from a terminal and keeps the tokens in the OS keychain, or where
// --store says.
//
//	oauth-login --issuer https://issuer.example --client-id my-cli
//	oauth-login token
//
// This package is the only one that knows all the others: it turns flags into
// a grant.Client, runs loopback.Login under a store.Source, and turns what
// comes back into text, JSON and an exit code. It holds no protocol of its own.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

func main() {
	keychain := &store.Keychain{PromptTimeout: promptTimeout(os.Stdin, os.Stderr)}
	p := newProgram(keychain)
	keychain.Waiting = p.keychainIsSlow
	ctx, args := context.Background(), os.Args[1:]
	if !endsAtOnce(args) {
		// This program waits for others and does one thing at a time: 'token' is 6 %
		// faster when that is not passed from core to core.
		runtime.GOMAXPROCS(1)
		ctx = untilInterrupted()
	}
	os.Exit(p.run(ctx, args))
}

// endsAtOnce reports whether there is nothing to interrupt or to tidy up, so that
// signals may do what they do by themselves.
func endsAtOnce(args []string) bool {
	switch len(args) {
	case 1:
		return slices.Contains([]string{"version", "help", "--help", "-h"}, args[0])
	case 2:
		return args[0] == "help" || args[0] == "version" || args[1] == "--help" && !strings.HasPrefix(args[0], "-")
	}
	return false
}

// untilInterrupted returns a context that ends with Ctrl-C or Ctrl-\, or when the
// terminal is closed. The second time, that ends the program at once.
func untilInterrupted() context.Context {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGQUIT} {
		if !signal.Ignored(s) { // as nohup has it, and a shell in the background
			signals = append(signals, s)
		}
	}
	// Go ends a program that writes to a pipe that nobody reads any more, unless that
	// wants to know of it: with 'token --verbose 2>&1 | head -2' between the answer of
	// the provider, which has spent the refresh token, and its being saved.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	return ctx
}

// newProgram takes the streams and the environment of the process.
func newProgram(keychain store.Store) *program {
	keepFromDumps()
	p := &program{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, keychain: keychain}
	p.clientSecret = takeSecret(secretVariable)
	p.storePassphrase = takeSecret(passphraseVariable)
	return p
}

// takeSecret takes a secret out of the environment, so that the browser does not
// inherit it.
func takeSecret(variable string) grant.Secret {
	secret := grant.Secret(os.Getenv(variable))
	os.Unsetenv(variable)
	return secret
}

// A program is one run of the command: its streams and what it takes from the
// outside, so that tests can bring their own.
type program struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	keychain store.Store
	opening  sync.Mutex                  // guards stores
	stores   map[store.Place]store.Store // the others that were opened
	profiles store.Profiles
	metadata store.MetadataCache
	events   *events // nil for text
	trace    *trace  // nil for none
	helpless error   // why a page of help was not printed
	// readByOthers are files with a secret that the person has been warned of.
	readByOthers map[string]bool
	// unattended is set for a caller that wants no question asked, not even for a
	// passphrase.
	unattended bool
	// ownWords is set for a caller to whom JSON on standard output is a mistake.
	ownWords bool

	clientSecret, storePassphrase grant.Secret   // from the environment
	asking                        sync.WaitGroup // has the person at the terminal, which has to be restored
}

// secretVariable and passphraseVariable are not the defaults of flags, as no
// flag takes a secret.
const secretVariable = "OAUTH_LOGIN_CLIENT_SECRET"

// run executes the command and returns its exit code.
func (p *program) run(ctx context.Context, args []string) int {
	if isCompletion(args) {
		p.err = io.Discard // the person is typing
	} else if p.wants(args, "events", eventsJSON) {
		p.events = newEvents(p.err)
	}
	root := p.commandFor(args, &options{})
	root.SetArgs(args)
	verb, err := root.ExecuteContextC(ctx)
	p.asking.Wait() // when ctx ends, so does asking, but not before ExecuteContextC perhaps
	if incomplete := p.trace.close(); incomplete != nil {
		p.warning("the trace is not complete: %v", incomplete)
	}
	if err == nil {
		err = p.helpless
	}
	if err == nil {
		p.emitDone(exitDone)
		return exitDone
	}
	if isNotRead(err) { // and nobody wants to know, as with SIGPIPE
		err = &endedError{exitNotRead}
	}
	if ended, ok := errors.AsType[*endedError](err); ok {
		p.emitDone(ended.code)
		return ended.code
	}
	failure := describe(ctx, onPage(verb, err))
	p.reportFailure(failure, !p.ownWords && p.wants(args, "output", outputJSON))
	return failure.code
}

// wants reads one flag and nothing else, because a mistake in another flag must
// not change the kind of answer.
func (p *program) wants(args []string, flag, value string) bool {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.BoolP("help", "h", false, "")
	given := flags.String(flag, p.getenv(environmentName(flag)), "")
	_ = flags.Parse(args) // what is wrong with it is said elsewhere
	return *given == value
}
