package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// refreshTimeout bounds a refresh that nobody may be waiting for any more. It
// is longer than the timeout of one request.
const refreshTimeout = time.Minute

// token is one flight of Token.
func (s *Source) token(ctx context.Context) (*grant.Token, error) {
	_, changes := s.remembered()
	record, err := s.load(ctx)
	if err != nil && !repairable(err) {
		return nil, err
	}
	if s.fresh(record) && s.pending() == nil {
		// It needs no turn: it is there at once, even while a login goes on.
		s.remember(record, changes)
		return record.Token, nil
	}
	done, err := s.take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	token, err := s.renew(ctx, false)
	if errors.Is(err, ErrLoginRequired) && s.Login != nil {
		return s.signIn(ctx)
	}
	return token, err
}

// repairable reports whether a login helps against an error of load.
func repairable(err error) bool {
	_, damaged := errors.AsType[*DamagedError](err)
	return damaged || errors.Is(err, ErrNotFound)
}

// renew finds a valid token without the person, or with force a new one. The
// caller has the turn; whoever had it before may have changed everything, so it
// begins with a look.
func (s *Source) renew(ctx context.Context, force bool) (*grant.Token, error) {
	_, changes := s.remembered()
	record, err := s.load(ctx)
	if repairable(err) {
		return nil, loginRequired(err)
	}
	if err != nil {
		return nil, err
	}
	record, saveErr := s.saveAgain(ctx, record)
	if s.fresh(record) && !force {
		if saveErr == nil {
			s.remember(record, changes)
		}
		return record.Token, saveErr
	}
	token, err := s.refresh(ctx, record)
	if token == nil && !force && !grant.LoginRequired(err) && record.Token.Valid(0) {
		return record.Token, nil // it cannot be replaced now, but lives for a while
	}
	return token, err
}

// refresh buys a new token with the refresh token of a record and saves it.
func (s *Source) refresh(ctx context.Context, record *Record) (*grant.Token, error) {
	if record.Token.RefreshToken == "" {
		return nil, loginRequired(errors.New("the provider gave no refresh token"))
	}
	if _, err := s.Client.Discover(ctx); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err() // nothing was lost by leaving until here
	}
	// From here on the refresh token may be spent, and what it buys has to be
	// saved.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
	defer cancel()
	token, err := s.Client.Refresh(ctx, record.Token)
	if grant.LoginRequired(err) {
		// Another process may have refreshed or signed in, which made this
		// refresh token the wrong one: look once.
		stored, loadErr := s.load(ctx)
		if loadErr == nil && s.fresh(stored) && stored.Token.RefreshToken != record.Token.RefreshToken {
			return stored.Token, nil
		}
		if loadErr != nil || stored.Token.RefreshToken == "" || stored.Token.RefreshToken == record.Token.RefreshToken {
			return nil, loginRequired(err)
		}
		record = stored
		token, err = s.Client.Refresh(ctx, record.Token)
	}
	if grant.LoginRequired(err) {
		return nil, loginRequired(err)
	}
	if err != nil {
		return nil, err
	}
	return s.keep(ctx, record, token)
}

func loginRequired(cause error) error { return fmt.Errorf("%w: %w", ErrLoginRequired, cause) }

// unsaved is a refreshed login that exists in memory only.
type unsaved struct {
	record *Record
	spent  grant.Secret // the refresh token that is stored in its place
}

// keep saves a refreshed token before it is handed out. What cannot be saved is
// handed out with the error, and stays in memory.
func (s *Source) keep(ctx context.Context, old *Record, token *grant.Token) (*grant.Token, error) {
	record := old.refreshed(token)
	err := s.save(ctx, record)
	if err == nil {
		return token, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	spent := old.Token.RefreshToken
	if s.unsaved != nil {
		spent = s.unsaved.spent
	}
	s.held, s.unsaved = nil, &unsaved{record: record, spent: spent}
	return token, unsavedError(err)
}

func unsavedError(err error) error {
	return fmt.Errorf("the refreshed token could not be saved: %w", err)
}

func (s *Source) pending() *unsaved {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unsaved
}

// saveAgain saves what could not be saved before, and returns what the login is
// now, whether that worked or not. If the store holds another login than the
// one that was refreshed, then that one is newer.
func (s *Source) saveAgain(ctx context.Context, stored *Record) (*Record, error) {
	pending := s.pending()
	if pending == nil {
		return stored, nil
	}
	if stored.Token.RefreshToken != pending.spent {
		s.changed(stored)
		return stored, nil
	}
	if err := s.save(ctx, pending.record); err != nil {
		return pending.record, unsavedError(err)
	}
	return pending.record, nil
}
