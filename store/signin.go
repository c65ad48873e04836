package store

import (
	"context"
	"errors"
	"fmt"
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
	})
}

// signInUnless has the person sign in, one process after the other. What is
// stored then may make that unnecessary: if done says so, as it is the work of
// another who was faster.
func (s *Source) signInUnless(ctx context.Context, done func(*Record) bool) (*grant.Token, error) {
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
	return s.ask(ctx)
}

// ask has the person sign in. Everything that could keep the tokens from being
// stored is found out before that.
func (s *Source) ask(ctx context.Context) (*grant.Token, error) {
	if prober, ok := s.store().(interface{ Probe(context.Context) error }); ok {
		if err := prober.Probe(ctx); err != nil {
			return nil, err
		}
	}
	settings, err := settingsOf(s.Client)
	if err != nil {
		return nil, err
	}
	var saved atomic.Pointer[grant.Token] // Login may save from a goroutine of its own
	save := func(ctx context.Context, token *grant.Token) error {
		if token == nil || token.AccessToken == "" {
			return fmt.Errorf("%w: Login has no token to save", grant.ErrArgument)
		}
		err := s.replace(ctx, &Record{
			Issuer: s.issuer(), ClientID: s.Client.ClientID, Profile: s.Profile,
			Token: token, SignedInAt: now(), settings: settings,
		})
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
