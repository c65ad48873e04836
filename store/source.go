package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/oauth-login/oauth-login/grant"
)

const defaultMinTTL = 30 * time.Second

// A Source hands out valid tokens of one login: from the store, by refreshing,
// or by signing the person in, in this order. The literal is the constructor:
//
//	source := &store.Source{Client: client, Login: login}
//
// A Source is safe for concurrent use; do not change its fields or copy it after
// the first use. Many callers at once cause one refresh and one login. A caller
// whose context ends leaves at once and the others are not disturbed: a refresh
// that was sent is finished and saved even if nobody waits any more, because a
// refresh token that rotates is spent by sending it.
//
// The same holds among processes, whichever of this user's they are: one refresh
// at a time, one login at a time, and those who waited use what came of it.
// A token that is valid is handed out without waiting for anybody.
type Source struct {
	// Client is the client to refresh with. Required. Issuer (or Server) and
	// ClientID choose the login.
	Client *grant.Client
	// Login asks the person for a token; nil means that nobody may be asked.
	// It has to call save before it tells the person that they are signed
	// in, and to fail when save fails. If it does not call save, Source saves
	// what it returns. It has to hand its context on to the client, which finds in
	// it what an API demands of this login: see HTTPClient and grant.WithStepUp.
	Login func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error)
	// Store holds the login; nil means a Keychain of the Source's own.
	Store Store
	// Profile tells logins of the same issuer and client apart, such as two
	// accounts. The empty name is a profile too.
	Profile string
	// MinTTL is how long a token has to live to be handed out without a refresh;
	// 0 means 30 seconds. No token is asked for more than half of its life. A
	// token that cannot be replaced, for want of a refresh token or because the
	// server cannot be reached, is handed out until it expires.
	MinTTL time.Duration
	// LockDir is the directory of the locks that keep processes apart. It is made
	// where it is missing, and nobody else may be able to write to it. All
	// processes that use a store have to name the same one. Empty means the
	// locks of the store, if it has its own, or else a directory of the user's,
	// which is always the same: .cache/oauth-login/locks in the home directory
	// that /etc/passwd knows, or /tmp/oauth-login-UID where the user is not in
	// there (LDAP); Library/Caches/oauth-login/locks in the home directory on
	// macOS; oauth-login\locks in the folder LocalAppData on Windows.
	LockDir string
	// Waiting is called once for a call that has waited for a second until
	// another process, or another call, is done: with login for one that has the
	// person sign in, without for one that changes the login, as a refresh does.
	// It must not use the Source. nil for nothing.
	Waiting func(login bool)
	// Waited is called when a wait for others is over, as short as it was, and says how
	// long it took. Otherwise it is like Waiting. nil for nothing.
	Waited func(login bool, took time.Duration)
	// Damaged is called when a new login has taken the place of one that could
	// not be read, with what was wrong and where a copy is kept. Delete removes
	// that too. nil for nothing.
	Damaged func(*DamagedError)

	mu       sync.Mutex
	keychain *Keychain // stands in for a nil Store
	// Calls of Token, Refresh and SignIn under way.
	asking, refreshing, signingIn *flight
	held                          *Record          // the login as it was last loaded or saved here
	changes                       int              // counts the changes made here
	unsaved                       *unsaved         // a refreshed login that the store did not take
	kept                          *keptLock        // see unlock
	refusal                       *refusal         // the last one, nil for none
	named                         map[string]*slot // step-ups and renewals under way, by what they are for
	asked                         lastAsked        // see Renew
	resting                       map[string]rest  // APIs, by their origin

	changing turn // had while the login is looked at and changed
	signing  turn // had while the person signs in
}

// Format prints which login it is and no secret, whatever the verb.
func (s *Source) Format(f fmt.State, _ rune) {
	if s == nil || s.Client == nil {
		io.WriteString(f, "login of nobody")
		return
	}
	formatLogin(f, s.issuer(), s.Client.ClientID, s.Profile)
}

// LogValue returns which login it is.
func (s *Source) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// Token returns a token that is valid now. It is shared among callers: do not
// change it.
//
// A token in the store costs one look into it; later calls use what that found
// until it nears its end. A refreshed token is saved before it is handed out.
// If saving fails, both the token and an error are returned, as the token that
// it replaces may be spent; the next call tries to save it again.
//
// Without a usable token, Token calls Login, or returns ErrLoginRequired if that
// is nil. It never does so for an error of the network, of the server (5xx), of
// the store or of the lock.
func (s *Source) Token(ctx context.Context) (*grant.Token, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if held, _ := s.remembered(); s.fresh(held) {
		return held.Token, nil
	}
	return s.share(ctx, &s.asking, s.token)
}

// Refresh returns a new token even if the old one has not expired; after an API has
// refused that, call Renew. It never calls Login. Many calls at once cause
// one refresh, and a token that another process has got in the meantime will do.
// Errors are those of Token.
func (s *Source) Refresh(ctx context.Context) (*grant.Token, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	return s.share(ctx, &s.refreshing, s.newToken)
}

// SignIn signs the person in, whatever is stored, and replaces the login. It
// makes sure that the store works before it calls Login. An error that comes
// with a token means that the token is good, and that Login failed after it was
// saved, or saving failed.
//
// While another process has the person sign in to the same login, SignIn waits.
// What comes of that is what it returns, provided that the same was asked for;
// else it calls Login itself.
func (s *Source) SignIn(ctx context.Context) (*grant.Token, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if s.Login == nil {
		return nil, fmt.Errorf("%w: Source.Login is nil", grant.ErrArgument)
	}
	return s.share(ctx, &s.signingIn, s.signIn)
}

// Save stores a login that was completed without Login, such as by
// grant.Flow.Complete in another process than the one that has started it, and
// replaces what is stored, as SignIn does. It waits for whoever changes the login
// meanwhile. A token whose ID token is of another issuer or client leads to
// grant.ErrArgument. When ctx ends, a save that has begun goes on: see Settle.
func (s *Source) Save(ctx context.Context, token *grant.Token) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	saved := make(chan error, 1)
	go func() { saved <- s.saveLogin(ctx, token) }() // ends with ctx, or with the save
	select {
	case err := <-saved:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Load returns the login as it is stored, valid or not, without the network.
// There is none: ErrNotFound.
func (s *Source) Load(ctx context.Context) (*Record, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	return s.load(ctx)
}

// Delete forgets this login, and no other. There is none: ErrNotFound. Tokens
// stay valid at the provider; SignOut can end them before.
func (s *Source) Delete(ctx context.Context) error { return s.SignOut(ctx, nil) }

// SignOut hands the login to revoke, so that the provider can be told, and then
// deletes it as Delete does. If revoke fails, the login stays. Meanwhile nobody
// refreshes it, so what is revoked is the last there is; for that, revoke must not
// use the Source. There is no login, or one that cannot be read: revoke is not called.
// One that another key opens (WrongKey) stays, as it may be a mistake in typing.
func (s *Source) SignOut(ctx context.Context, revoke func(context.Context, *Record) error) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	done, err := s.takeRecord(ctx) // a refresh under way would bring the login back
	if err != nil {
		return err
	}
	defer done()
	record, err := s.load(ctx)
	if errors.Is(err, ErrNewer) {
		return err // it may consist of parts that this version does not know
	}
	if e, ok := errors.AsType[*UnavailableError](err); ok && e.Reason == WrongKey && revoke != nil {
		return err
	}
	if err == nil && revoke != nil {
		if err := revoke(ctx, record); err != nil {
			return err
		}
	}
	return s.remove(ctx)
}

// remove deletes what is stored of the login: the copy of a damaged one first, so
// that the login is there as long as anything is.
func (s *Source) remove(ctx context.Context) error {
	_, err := s.store().Load(ctx, copyKey(s.key()))
	if !errors.Is(err, ErrNotFound) { // a look costs less than a deletion
		err = s.store().Delete(ctx, copyKey(s.key()))
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	copied := err == nil
	err = s.store().Delete(ctx, s.key())
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	s.changed(nil)
	s.forgetRefusal()
	if copied || err == nil {
		s.log(ctx, slog.LevelInfo, "login deleted")
		return nil
	}
	return err
}

// check refuses what could name another login than the one that is meant.
func (s *Source) check(ctx context.Context) error {
	if s.Client == nil {
		return fmt.Errorf("%w: Source.Client is nil", grant.ErrArgument)
	}
	if s.issuer() == "" || s.Client.ClientID == "" {
		return fmt.Errorf("%w: the client has no issuer or no client_id", grant.ErrArgument)
	}
	for _, name := range []string{s.issuer(), s.Client.ClientID, s.Profile} {
		if strings.Contains(name, "\n") || !utf8.ValidString(name) {
			return fmt.Errorf("%w: %q has a line break or is not valid UTF-8", grant.ErrArgument, name)
		}
	}
	return ctx.Err()
}

func (s *Source) issuer() string {
	if s.Client.Server != nil {
		return s.Client.Server.Issuer
	}
	return s.Client.Issuer
}

func (s *Source) key() string { return itemKey(s.issuer(), s.Client.ClientID, s.Profile) }

func (s *Source) store() Store {
	if s.Store != nil {
		return s.Store
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keychain == nil {
		s.keychain = &Keychain{}
	}
	return s.keychain
}

// load reads the login. One of another issuer or client is refused, so that no
// refresh token ever goes to a server that did not give it.
func (s *Source) load(ctx context.Context) (*Record, error) {
	data, err := s.store().Load(ctx, s.key())
	if err != nil {
		return nil, err
	}
	return s.decode(data)
}

// decode reads a record, of this login and no other.
func (s *Source) decode(data []byte) (*Record, error) {
	record, err := decodeRecord(data)
	if err != nil {
		return nil, err
	}
	if record.Issuer != s.issuer() || record.ClientID != s.Client.ClientID || record.Profile != s.Profile {
		return nil, &DamagedError{Reason: "it belongs to another issuer, client or profile"}
	}
	return record, nil
}

// save writes the login. Once that has begun it is not cut short by ctx: the
// store bounds it, and half a save would leave nobody knowing what is there.
func (s *Source) save(ctx context.Context, record *Record) error {
	data, err := record.encode()
	if err != nil {
		return err
	}
	if err := s.store().Save(context.WithoutCancel(ctx), s.key(), data); err != nil {
		return err
	}
	s.changed(record)
	s.log(ctx, slog.LevelInfo, "login stored", slog.Any("token", record.Token))
	return nil
}

// log writes a line about this login.
func (s *Source) log(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	if s.Client.Logger != nil {
		s.Client.Logger.LogAttrs(ctx, level, message, append([]slog.Attr{slog.Any("login", s)}, attrs...)...)
	}
}

// remembered returns the login that was loaded or saved last, nil for none, and
// the number of changes until then.
func (s *Source) remembered() (*Record, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held, s.changes
}

// remember keeps a login that was loaded after the given number of changes. It
// is of no use if it has changed in the meantime.
func (s *Source) remember(record *Record, changes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == changes {
		s.held = record
	}
}

// changed notes what this Source has made of the login, nil for none.
func (s *Source) changed(record *Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.unsaved = record, nil
	s.changes++
}

// fresh reports whether the token of a record may be handed out.
func (s *Source) fresh(record *Record) bool {
	least := s.MinTTL
	if least == 0 {
		least = defaultMinTTL
	}
	return record != nil && record.Token.Valid(record.ttl(least))
}
