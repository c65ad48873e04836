package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// fresh reports whether what the flags ask for lives for long enough.
func (o *options) fresh(token *grant.Token) bool {
	return token.Valid(o.minTTL) && o.freshIDToken(token)
}

// freshIDToken reports so of the ID token, if that is asked for. It need not live
// for more than half of its life, or a short one would be renewed every time. One
// that is not there cannot be renewed.
func (o *options) freshIDToken(token *grant.Token) bool {
	if !o.idToken || token.IDToken == nil {
		return true
	}
	least := min(o.minTTL, token.IDToken.Expiry.Sub(token.IDToken.IssuedAt)/2)
	return time.Until(token.IDToken.Expiry) > least
}

// renewIDToken gets a new ID token by refreshing: a provider may send one then,
// and need not (OpenID Connect Core 1.0, section 12.2).
func (o *options) renewIDToken(ctx context.Context, source *source, token *grant.Token) (*grant.Token, error) {
	refreshed, err := source.Refresh(ctx)
	switch {
	case refreshed != nil && (err != nil || refreshed.IDToken == nil || time.Until(refreshed.IDToken.Expiry) > 0):
		return refreshed, err
	case time.Until(token.IDToken.Expiry) > 0:
		return token, nil // it cannot be replaced now, but lives for a while
	case err != nil && !errors.Is(err, store.ErrLoginRequired):
		return nil, err
	case o.interactive:
		return source.SignIn(ctx)
	case err != nil:
		return nil, err
	}
	return nil, fmt.Errorf("%w: the ID token has expired, and the provider gives a new one with a login only", store.ErrLoginRequired)
}
