package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// token prints a valid access token. In the usual case that is one look into
// the store and nothing else.
func (p *program) token(ctx context.Context, o *options) error {
	profile, err := p.selectProfile(ctx, o)
	if err != nil {
		return err
	}
	if o.store == noStore {
		profile.Place = store.Place{Store: noStore}
	}
	record, err := p.load(ctx, profile)
	if isDamaged(err) || errors.Is(err, store.ErrNotFound) {
		return p.replace(ctx, o, profile, err)
	}
	if err != nil {
		return err
	}
	if record.Token.Valid(o.minTTL) {
		return p.printToken(o, record.Token)
	}
	source, err := p.storedSource(ctx, o, profile, record)
	if err != nil {
		return err
	}
	token, err := source.Token(ctx)
	if token == nil {
		return loginRequired(profile, forgotten(record, err))
	}
	if err != nil {
		return p.printUnsaved(o, token, err)
	}
	return p.printToken(o, token)
}

// An unsavedToken is a token that is good but could not be saved. It is handed
// out all the same: the refresh token that bought it may be spent.
type unsavedToken struct {
	token *grant.Token
	err   error
}

func (e *unsavedToken) Error() string { return e.err.Error() }
func (e *unsavedToken) Unwrap() error { return e.err }

// printUnsaved prints the token. In JSON it is in the same object as the error.
func (p *program) printUnsaved(o *options, token *grant.Token, err error) error {
	if o.output == outputJSON {
		return &unsavedToken{token, err}
	}
	return errors.Join(p.printToken(o, token), err)
}

// replace signs in anew where nothing usable is stored, if it may.
func (p *program) replace(ctx context.Context, o *options, profile store.Profile, cause error) error {
	if !o.interactive && profile.Place.Store == noStore {
		return &commandError{code: exitLoginRequired, err: store.ErrLoginRequired,
			text: "nothing is stored with --store none: login required", hint: "add --interactive to sign in"}
	}
	if !o.interactive {
		return loginRequired(profile, fmt.Errorf("%w at %s: %w", store.ErrLoginRequired, profile.Issuer, cause))
	}
	client, err := p.remembered(ctx, o, profile)
	if err != nil {
		return err
	}
	token, err := p.signIn(ctx, o, client, profile)
	if err != nil {
		return err
	}
	return p.printToken(o, token)
}

// tokenJSON has the names of RFC 6749, section 5.1.
type tokenJSON struct {
	AccessToken string     `json:"access_token"`
	TokenType   string     `json:"token_type"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	Scopes      []string   `json:"scopes,omitempty"`
}

func (p *program) printToken(o *options, token *grant.Token) error {
	if o.output == outputJSON {
		return p.printJSON(newTokenJSON(token))
	}
	if isBound(token) {
		p.warning("the token is bound to a key (DPoP) and is of no use as a bearer token")
		p.hint("an API wants a proof of the key with every request; programs that use package store send it, with Source.HTTPClient")
	}
	_, err := fmt.Fprintln(p.out, string(token.AccessToken))
	return err
}

// isBound reports whether an access token is bound to a key (RFC 9449, section 5).
func isBound(token *grant.Token) bool { return token.TokenType == "dpop" }

func newTokenJSON(token *grant.Token) *tokenJSON {
	return &tokenJSON{
		AccessToken: string(token.AccessToken), TokenType: token.TokenType,
		ExpiresAt: expiresAt(token), Scopes: token.Scopes,
	}
}

// expiresAt is nil where the provider did not say.
func expiresAt(token *grant.Token) *time.Time {
	if token.Expiry.IsZero() {
		return nil
	}
	return new(token.Expiry.UTC().Truncate(time.Second))
}
