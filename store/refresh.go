package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

const refreshTimeout = time.Minute

// refreshTime bounds a refresh that nobody may be waiting for any more. It is longer
// than two requests may take by the client: one for the token and one for the keys.
func (s *Source) refreshTime() time.Duration {
	if s.Client == nil || s.Client.HTTPClient == nil {
		return refreshTimeout
	}
	return max(refreshTimeout, 2*s.Client.HTTPClient.Timeout)
}

// token is one flight of Token.
func (s *Source) token(ctx context.Context) (*grant.Token, error) {
	_, changes := s.remembered()
	record, err := s.load(ctx)
	if err != nil && !repairable(err) {
		return nil, err
	}
	if s.fresh(record) && s.pending() == nil {
		// It needs no lock: it is there at once, even while a login goes on.
		s.remember(record, changes)
		s.log(ctx, slog.LevelDebug, "login found", slog.Any("token", record.Token))
		return record.Token, nil
	}
	token, err := s.renew(ctx, "")
	if errors.Is(err, ErrLoginRequired) && s.Login != nil {
		return s.signInUnless(ctx, func(now *Record) bool {
			return record == nil || now.Token.AccessToken != record.Token.AccessToken
		}, s.ask)
	}
	if _, locked := errors.AsType[*LockError](err); locked && record != nil && record.Token.Valid(0) {
		return record.Token, nil // as where it cannot be replaced for another reason
	}
	return token, err
}

// repairable reports whether a login helps against an error of load.
func repairable(err error) bool {
	_, damaged := errors.AsType[*DamagedError](err)
	return damaged || errors.Is(err, ErrNotFound)
}

// newToken is one flight of Refresh.
func (s *Source) newToken(ctx context.Context) (*grant.Token, error) {
	refused, _ := s.remembered()
	if pending := s.pending(); pending != nil {
		refused = pending.record
	}
	if refused == nil {
		var err error
		if refused, err = s.load(ctx); repairable(err) {
			return nil, loginRequired(err)
		} else if err != nil {
			return nil, err
		}
	}
	return s.renew(ctx, refused.Token.AccessToken)
}

// renew finds a valid token without the person: one that is stored and not the
// one that was refused, or else a new one. Everything from the look into the
// store until the new token is in it happens under the lock. Without that, two
// processes would send the same refresh token, and a provider takes the second
// for a thief and ends the login (RFC 9700, section 4.14.2).
func (s *Source) renew(ctx context.Context, refused grant.Secret) (*grant.Token, error) {
	began := time.Now()
	done, err := s.takeRecord(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	_, changes := s.remembered()
	record, err := s.load(ctx)
	if repairable(err) {
		return nil, loginRequired(err)
	}
	if err != nil {
		return nil, err
	}
	record, saveErr := s.saveAgain(ctx, record)
	if s.fresh(record) && record.Token.AccessToken != refused {
		if saveErr == nil {
			s.remember(record, changes)
		}
		return record.Token, saveErr
	}
	if err := s.refusedMeanwhile(began, record); err != nil {
		return nil, err
	}
	token, err := s.refresh(ctx, record)
	if token == nil && !grant.LoginRequired(err) && record.Token.AccessToken != refused && record.Token.Valid(0) {
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
	interrupted, err := s.preflight(ctx)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err() // nothing was lost by leaving until here
	}
	// From here on the refresh token may be spent, and what it buys has to be
	// saved.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.refreshTime())
	defer cancel()
	token, err := s.Client.Refresh(ctx, record.Token)
	if grant.LoginRequired(err) {
		// Another process that shares no lock with this one, say in a container,
		// may have made this refresh token the wrong one: look once.
		stored, loadErr := s.load(ctx)
		if loadErr == nil && s.fresh(stored) && stored.Token.RefreshToken != record.Token.RefreshToken {
			return stored.Token, nil
		}
		if loadErr != nil || stored.Token.RefreshToken == record.Token.RefreshToken || s.isSpent(stored) {
			return nil, s.failed(ctx, record, interrupted, err)
		}
		record, interrupted = stored, false
		token, err = s.Client.Refresh(ctx, record.Token)
	}
	if err != nil {
		return nil, s.failed(ctx, record, interrupted, err)
	}
	return s.keep(ctx, record, token)
}

// preflight makes sure that the store takes a new token, as far as that can be
// known, before the old one is spent. It reports whether the same was begun
// before and not finished.
func (s *Source) preflight(ctx context.Context) (interrupted bool, err error) {
	if store, ok := s.store().(interface {
		Interrupted(ctx context.Context, key string) (bool, error)
	}); ok {
		if interrupted, err = store.Interrupted(ctx, s.key()); err != nil {
			return false, err
		}
	}
	if store, ok := s.store().(interface {
		Preflight(ctx context.Context, key string) error
	}); ok {
		err = store.Preflight(ctx, s.key())
	}
	if repairable(err) {
		err = loginRequired(err)
	}
	return interrupted, err
}

// errInterrupted explains a refusal.
var errInterrupted = errors.New("the last refresh was interrupted, so the refresh token may be spent")

// failed takes note of a refresh that failed. If the server has refused it, or was
// not reached, nothing was spent, and what Preflight has begun is over. If the one
// before was interrupted, that is the likely reason for a refusal, now and until
// the next login.
func (s *Source) failed(ctx context.Context, record *Record, interrupted bool, err error) error {
	s.settleMark(ctx, interrupted, err)
	if !grant.LoginRequired(err) {
		return err
	}
	if interrupted {
		err = fmt.Errorf("%w: %w", errInterrupted, err)
	}
	err = loginRequired(err)
	s.noteRefusal(record.Token.RefreshToken, err)
	return err
}

// settleMark takes back what Preflight has noted, where nothing was spent.
func (s *Source) settleMark(ctx context.Context, interrupted bool, err error) {
	_, refused := errors.AsType[*grant.Error](err)
	network, ok := errors.AsType[*net.OpError](err)
	unspent := refused || ok && network.Op == "dial"
	if store, ok := s.store().(interface {
		Refused(ctx context.Context, key string) error
	}); ok && unspent && !interrupted {
		_ = store.Refused(ctx, s.key()) // it only makes a later explanation right
	}
}

func loginRequired(cause error) error { return fmt.Errorf("%w: %w", ErrLoginRequired, cause) }
