package store

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// errOtherPerson keeps a step-up from making the request of one person that of
// another, and from replacing the login.
var errOtherPerson = errors.New("another person has signed in than the one whom the request is for")

var errUnmet = errors.New("the login does not bring what was demanded")

// stepUp answers a refusal that demands another login (RFC 6750, section 3.1; RFC
// 9470, section 4) by one login and one more request. signedIn is that of signedInAt.
func (t *transport) stepUp(req *http.Request, refusal *http.Response, token *grant.Token, signedIn time.Time) (*http.Response, error) {
	demand := grant.ParseStepUp(refusal)
	if demand == nil || t.source.Login == nil || !repeatable(req) {
		return refusal, nil
	}
	t.source.log(req.Context(), slog.LevelInfo, "another login demanded", slog.Any("demand", demand))
	resp, _, err := t.retry(req, refusal, "no login as it was demanded", func(ctx context.Context) (*grant.Token, error) {
		better, err := t.source.stepUp(ctx, token, signedIn, demand)
		if err == nil && !t.source.Client.Meets(better, demand) {
			err = errUnmet
		}
		return better, err
	})
	return resp, err
}

// stepUp returns a token as an API demands it in place of one that it has refused.
// Those who are refused for the same reason at the same time share one login, and
// one that another call or process has made meanwhile will do. What was only refreshed
// meanwhile will not: it comes of the login that was refused, and need not say how the
// person has signed in.
func (s *Source) stepUp(ctx context.Context, refused *grant.Token, signedIn time.Time, demand *grant.StepUp) (*grant.Token, error) {
	reason, err := json.Marshal([]any{demand, personOf(refused.IDToken)})
	if err != nil {
		return nil, err
	}
	better, err := s.shareFor(ctx, "step up "+string(reason), func(ctx context.Context) (*grant.Token, error) {
		return s.signInUnless(ctx, func(now *Record) bool {
			anew := now.Token.AccessToken != refused.AccessToken && !now.SignedInAt.Equal(signedIn)
			return anew && samePerson(refused.IDToken, now.Token.IDToken) && s.Client.Meets(now.Token, demand)
		}, func(ctx context.Context, now *Record) (*grant.Token, error) {
			return s.askFor(ctx, demand, refused, now)
		})
	})
	if better != nil && !samePerson(refused.IDToken, better.IDToken) {
		return nil, errOtherPerson
	}
	return better, err
}

// signedInAt is when the person has signed in for a token that was just handed out,
// the zero time where that is not known.
func (s *Source) signedInAt(token *grant.Token) time.Time {
	if held, _ := s.remembered(); held != nil && held.Token == token {
		return held.SignedInAt
	}
	return time.Time{}
}

// askFor has the person sign in to what is stored once more, as an API demands it.
// What was asked for before is asked for again, so that two APIs do not take from
// each other what they got.
func (s *Source) askFor(ctx context.Context, demand *grant.StepUp, refused *grant.Token, now *Record) (*grant.Token, error) {
	if now == nil {
		return nil, loginRequired(ErrNotFound) // signed out meanwhile: that must not be undone
	}
	if !samePerson(refused.IDToken, now.Token.IDToken) {
		return nil, errOtherPerson // the login is theirs now, and the request is not
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

// samePerson reports whether two tokens may be those of one person: without an ID
// token, nobody knows.
func samePerson(a, b *grant.IDToken) bool { return a == nil || b == nil || personOf(a) == personOf(b) }

// personOf: iss and sub together name a person for good (OpenID Connect Core 1.0,
// section 5.7). Nobody: the zero value.
func personOf(t *grant.IDToken) (person [2]string) {
	if t != nil {
		person = [2]string{t.Issuer, t.Subject}
	}
	return person
}
