package main

import (
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
)

// status shows the logins of this user: all of them, or those that the flags
// name.
func (p *program) status(ctx context.Context, o *options) error {
	profiles, err := p.profiles.List()
	if err != nil {
		return err
	}
	if o.profile != "" || o.issuer != "" || o.clientID != "" {
		profiles = match(profiles, o)
	}
	if len(profiles) == 0 {
		return notSignedIn("nobody is signed in")
	}
	report := struct {
		Logins []loginJSON `json:"logins"`
	}{}
	for _, profile := range profiles {
		login, err := p.inspect(ctx, profile)
		if err != nil {
			return err
		}
		report.Logins = append(report.Logins, login)
	}
	if o.output == outputJSON {
		return p.printJSON(report)
	}
	for i, login := range report.Logins {
		if i > 0 {
			fmt.Fprintln(p.out)
		}
		p.printLogin(login)
	}
	return nil
}

func notSignedIn(text string) error {
	return &commandError{code: exitLoginRequired, err: store.ErrLoginRequired,
		text: text + ": login required", hint: "sign in first: oauth-login --issuer https://issuer.example --client-id ID"}
}

// inspect looks at one login, without the network.
func (p *program) inspect(ctx context.Context, profile store.Profile) (loginJSON, error) {
	login := loginJSON{
		Issuer: profile.Issuer, ClientID: profile.ClientID, Profile: profile.Name, Default: profile.Default,
		Store: p.storeName(), Repair: loginCommand(profile),
	}
	record, err := p.load(ctx, profile)
	if errors.Is(err, store.ErrNotFound) {
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
		login.State, login.Repair = stateRefreshable, "oauth-login token"
	default:
		login.State, login.Repair = stateExpired, loginCommand(profile)
	}
	return login, nil
}

// printLogin writes one login as lines of name and value.
func (p *program) printLogin(login loginJSON) {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, printable(value))
		}
	}
	line("issuer", login.Issuer)
	line("client", login.ClientID)
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
	line("repair", login.Repair)
}
