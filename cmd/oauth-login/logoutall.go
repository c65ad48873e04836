package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/oauth-login/oauth-login/store"
)

// logoutAll signs out of every login on the list, after the person has agreed. One
// that cannot be removed does not keep the others.
func (p *program) logoutAll(ctx context.Context, o *options) error {
	for _, flag := range []string{"issuer", "client-id", "profile"} {
		if o.given(flag) {
			return usageError("--all and --"+flag+" exclude each other", "leave --all out to sign out of one login")
		}
	}
	profiles, err := p.profiles.List()
	if err != nil {
		return err
	}
	if len(profiles) == 0 {
		return nothingToSignOut()
	}
	if err := p.agreed(ctx, o, profiles); err != nil {
		return err
	}
	report := struct {
		Logins []map[string]string `json:"logins"`
	}{}
	var problems []error
	for _, profile := range profiles {
		if profile, err = o.locate(profile); err == nil {
			err = p.signOut(ctx, o, profile)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			p.warning("the login at %s is still there: %v", profile.Issuer, err)
			problems = append(problems, err)
			continue
		}
		report.Logins = append(report.Logins, signedOut(profile))
	}
	_ = p.metadata.Clear(ctx) // it holds no secret, and tells where there were logins
	if len(problems) > 0 {
		return fmt.Errorf("%d of %d logins could not be removed: %w", len(problems), len(profiles), problems[0])
	}
	if o.output == outputJSON {
		return p.printJSON(report)
	}
	return nil
}

// agreed asks at the terminal, where there is one, unless --yes was given.
func (p *program) agreed(ctx context.Context, o *options, profiles []store.Profile) error {
	if o.yes {
		return nil
	}
	in, out, err := openTerminal()
	if err != nil {
		return usageError("--all asks before it signs out, and there is no terminal to ask at", "add --yes to sign out of all logins without a question")
	}
	defer out.Close()
	for _, profile := range profiles {
		fmt.Fprintf(out, "  %s\n", printable(strings.Join(commandLines([]store.Profile{profile}), "")))
	}
	question := "Sign out of all these logins? [y/N] "
	if len(profiles) == 1 {
		question = "Sign out of this login? [y/N] "
	}
	fmt.Fprint(out, question)
	answer, err := interruptible(ctx, func() ([]byte, error) {
		defer in.Close()
		return bufio.NewReader(io.LimitReader(in, 4096)).ReadBytes('\n')
	})
	if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(out)
		return err
	}
	switch strings.ToLower(strings.TrimSpace(string(answer))) {
	case "y", "yes":
		return nil
	}
	return &commandError{code: exitRefused, text: "nobody was signed out", hint: "'oauth-login logout' without --all signs out of one login"}
}
