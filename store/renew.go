package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// leastAge is how old a new token has to be to be replaced because an API refuses it.
// Before, the next one would be refused, too.
const leastAge = 10 * time.Second

// An API that has refused a new token as well gets no other one for a while, twice as
// long each time.
const (
	shortRest = 10 * time.Second
	longRest  = 10 * time.Minute
	mostRests = 100 // APIs
)

// A rest is the time in which no token is got for an API.
type rest struct {
	end  time.Time
	took time.Duration
}

var (
	errSameToken = errors.New("the token is new, and there is no other one")
	errResting   = errors.New("the API has just refused another token, too")
)

// Renew returns a token in place of one that an API has refused although it has not
// expired (RFC 6750, section 3.1; see grant.InvalidToken): the one that is stored, if
// another call or process has been faster, or else a new one. Many calls at once cause
// one refresh.
//
// Where only a login helps, Renew calls Login, or returns ErrLoginRequired if that is
// nil, as Token does for a token that has expired. Errors are those of Token.
//
// What is refused although it is not ten seconds old comes back itself: a token that a
// refresh has brought, or one that cannot be refreshed and that a login has brought
// which Renew has called for.
//
// The person may have signed in as somebody else meanwhile. A program that sends a
// request again compares IDToken.Issuer and IDToken.Subject first, as HTTPClient does.
func (s *Source) Renew(ctx context.Context, refused *grant.Token) (*grant.Token, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if refused == nil {
		return nil, fmt.Errorf("%w: there is no token to replace", grant.ErrArgument)
	}
	return s.shareFor(ctx, "renew "+hashOf(refused.AccessToken), func(ctx context.Context) (*grant.Token, error) {
		return s.replacement(ctx, refused)
	})
}

// lastAsked is which token the person has signed in for last, in place of one that
// was refused.
type lastAsked struct {
	token string // a hash
	at    time.Time
}

// replacement is one flight of Renew.
func (s *Source) replacement(ctx context.Context, refused *grant.Token) (*grant.Token, error) {
	if record, err := s.load(ctx); err == nil && record.Token.AccessToken == refused.AccessToken && isNew(record.RefreshedAt) {
		return record.Token, nil
	}
	token, err := s.renew(ctx, refused.AccessToken)
	if !errors.Is(err, ErrLoginRequired) || s.Login == nil {
		return token, err
	}
	if refused.RefreshToken == "" && s.askedFor(refused) {
		return refused, nil // else the provider itself has just ended the login
	}
	return s.signInUnless(ctx, func(now *Record) bool { return now.Token.AccessToken != refused.AccessToken },
		func(ctx context.Context, now *Record) (*grant.Token, error) {
			token, err := s.ask(ctx, now)
			s.noteAsked(token)
			return token, err
		})
}

// askedFor reports whether the person has just signed in for this token.
func (s *Source) askedFor(token *grant.Token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked.token == hashOf(token.AccessToken) && isNew(s.asked.at)
}

func (s *Source) noteAsked(token *grant.Token) {
	if token == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = lastAsked{hashOf(token.AccessToken), time.Now()}
}

// isNew reports whether a moment is one of the last few seconds, by a clock that may
// have been set back.
func isNew(at time.Time) bool {
	age := time.Since(at)
	return age >= 0 && age < leastAge
}

// renew answers a response that says invalid_token by one more request with another
// token (RFC 6750, section 3.1: "The client MAY request a new access token and retry").
// It returns the token of the response.
func (t *transport) renew(req *http.Request, refusal *http.Response, refused *grant.Token) (*http.Response, *grant.Token, error) {
	if !grant.InvalidToken(refusal) || !repeatable(req) {
		return refusal, refused, nil
	}
	t.source.log(req.Context(), slog.LevelInfo, "token refused by an API", slog.Any("token", refused))
	api := origin(req.URL)
	resp, token, err := t.retry(req, refusal, "no token in place of the refused one", func(ctx context.Context) (*grant.Token, error) {
		token, err := t.source.renewFor(ctx, api, refused)
		if err == nil && !samePerson(refused.IDToken, token.IDToken) {
			err = errOtherPerson
		}
		return token, err
	})
	switch {
	case token == nil:
		return resp, refused, err
	case grant.InvalidToken(resp):
		t.source.rest(api)
	case err == nil:
		t.source.wake(api)
	}
	return resp, token, err
}

// renewFor returns another token for an API than the one that it has refused, or an
// error. While the API rests, only one that is there already will do.
func (s *Source) renewFor(ctx context.Context, api string, refused *grant.Token) (*grant.Token, error) {
	return s.shareFor(ctx, "renew "+hashOf(refused.AccessToken)+" "+api, func(ctx context.Context) (*grant.Token, error) {
		if s.rests(api) {
			return s.other(ctx, refused)
		}
		token, err := s.replacement(ctx, refused)
		if err == nil && token.AccessToken == refused.AccessToken {
			err = errSameToken
		}
		if err != nil && ctx.Err() == nil {
			s.rest(api)
		}
		return token, err
	})
}

// other returns the token that is stored, unless that is the one that was refused.
func (s *Source) other(ctx context.Context, refused *grant.Token) (*grant.Token, error) {
	_, changes := s.remembered()
	record, err := s.load(ctx)
	switch {
	case err != nil:
		return nil, err
	case !s.fresh(record) || record.Token.AccessToken == refused.AccessToken:
		return nil, errResting
	}
	s.remember(record, changes)
	return record.Token, nil
}

func (s *Source) rests(api string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.resting[api].end)
}

// rest gets no token for an API for a while: a short one at first, and a longer one
// each time. Many may find at the same time that it wants one.
func (s *Source) rest(api string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.resting[api]
	if time.Now().Before(last.end) {
		return
	}
	if s.resting == nil || len(s.resting) >= mostRests {
		s.resting = map[string]rest{}
	}
	took := min(max(shortRest, 2*last.took), longRest)
	s.resting[api] = rest{time.Now().Add(took), took}
}

// wake ends the rest of an API, as it takes a new token.
func (s *Source) wake(api string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.resting, api)
}
