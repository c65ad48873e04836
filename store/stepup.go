package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// maxRefusal is how much of a refusal is kept while the person signs in, in bytes.
const maxRefusal = 64 << 10

// errOtherPerson keeps a step-up from making the request of one person that of
// another, and from replacing the login.
var errOtherPerson = errors.New("another person has signed in than the one whom the request is for")

// stepUp answers a refusal that demands another login (RFC 6750, section 3.1; RFC
// 9470, section 4) by one login and one more request. Whatever stands in the way,
// the refusal is what the caller gets, as it came; only the end of the context is an
// error. signedIn is that of signedInAt.
func (t *transport) stepUp(req *http.Request, refusal *http.Response, token *grant.Token, signedIn time.Time) (*http.Response, error) {
	demand := grant.ParseStepUp(refusal)
	if demand == nil || t.source.Login == nil || !repeatable(req) {
		return refusal, nil
	}
	t.source.log(req.Context(), slog.LevelInfo, "another login demanded", slog.Any("demand", demand))
	keepBody(refusal) // the connection would not last as long as the person may take
	better, err := t.source.stepUp(req.Context(), token, signedIn, demand)
	if ctxErr := req.Context().Err(); ctxErr != nil {
		refusal.Body.Close()
		return nil, ctxErr
	}
	if better == nil || err != nil || !t.source.Client.Meets(better, demand) {
		t.source.log(req.Context(), slog.LevelWarn, "no login as it was demanded", slog.Any("error", err))
		return refusal, nil
	}
	body, ok := bodyAgain(req)
	if !ok {
		return refusal, nil
	}
	discard(refusal.Body)
	return t.authorized(req, body, better)
}

// repeatable reports whether bodyAgain has a body to return.
func repeatable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// keepBody reads the body of a response into memory, as far as it is of a usual
// size, so that it can be read later.
func keepBody(resp *http.Response) {
	kept, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	var rest io.Reader = resp.Body
	if err != nil {
		rest = failing{err}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(kept), rest), resp.Body}
}

// failing is the rest of a body that could not be read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// stepUp returns a token as an API demands it in place of one that it has refused.
// Those who are refused for the same reason at the same time share one login, and
// one that another call or process has made meanwhile will do. What was only refreshed
// meanwhile will not: it comes of the login that was refused, and need not say how the
// person has signed in.
func (s *Source) stepUp(ctx context.Context, refused *grant.Token, signedIn time.Time, demand *grant.StepUp) (*grant.Token, error) {
	reason, err := json.Marshal(demand)
	if err != nil {
		return nil, err
	}
	slot := s.stepUpSlot(string(reason))
	defer s.leaveSlot(string(reason), slot)
	return s.share(ctx, slot, func(ctx context.Context) (*grant.Token, error) {
		return s.signInUnless(ctx, func(now *Record) bool {
			return now.Token.AccessToken != refused.AccessToken && !now.SignedInAt.Equal(signedIn) && s.Client.Meets(now.Token, demand)
		}, func(ctx context.Context, now *Record) (*grant.Token, error) { return s.askFor(ctx, demand, now) })
	})
}

// signedInAt is when the person has signed in for a token that was just handed out,
// the zero time where that is not known.
func (s *Source) signedInAt(token *grant.Token) time.Time {
	if held, _ := s.remembered(); held != nil && held.Token == token {
		return held.SignedInAt
	}
	return time.Time{}
}

func (s *Source) stepUpSlot(reason string) **flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.steppingUp == nil {
		s.steppingUp = map[string]**flight{}
	}
	slot, ok := s.steppingUp[reason]
	if !ok {
		slot = new(*flight)
		s.steppingUp[reason] = slot
	}
	return slot
}

// leaveSlot forgets a slot that nobody is in, as an API can think of any number.
func (s *Source) leaveSlot(reason string, slot **flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *slot == nil && s.steppingUp[reason] == slot {
		delete(s.steppingUp, reason)
	}
}

// askFor has the person sign in to what is stored once more, as an API demands it.
// What was asked for before is asked for again, so that two APIs do not take from
// each other what they got.
func (s *Source) askFor(ctx context.Context, demand *grant.StepUp, now *Record) (*grant.Token, error) {
	if now == nil {
		return nil, loginRequired(ErrNotFound) // signed out meanwhile: that must not be undone
	}
	settings, err := settingsOf(s.Client)
	if err != nil {
		return nil, err
	}
	all := *demand
	all.Scopes = union(scopesOf(now.Client()), demand.Scopes)
	settings.Scopes = union(scopesOf(s.Client), all.Scopes)
	return s.login(grant.WithStepUp(ctx, &all), settings, func(token *grant.Token) error {
		if !samePerson(now.Token.IDToken, token.IDToken) {
			return errOtherPerson
		}
		return nil
	})
}

// scopesOf returns the scopes that a client asks for, one by one.
func scopesOf(c *grant.Client) []string {
	if len(c.Scopes) == 0 {
		return strings.Fields(c.AuthorizationParameters.Get("scope"))
	}
	return strings.Fields(strings.Join(c.Scopes, " "))
}

// union returns the strings of both lists, each once.
func union(first, second []string) (all []string) {
	for _, s := range slices.Concat(first, second) {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// samePerson: iss and sub together name a person for good (OpenID Connect Core 1.0,
// section 5.7).
func samePerson(a, b *grant.IDToken) bool {
	return a == nil || b == nil || a.Issuer == b.Issuer && a.Subject == b.Subject
}
