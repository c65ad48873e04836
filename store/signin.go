package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/oauth-login/oauth-login/grant"
)

// signIn is one flight of SignIn.
func (s *Source) signIn(ctx context.Context) (*grant.Token, error) {
	before, err := s.load(ctx)
	if err != nil && !repairable(err) {
		return nil, err
	}
	settings, err := settingsOf(s.Client)
	if err != nil {
		return nil, err
	}
	return s.signInUnless(ctx, func(now *Record) bool {
		return (before == nil || !now.SignedInAt.Equal(before.SignedInAt)) && settings.equal(now.settings)
	}, s.ask)
}

// signInUnless has the person sign in, one process after the other. What is
// stored then, nil for nothing, is handed to ask, or makes that unnecessary: if done
// says so, as it is the work of another who was faster.
func (s *Source) signInUnless(ctx context.Context, done func(*Record) bool, ask func(context.Context, *Record) (*grant.Token, error)) (*grant.Token, error) {
	pass, err := s.takePerson(ctx)
	if err != nil {
		return nil, err
	}
	defer pass()
	now, err := s.load(ctx)
	if err != nil && !repairable(err) {
		return nil, err
	}
	if now != nil && done(now) {
		token, err := s.renew(ctx, "")
		if !errors.Is(err, ErrLoginRequired) {
			return token, err
		}
	}
	return ask(ctx, now)
}

// ask has the person sign in, whatever is stored.
func (s *Source) ask(ctx context.Context, _ *Record) (*grant.Token, error) {
	settings, err := settingsOf(s.Client)
	if err != nil {
		return nil, err
	}
	return s.login(ctx, settings, nil)
}

// login has the person sign in. Everything that could keep the tokens from being
// stored is found out before that. A token that accept refuses is not stored; nil
// accepts all.
func (s *Source) login(ctx context.Context, settings *settings, accept func(*grant.Token) error) (*grant.Token, error) {
	if err := s.probe(ctx); err != nil {
		return nil, err
	}
	var saved atomic.Pointer[grant.Token] // Login may save from a goroutine of its own
	save := func(ctx context.Context, token *grant.Token) error {
		if token == nil || token.AccessToken == "" {
			return fmt.Errorf("%w: Login has no token to save", grant.ErrArgument)
		}
		if accept != nil {
			if err := accept(token); err != nil {
				return err
			}
		}
		err := s.replace(ctx, s.newRecord(token, settings))
		if err == nil {
			saved.Store(token)
		}
		return err
	}
	token, err := s.Login(ctx, save)
	if err != nil {
		return saved.Load(), err
	}
	if token == nil || token != saved.Load() {
		err = save(ctx, token)
	}
	return token, err
}

// probe finds out whether the store could save something, and has it ask for what
// it needs for that.
func (s *Source) probe(ctx context.Context) error {
	if prober, ok := s.store().(interface{ Probe(context.Context) error }); ok {
		return prober.Probe(ctx)
	}
	return nil
}

// newRecord returns a login of this moment.
func (s *Source) newRecord(token *grant.Token, settings *settings) *Record {
	return &Record{
		Issuer: s.issuer(), ClientID: s.Client.ClientID, Profile: s.Profile,
		Token: token, SignedInAt: now(), settings: settings,
	}
}

// saveLogin saves a login that was completed elsewhere.
func (s *Source) saveLogin(ctx context.Context, token *grant.Token) error {
	if token == nil || token.AccessToken == "" {
		return fmt.Errorf("%w: there is no token to save", grant.ErrArgument)
	}
	if id := token.IDToken; id != nil && (id.Issuer != s.issuer() || !slices.Contains(id.Audience, s.Client.ClientID)) {
		return fmt.Errorf("%w: the token comes from another issuer or is for another client", grant.ErrArgument)
	}
	settings, err := settingsOf(s.Client)
	if err != nil {
		return err
	}
	if err := s.probe(ctx); err != nil { // what asks the person for something stops with ctx, which a save does not
		return err
	}
	return s.replace(ctx, s.newRecord(token, settings))
}

// replace saves a new login in the place of whatever is stored, and tells of what
// was there if nobody could read it.
func (s *Source) replace(ctx context.Context, record *Record) error {
	damage, err := s.replaceLocked(ctx, record)
	if err == nil && damage != nil && s.Damaged != nil {
		s.Damaged(damage)
	}
	return err
}

// replaceLocked does so under the lock. What a newer version has stored is not
// replaced; of what cannot be read, a copy is kept.
func (s *Source) replaceLocked(ctx context.Context, record *Record) (*DamagedError, error) {
	done, err := s.takeRecord(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	ctx = context.WithoutCancel(ctx) // nobody should come back to half of it
	damage, err := s.keepCopy(ctx)
	if err != nil {
		return nil, err
	}
	return damage, insist(ctx, func() error { return s.save(ctx, record) })
}
