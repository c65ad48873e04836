package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// unsaved is a refreshed login that exists in memory only.
type unsaved struct {
	record *Record
	spent  grant.Secret // the refresh token that is stored in its place
}

// errReplaced: the login that was refreshed is not there any more.
var errReplaced = errors.New("another program has replaced the login while it was refreshed")

// keep saves a refreshed token before it is handed out. What cannot be saved is
// handed out with the error, and stays in memory.
func (s *Source) keep(ctx context.Context, old *Record, token *grant.Token) (*grant.Token, error) {
	next := &unsaved{record: old.refreshed(token), spent: old.Token.RefreshToken}
	if pending := s.pending(); pending != nil {
		next.spent = pending.spent
	}
	err := insist(ctx, func() error { return s.saveNext(ctx, next) })
	switch {
	case err == nil:
		return token, nil
	case errors.Is(err, ErrNotFound):
		return nil, loginRequired(err) // signed out: that must not be undone
	case errors.Is(err, errReplaced):
		if stored, loadErr := s.load(ctx); loadErr == nil && s.fresh(stored) {
			return stored.Token, nil
		}
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.unsaved = nil, next
	return token, unsavedError(err)
}

// saveNext saves a refreshed login, if what is stored is still what it was made
// from. The lock makes sure of that among those who share it. Programs that do
// not, say one in a container that reaches the same keychain, find here that
// they must not undo a login or a logout.
func (s *Source) saveNext(ctx context.Context, next *unsaved) error {
	stored, err := s.load(ctx)
	if err != nil {
		return err
	}
	if stored.Token.RefreshToken != next.spent {
		return errReplaced
	}
	return s.save(ctx, next.record)
}

func unsavedError(err error) error {
	return fmt.Errorf("the refreshed token could not be saved: %w", err)
}

func (s *Source) pending() *unsaved {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unsaved
}

// isSpent reports whether a stored login has no refresh token, or one that was
// sent and whose successor could not be saved.
func (s *Source) isSpent(stored *Record) bool {
	pending := s.pending()
	return stored.Token.RefreshToken == "" || pending != nil && stored.Token.RefreshToken == pending.spent
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

const (
	saveAttempts = 3
	savePause    = 200 * time.Millisecond
)

// insist saves what cannot be had a second time. It tries again after errors that
// may be of the moment, and not where the person or the system has said no.
func insist(ctx context.Context, save func() error) error {
	for attempt := 1; ; attempt++ {
		err := save()
		if attempt == saveAttempts || !momentary(err) {
			return err
		}
		select {
		case <-time.After(savePause):
		case <-ctx.Done():
			return err
		}
	}
}

// momentary reports whether the same may succeed a moment later.
func momentary(err error) bool {
	if e, ok := errors.AsType[*UnavailableError](err); ok {
		return e.Reason == Failed || e.Reason == NotStored || e.Reason == TimedOut
	}
	_, locked := errors.AsType[*LockError](err)
	return err != nil && !locked && !repairable(err) &&
		!errors.Is(err, ErrNewer) && !errors.Is(err, errReplaced) && !errors.Is(err, grant.ErrArgument)
}
