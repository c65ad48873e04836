package main

import (
	"context"
	"errors"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// logout signs out of one login, or of all.
func (p *program) logout(ctx context.Context, o *options) error {
	if o.all {
		return p.logoutAll(ctx, o)
	}
	profile, err := p.selectProfile(ctx, o)
	if errors.Is(err, store.ErrLoginRequired) || err == nil && profile.Place.Store == noStore {
		return nothingToSignOut()
	}
	if err != nil {
		return err
	}
	if err := p.signOut(ctx, o, profile); err != nil {
		return err
	}
	if o.output == outputJSON {
		return p.printJSON(signedOut(profile))
	}
	return nil
}

// nothingToSignOut has the exit code that other commands have where nobody is signed in.
func nothingToSignOut() error {
	return &commandError{code: exitLoginRequired, text: "there is nothing to sign out of",
		hint: "'oauth-login status' shows the logins that there are"}
}

func signedOut(profile store.Profile) map[string]string {
	report := map[string]string{"issuer": profile.Issuer, "client_id": profile.ClientID, "state": "signed_out"}
	if profile.Name != "" {
		report["profile"] = profile.Name
	}
	return report
}

// signOut revokes the tokens of one login and deletes them. What cannot be
// revoked is deleted all the same, and the person is told.
func (p *program) signOut(ctx context.Context, o *options, profile store.Profile) error {
	var ending *endSession
	err := p.remove(ctx, o, profile, func(ctx context.Context, client *grant.Client, token *grant.Token) {
		if err := revoke(ctx, client, token); err != nil {
			p.warning("the tokens could not be revoked and stay valid until they expire: %v", err)
		}
		if o.endSession {
			ending = p.prepareEndSession(ctx, client, token)
		} else { // the provider has to know the client to sign out for it
			p.deregister(ctx, o, client)
		}
	})
	if err != nil {
		return err
	}
	p.say("Signed out of %s; the tokens are deleted from the %s", profile.Issuer, p.storeName(profile.Place))
	if ending != nil {
		return p.endSession(ctx, o, ending)
	}
	return nil
}

// remove deletes a login and takes it off the list. What there is to do with the
// provider is done before.
func (p *program) remove(ctx context.Context, o *options, profile store.Profile,
	before func(context.Context, *grant.Client, *grant.Token)) error {
	where, err := p.storeOf(profile)
	if err != nil {
		return err
	}
	read := false
	err = p.stored(o, profile, where).SignOut(ctx, func(ctx context.Context, record *store.Record) error {
		read = true
		client, err := p.storedClient(ctx, o, profile, record)
		if err != nil {
			p.warning("the tokens could not be revoked and stay valid until they expire: %v", err)
		} else {
			before(ctx, client, record.Token)
		}
		return ctx.Err() // interrupted: the login stays
	})
	if err != nil && !isNotFound(err) {
		return err
	}
	if err == nil && !read {
		p.warning("the tokens could not be read, and so not be revoked; they stay valid until they expire")
	}
	rest, release := grace(ctx) // the tokens are gone already
	defer release()
	if err := p.leave(rest, o, profile); err != nil {
		return err
	}
	_, err = p.prune(rest, profile)
	return err
}

// prune takes a login off the list if the store says that it does not hold it.
func (p *program) prune(ctx context.Context, profile store.Profile) (pruned bool, err error) {
	where, err := p.storeOf(profile)
	if err != nil {
		return false, err
	}
	return p.profiles.Prune(ctx, profile, func() (bool, error) {
		_, err := where.Load(ctx, profile.Key())
		if isNotFound(err) {
			return true, nil
		}
		return false, err
	})
}

// revoke ends the refresh token, and with it the access tokens that came from
// it (RFC 7009, section 2.1), or else the access token.
func revoke(ctx context.Context, client *grant.Client, token *grant.Token) error {
	if token.RefreshToken != "" {
		return client.Revoke(ctx, token.RefreshToken, "refresh_token")
	}
	if !token.Valid(0) {
		return nil
	}
	return client.Revoke(ctx, token.AccessToken, "access_token")
}
