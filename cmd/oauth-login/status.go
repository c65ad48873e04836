package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/oauth-login/oauth-login/store"
)

// The states of a login.
const (
	stateValid       = "valid"       // the access token works
	stateRefreshable = "refreshable" // it has expired; 'token' gets a new one
	stateExpired     = "expired"     // only a new login helps
	stateMissing     = "missing"     // on the list, but not in the store
	stateDamaged     = "damaged"     // in the store, but unreadable
	stateNewer       = "newer"       // stored by a newer version of this command
	stateUnavailable = "unavailable" // its store cannot be asked
)

// status shows the logins of this user: all of them, or those that the flags
// name. Where the list and the stores do not agree, it corrects the list.
func (p *program) status(ctx context.Context, o *options) error {
	profiles, err := p.selectProfiles(ctx, o)
	if err != nil {
		return err
	}
	report := struct {
		Logins []loginJSON `json:"logins"`
	}{}
	var problems []error
	for _, profile := range profiles {
		login, err := p.inspect(ctx, profile)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			problems = append(problems, err)
			_, hints := classify(ctx, err)
			login.State, login.Problem, login.Repair = stateUnavailable, err.Error(), hints[0]
		}
		report.Logins = append(report.Logins, login)
		p.heal(ctx, o, profile, login)
	}
	if len(problems) == len(profiles) { // there is nothing to tell
		return problems[0]
	}
	if o.output == outputJSON {
		return p.printJSON(report)
	}
	for i, login := range report.Logins {
		if i > 0 {
			fmt.Fprintln(p.out)
		}
		if err := p.printLogin(login); err != nil {
			return err
		}
	}
	return nil
}

// notSignedIn is the answer where the list of logins has none that the flags fit.
func (o *options) notSignedIn(listed int) error {
	flags := store.Profile{Issuer: cmp.Or(o.issuer, "https://issuer.example"), ClientID: cmp.Or(o.clientID, "ID"), Name: o.profile}
	text, hint := "nobody is signed in: login required", "sign in first: oauth-login "+fullName(flags)
	if listed > 0 {
		text, hint = "there is no such login: login required", hint+"; or choose one of those that 'oauth-login status' shows"
	}
	return &commandError{code: exitLoginRequired, err: store.ErrLoginRequired, text: text, hint: hint}
}

// selectProfiles returns the logins on the list that the flags fit, or the one
// that is named in full and found in a store.
func (p *program) selectProfiles(ctx context.Context, o *options) ([]store.Profile, error) {
	profiles, err := p.profiles.List()
	if err != nil {
		return nil, err
	}
	listed := len(profiles)
	if o.profile != "" || o.issuer != "" || o.clientID != "" {
		profiles = match(profiles, o)
	}
	for i := range profiles {
		if profiles[i], err = o.locate(profiles[i]); err != nil {
			return nil, err
		}
	}
	if len(profiles) > 0 {
		return profiles, nil
	}
	if o.issuer != "" && o.clientID != "" {
		profile, err := p.unlisted(ctx, o)
		if err != nil {
			return nil, err
		}
		if _, err := p.load(ctx, profile); !isNotFound(err) {
			return []store.Profile{profile}, nil
		}
	}
	return nil, o.notSignedIn(listed)
}

// heal makes the list of logins agree with what inspect has found.
func (p *program) heal(ctx context.Context, o *options, profile store.Profile, login loginJSON) {
	if len(profile.Left) > 0 && !profile.Newer && p.leave(ctx, o, profile) != nil {
		return
	}
	if login.State != stateMissing {
		return
	}
	pruned, err := p.prune(ctx, profile)
	switch {
	case err != nil:
		p.warning("the login at %s is not in the %s any more, and the list cannot be corrected: %v", profile.Issuer, login.Store, err)
	case pruned:
		p.warning("the login at %s is not in the %s any more, and is taken off the list", profile.Issuer, login.Store)
	}
}

// inspect looks at one login, without the network.
func (p *program) inspect(ctx context.Context, profile store.Profile) (loginJSON, error) {
	login := loginJSON{
		Issuer: profile.Issuer, ClientID: profile.ClientID, Provider: profile.Provider, Profile: profile.Name, Default: profile.Default,
		Store: p.storeName(profile.Place), OpenedBy: lockName(profile.Place), Repair: loginCommand(profile),
	}
	record, err := p.load(ctx, profile)
	if isNotFound(err) {
		login.State = stateMissing
		return login, nil
	}
	if isDamaged(err) {
		login.State = stateDamaged
		return login, nil
	}
	if errors.Is(err, store.ErrNewer) {
		login.State, login.Repair = stateNewer, "update oauth-login"
		return login, nil
	}
	if err != nil {
		return login, err
	}
	login = p.loginSummary(profile, record.Token)
	switch {
	case record.Token.Valid(0):
		login.State = stateValid
	case record.Token.RefreshToken != "":
		login.State, login.Repair = stateRefreshable, tokenCommand(profile)
	default:
		login.State, login.Repair = stateExpired, loginCommand(profile)
	}
	return login, nil
}

// printLogin writes one login as lines of name and value.
func (p *program) printLogin(login loginJSON) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, printable(value))
		}
	}
	line("issuer", login.Issuer)
	line("client", login.ClientID)
	line("provider", login.Provider)
	line("profile", login.Profile)
	if login.Default {
		line("default", "yes")
	}
	line("account", strings.TrimSpace(login.Account+" "+login.Subject))
	line("scopes", strings.Join(login.Scopes, " "))
	line("state", login.State)
	if login.ExpiresAt != nil {
		line("expires", login.ExpiresAt.Local().Format(time.DateTime))
	}
	line("stored in", login.Store)
	line("opened by", login.OpenedBy)
	line("problem", login.Problem)
	line("repair", login.Repair)
	return w.Flush()
}
