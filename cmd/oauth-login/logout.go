package main

import (
	"context"

	"github.com/oauth-login/oauth-login/store"
)

// logout revokes the tokens of one login and deletes them. What cannot be
// revoked is deleted all the same, and the person is told.
func (p *program) logout(ctx context.Context, o *options) error {
	profile, err := p.selectProfile(ctx, o)
	if err != nil {
		return err
	}
	if profile.Place.Store == noStore {
		return notSignedIn("nothing is stored with --store none")
	}
	where, err := p.storeOf(profile)
	if err != nil {
		return err
	}
	err = p.stored(o, profile, where).SignOut(ctx, func(ctx context.Context, record *store.Record) error {
		p.revoke(ctx, o, profile, record)
		return ctx.Err() // interrupted: the login stays
	})
	if err != nil && !isNotFound(err) {
		return err
	}
	rest, release := grace(ctx) // the tokens are gone already
	defer release()
	if err := p.leave(rest, o, profile); err != nil {
		return err
	}
	if _, err := p.prune(rest, profile); err != nil {
		return err
	}
	p.say("Signed out of %s; the tokens are deleted from the %s", profile.Issuer, p.storeName(profile.Place))
	if o.output == outputJSON {
		return p.printJSON(map[string]string{"issuer": profile.Issuer, "client_id": profile.ClientID, "state": "signed_out"})
	}
	return nil
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
func (p *program) revoke(ctx context.Context, o *options, profile store.Profile, record *store.Record) {
	token, hint := record.Token.RefreshToken, "refresh_token"
	if token == "" {
		token, hint = record.Token.AccessToken, "access_token"
	}
	if hint == "access_token" && !record.Token.Valid(0) {
		return
	}
	client, err := p.storedClient(ctx, o, profile, record)
	if err == nil {
		err = client.Revoke(ctx, token, hint)
	}
	if err != nil {
		p.warning("the tokens could not be revoked and stay valid until they expire: %v", err)
	}
}
