package main

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Credential helpers answer other programs, which ask for the password of a host.
// A token goes to the hosts that the person has named for it, and to no other.

func (o *options) helperFlags(f *pflag.FlagSet) {
	o.selectFlags(f)
	o.tokenFlags(f)
	f.StringArrayVar(&o.hosts, "for-host", nil, "`HOST[:PORT]` that the token is meant for, repeatable; required")
	f.StringVar(&o.username, "username", "oauth2", "`NAME` to show beside the token, unless one is asked for")
}

func oneOperation(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError("'oauth-login "+c.Name()+"' wants one operation, such as get", "'oauth-login "+c.Name()+" --help' shows how to set it up")
	}
	return nil
}

// checkLogin demands that the login is named. A helper stays in a configuration for
// years, and the last login, which other verbs use, is another one tomorrow: its
// token would go to a host that it is not meant for.
func (o *options) checkLogin() error {
	if o.given("issuer") || o.given("profile") {
		return nil
	}
	return usageError("--issuer or --profile is missing: a helper has to name its login, as the last one may be another by then",
		"'oauth-login status' shows the logins that there are")
}

func (o *options) checkHosts() error {
	if err := o.checkLogin(); err != nil {
		return err
	}
	const hint = "for example --for-host git.example"
	if len(o.hosts) == 0 {
		return usageError("--for-host is missing: a token goes to no host that it is not meant for", hint)
	}
	if strings.ContainsFunc(o.username, unicode.IsControl) { // each line of an answer means something
		return usageError("--username wants a name on one line", "for example --username oauth2")
	}
	for _, host := range o.hosts {
		if u, err := url.Parse("https://" + host); err != nil || u.Host != host || u.Hostname() == "" || strings.HasSuffix(host, ":") || strings.Contains(host, "*") {
			return usageError("--for-host wants the name of a host, with the port if it is not 443, not "+quoted(host), hint)
		}
	}
	return nil
}

// meantFor reports whether a host is one of --for-host. 443 is the port of https.
func (o *options) meantFor(host string) bool {
	return slices.ContainsFunc(o.hosts, func(meant string) bool { return plainHost(meant) == plainHost(host) })
}

func plainHost(host string) string { return strings.TrimSuffix(strings.ToLower(host), ":443") }

// passwordFor returns what a helper hands out. unsaved means that it is good, and
// could not be saved.
func (p *program) passwordFor(ctx context.Context, o *options) (c *credential, unsaved, err error) {
	token, unsaved := p.validToken(ctx, o)
	if token == nil {
		return nil, nil, unsaved
	}
	c, err = o.credential(token)
	if err == nil && c.bound {
		err = needsProof()
	}
	return c, unsaved, err
}

// replaceRefused replaces a token that a host has refused, if it is the one that is
// stored. The login stays: a person who may not see one repository is signed in
// all the same.
func (p *program) replaceRefused(ctx context.Context, o *options, refused string) error {
	profile, record, err := p.signedIn(ctx, o)
	if err != nil {
		return err
	}
	c, err := o.credential(record.Token)
	if err != nil || refused != "" && refused != string(c.token) {
		return err // it is another helper's, or replaced by now
	}
	source, err := p.storedSource(ctx, o, profile, record)
	if err != nil {
		return err
	}
	source.Login = nil // the person is at another program, which does not wait for this
	_, err = source.Renew(ctx, record.Token)
	return loginRequired(profile, forgotten(record, err))
}
