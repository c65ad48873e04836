package main

import (
	"context"
	"errors"
	"strings"

	"github.com/oauth-login/oauth-login/store"
)

// selectProfile finds the login that a command is about: the one that the
// flags name, or else the last one. A login that is named in full need not be
// on the list.
func (p *program) selectProfile(ctx context.Context, o *options) (store.Profile, error) {
	profile, ok, err := p.findProfile(o)
	if err != nil {
		return profile, err
	}
	if ok {
		return o.locate(profile)
	}
	profiles, err := p.profiles.List()
	if err != nil {
		return store.Profile{}, err
	}
	matching := match(profiles, o)
	switch {
	case len(matching) == 1:
		return o.locate(matching[0])
	case len(matching) > 1:
		return store.Profile{}, usageError("the flags fit several logins", "choose one of: "+strings.Join(commandLines(matching), " · "))
	case o.issuer != "" && o.clientID != "":
		return p.unlisted(ctx, o)
	}
	return store.Profile{}, o.notSignedIn(len(profiles))
}

// findProfile finds a login without a look at all of them, where the flags allow that.
func (p *program) findProfile(o *options) (profile store.Profile, ok bool, err error) {
	switch {
	case o.issuer != "" && o.clientID != "":
		return p.profiles.Find(store.Profile{Issuer: o.issuer, ClientID: o.clientID, Name: o.profile})
	case o.issuer != "" || o.clientID != "":
		return profile, false, nil
	case o.profile != "":
		return p.profiles.Find(store.Profile{Name: o.profile})
	}
	return p.profiles.Default()
}

// locate says where a login on the list is. The list knows better than --store,
// which is for a new one; but another file may open it by now.
func (o *options) locate(profile store.Profile) (_ store.Profile, err error) {
	if profile.Place.Store == encryptedStore {
		profile.Place, err = o.encryptedPlace(profile.Place)
	}
	return profile, err
}

// unlisted looks for a login that is named in full where --store says. If it is
// there, it is put on the list again.
func (p *program) unlisted(ctx context.Context, o *options) (profile store.Profile, err error) {
	profile = store.Profile{Issuer: o.issuer, ClientID: o.clientID, Name: o.profile, CACert: o.caCert}
	if profile.Place, err = o.place(profile.Place); err != nil || profile.Place.Store == noStore {
		return profile, err
	}
	if err := p.checkName(o, profile); err != nil {
		return profile, err
	}
	if _, err := p.load(ctx, profile); err != nil {
		return profile, nil // whoever wants it will see why
	}
	return profile, p.profiles.Add(ctx, profile)
}

// match returns the logins that the flags fit. A login without a name is
// preferred to others of the same issuer and client.
func match(profiles []store.Profile, o *options) (matching []store.Profile) {
	for _, profile := range profiles {
		if (o.profile == "" || profile.Name == o.profile) &&
			(o.issuer == "" || profile.Issuer == o.issuer) &&
			(o.clientID == "" || profile.ClientID == o.clientID) {
			matching = append(matching, profile)
		}
	}
	if o.profile != "" || o.issuer == "" || o.clientID == "" {
		return matching
	}
	for _, profile := range matching {
		if profile.Name == "" {
			return []store.Profile{profile}
		}
	}
	return matching
}

// commandLines are the flags that choose each of some logins. Two may have one
// name, if both were made at the same time by old versions.
func commandLines(profiles []store.Profile) (lines []string) {
	named := map[string]int{}
	for _, profile := range profiles {
		named[profile.Name]++
	}
	for _, profile := range profiles {
		if profile.Name != "" && named[profile.Name] == 1 {
			lines = append(lines, "--profile "+shellWord(profile.Name))
		} else {
			lines = append(lines, fullName(profile))
		}
	}
	return lines
}

// fullName are the flags that name a login, whatever others there are.
func fullName(profile store.Profile) string {
	flags := "--issuer " + shellWord(profile.Issuer) + " --client-id " + shellWord(profile.ClientID)
	if profile.Name != "" {
		flags += " --profile " + shellWord(profile.Name)
	}
	return flags
}

// loginCommand is the command that repairs a login.
func loginCommand(profile store.Profile) string {
	if profile.Provider != "" {
		return "oauth-login login --provider " + shellWord(profile.Provider) + " " + fullName(profile)
	}
	return "oauth-login login " + fullName(profile)
}

// logoutCommand is the command that removes a login.
func logoutCommand(profile store.Profile) string { return "oauth-login logout " + fullName(profile) }

// tokenCommand is the command that refreshes a login.
func tokenCommand(profile store.Profile) string {
	if profile.Default {
		return "oauth-login token"
	}
	return "oauth-login token " + commandLines([]store.Profile{profile})[0]
}

// shellWord is a word of a command that people copy. It may come from a server, as
// the ID of a client that was registered does.
func shellWord(text string) string {
	text = printable(text)
	if strings.Trim(text, shellPlain) == "" && text != "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// shellPlain has no meaning to a shell.
const shellPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@%,:="

// loginRequired adds the exact command to an error that asks for a login.
func loginRequired(profile store.Profile, err error) error {
	if !errors.Is(err, store.ErrLoginRequired) {
		return err
	}
	return &commandError{code: exitLoginRequired, err: err, text: err.Error(), hint: "sign in again: " + loginCommand(profile)}
}
