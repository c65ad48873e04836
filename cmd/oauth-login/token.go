package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// token prints a valid token. In the usual case that is one look into the store
// and nothing else.
func (p *program) token(ctx context.Context, o *options) error {
	if err := p.checkFormat(o); err != nil {
		return err
	}
	token, err := p.validToken(ctx, o)
	if token == nil {
		return err
	}
	if err != nil {
		return p.printUnsaved(o, token, err)
	}
	return p.printToken(o, token)
}

// validToken returns the token of the login that the flags name. An error that
// comes with a token means that it is good and could not be saved.
func (p *program) validToken(ctx context.Context, o *options) (*grant.Token, error) {
	token, err := p.findToken(ctx, o)
	if token == nil {
		return nil, err
	}
	if other := o.checkUser(token); other != nil {
		return nil, other
	}
	return token, err
}

// findToken looks into the store, refreshes, or with --interactive signs in.
func (p *program) findToken(ctx context.Context, o *options) (*grant.Token, error) {
	profile, err := p.selectProfile(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.store == noStore {
		profile.Place = store.Place{Store: noStore}
	}
	began := time.Now()
	record, err := p.load(ctx, profile)
	p.detail(o, "looked into the %s in %s", p.storeName(profile.Place), milliseconds(time.Since(began)))
	if isDamaged(err) || errors.Is(err, store.ErrNotFound) {
		return p.replace(ctx, o, profile, err)
	}
	if err != nil {
		return nil, err
	}
	if o.verbose { // the time zone is in a file
		p.detail(o, "%s", lifetime(record.Token))
		began = time.Now()
	}
	if o.fresh(record.Token) && !o.refresh {
		return record.Token, nil
	}
	source, err := p.storedSource(ctx, o, profile, record)
	if err != nil {
		return nil, err
	}
	token, err := o.newToken(ctx, source)
	if err == nil && !o.freshIDToken(token) {
		token, err = o.renewIDToken(ctx, source, token)
	}
	if token == nil {
		return nil, loginRequired(profile, forgotten(record, err))
	}
	if err == nil && token.AccessToken != record.Token.AccessToken {
		p.detail(o, "a new token is in the %s, %s after it was wanted", p.storeName(profile.Place), milliseconds(time.Since(began)))
	}
	return token, err
}

// newToken gets a token in place of the one that is stored, which --refresh does not
// want, however valid that is.
func (o *options) newToken(ctx context.Context, source *source) (*grant.Token, error) {
	if !o.refresh {
		return source.Token(ctx)
	}
	token, err := source.Refresh(ctx)
	if errors.Is(err, store.ErrLoginRequired) && o.interactive {
		return source.SignIn(ctx)
	}
	return token, err
}

// An unsavedToken is a token that is good but could not be saved. It is handed
// out all the same: the refresh token that bought it may be spent.
type unsavedToken struct {
	token *tokenJSON
	err   error
}

func (e *unsavedToken) Error() string { return e.err.Error() }
func (e *unsavedToken) Unwrap() error { return e.err }

// replace signs in anew where nothing usable is stored, if it may.
func (p *program) replace(ctx context.Context, o *options, profile store.Profile, cause error) (*grant.Token, error) {
	if !o.interactive && profile.Place.Store == noStore {
		return nil, &commandError{code: exitLoginRequired, err: store.ErrLoginRequired,
			text: "nothing is stored with --store none: login required", hint: "add --interactive to sign in"}
	}
	if !o.interactive {
		return nil, loginRequired(profile, fmt.Errorf("%w at %s: %w", store.ErrLoginRequired, profile.Issuer, cause))
	}
	client, err := p.remembered(ctx, o, profile)
	if err != nil {
		return nil, err
	}
	return p.signIn(ctx, o, client, profile)
}
