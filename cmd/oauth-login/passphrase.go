package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// passphraseVariable holds the passphrase of the encrypted files.
const passphraseVariable = "OAUTH_LOGIN_STORE_PASSPHRASE"

// passphrase returns what asks for the passphrase of a place: its file, then
// the environment, then the person, who is asked once.
func (p *program) passphrase(place store.Place) func(context.Context, bool) (grant.Secret, error) {
	if place.PassphraseFile != "" {
		return store.PassphraseFile(place.PassphraseFile)
	}
	if p.storePassphrase != "" {
		return func(context.Context, bool) (grant.Secret, error) { return p.storePassphrase, nil }
	}
	if p.unattended {
		return func(context.Context, bool) (grant.Secret, error) {
			return "", locked("it has a passphrase, and the caller wants no question asked")
		}
	}
	var once sync.Once
	var answer grant.Secret
	var err error
	return func(ctx context.Context, confirm bool) (grant.Secret, error) {
		p.asking.Add(1)
		defer p.asking.Done()
		once.Do(func() { answer, err = askPassphrase(ctx, place.Dir, confirm) })
		return answer, err
	}
}

// askPassphrase asks at the terminal of the process, wherever its standard
// streams lead.
func askPassphrase(ctx context.Context, dir string, confirm bool) (grant.Secret, error) {
	in, out, err := openTerminal()
	if err != nil {
		return "", locked("there is no terminal to ask for its passphrase at")
	}
	defer in.Close()
	defer out.Close()
	if !confirm {
		return readPassphrase(ctx, in, out, "Passphrase of the logins in "+printable(dir)+": ")
	}
	fmt.Fprintf(out, "The logins in %s will be encrypted with a passphrase.\nIt cannot be recovered: whoever forgets it signs in again.\n", printable(dir))
	for range passphraseAttempts {
		first, err := readPassphrase(ctx, in, out, "Choose a passphrase: ")
		if err != nil {
			return "", err
		}
		if utf8.RuneCountInString(string(first)) < leastPassphrase {
			fmt.Fprintf(out, "That is too short: %d characters at least.\n", leastPassphrase)
			continue
		}
		second, err := readPassphrase(ctx, in, out, "The same again: ")
		if err != nil {
			return "", err
		}
		if first == second {
			return first, nil
		}
		fmt.Fprintln(out, "They differ.")
	}
	return "", locked("no passphrase was chosen")
}

const (
	passphraseAttempts = 3
	leastPassphrase    = 8 // NIST SP 800-63B, section 5.1.1.1: what a person chooses
)

// locked is an error that names the other ways to unlock.
func locked(reason string) error {
	return &store.UnavailableError{Reason: store.Locked, Backend: new(store.EncryptedFile).Name(), Err: errors.New(reason),
		Hint: "set " + passphraseVariable + ", name a file with --store-passphrase-file, or use an age identity: --store-identity"}
}

// readPassphrase reads a line that is not shown. When ctx ends, it leaves the
// terminal as it was; the read goes on, as nothing can stop it, and ends with the
// process.
func readPassphrase(ctx context.Context, in, out *os.File, prompt string) (grant.Secret, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	fd := int(in.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", locked("its terminal is none")
	}
	fmt.Fprint(out, prompt)
	defer fmt.Fprintln(out) // the person's line break is not shown either
	type line struct {
		text []byte
		err  error
	}
	typed := make(chan line, 1)
	resumed := whenResumed(func() { hide(fd) })
	go func() {
		text, err := term.ReadPassword(fd)
		typed <- line{text, err}
	}()
	select {
	case line := <-typed:
		resumed()
		_ = term.Restore(fd, state) // as the state may have been changed back in between
		if errors.Is(line.err, io.EOF) || line.err == nil && len(line.text) == 0 {
			return "", locked("no passphrase was typed")
		}
		return grant.Secret(line.text), line.err
	case <-ctx.Done():
		resumed()
		return "", errors.Join(ctx.Err(), restore(fd, state))
	}
}

// restore undoes what ReadPassword does to a terminal. It may be about to do so
// only, so that is waited for.
func restore(fd int, before *term.State) error {
	for range 100 {
		if now, err := term.GetState(fd); err != nil || !reflect.DeepEqual(now, before) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return term.Restore(fd, before)
}
