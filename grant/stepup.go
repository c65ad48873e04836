package grant

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A StepUp is what an API demands of a login, of which the token that it was shown
// does not come: scopes (RFC 6750, section 3.1), or how and when the person has
// signed in (RFC 9470, section 3). The texts come from the API, and ParseStepUp
// has checked that they are what they have to be.
type StepUp struct {
	// Scopes are those that the request needs.
	Scopes []string
	// ACRValues are authentication context class references, separated by blanks,
	// the preferred one first; empty: any will do.
	ACRValues string
	// MaxAge is how many seconds ago the person may have signed in; nil: any time.
	MaxAge *int
}

// LogValue returns what is demanded (RFC 9470, section 3), for a log.
func (s *StepUp) LogValue() slog.Value {
	if s == nil {
		return slog.GroupValue()
	}
	attrs := []slog.Attr{slog.Any("scopes", s.Scopes), slog.String("acr_values", s.ACRValues)}
	if s.MaxAge != nil {
		attrs = append(attrs, slog.Int("max_age", *s.MaxAge))
	}
	return slog.GroupValue(attrs...)
}

// maxDemand bounds what an API can make a login ask for, in bytes.
const maxDemand = 4 << 10

// ParseStepUp returns what the challenges of a response demand of a login, nil
// where they do not: it takes the first one with the error insufficient_scope (RFC
// 6750, section 3.1) or insufficient_user_authentication (RFC 9470, section 3) in a
// response with the status 401 or 403. One that is malformed or says nothing of what
// would do is passed over. The body is left alone.
func ParseStepUp(resp *http.Response) *StepUp {
	if resp == nil || resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
		return nil
	}
	for _, challenge := range ParseChallenges(resp.Header) {
		if challenge.Scheme != tokenTypeBearer && challenge.Scheme != tokenTypeDPoP {
			continue
		}
		switch challenge.Parameters["error"] {
		case "insufficient_scope", "insufficient_user_authentication":
			if demand := newStepUp(challenge.Parameters); demand != nil {
				return demand
			}
		}
	}
	return nil
}

// newStepUp returns nil for parameters of which no login could be made.
func newStepUp(parameters map[string]string) *StepUp {
	scopes, acrValues := strings.Fields(parameters["scope"]), strings.Fields(parameters["acr_values"])
	demand := &StepUp{Scopes: scopes, ACRValues: strings.Join(acrValues, " ")}
	if maxAge, ok := parameters["max_age"]; ok {
		seconds, err := strconv.ParseUint(maxAge, 10, 31) // RFC 9470, section 3: "a non-negative integer value"
		if err != nil {
			return nil
		}
		demand.MaxAge = new(int(seconds))
	}
	size := len(parameters["scope"]) + len(parameters["acr_values"])
	if len(scopes)+len(acrValues) == 0 && demand.MaxAge == nil || size > maxDemand ||
		slices.ContainsFunc(scopes, notScope) || slices.ContainsFunc(acrValues, notScope) {
		return nil
	}
	return demand
}

// notScope: RFC 6749, appendix A.4. The names of acr values are held to the same.
func notScope(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c < '!' || c > '~' || c == '"' || c == '\\' })
}

type stepUpKey struct{}

// WithStepUp returns a context in which a login asks for what an API demands:
// Client.Authorize and Client.AuthorizeDevice, and so loopback.Login, add the scopes
// to those of the client, ask for acr_values instead of the client's, and for the
// smaller max_age (RFC 9470, section 4). It travels in the context because what
// signs the person in, such as store.Source.Login, was written before anybody knew
// what an API would demand. A nil demand changes nothing.
func WithStepUp(ctx context.Context, demand *StepUp) context.Context {
	if demand == nil {
		return ctx
	}
	return context.WithValue(ctx, stepUpKey{}, demand)
}

// StepUpOf returns what WithStepUp (RFC 9470, section 4) has put into a context,
// nil for nothing: to tell the person why they have to sign in again, for example.
// Do not change it.
func StepUpOf(ctx context.Context) *StepUp {
	if ctx == nil {
		return nil
	}
	demand, _ := ctx.Value(stepUpKey{}).(*StepUp)
	return demand
}

// with returns what is asked for when an API demands more: RFC 9470, section 4.
func (a asked) with(demand *StepUp) asked {
	if demand == nil {
		return a
	}
	for _, scope := range demand.Scopes {
		if !slices.Contains(a.scopes, scope) {
			a.scopes = append(a.scopes, scope)
		}
	}
	if demand.ACRValues != "" {
		a.acrValues = demand.ACRValues
	}
	if demand.MaxAge != nil && (a.maxAge == nil || *demand.MaxAge < *a.maxAge) {
		a.maxAge = demand.MaxAge
	}
	return a
}

// Meets reports whether a token comes of a login as an API demands it, as far as a
// client can know (RFC 9470, section 5): the scopes are granted, and where its ID
// token speaks of them, acr is one of those that will do and auth_time is recent
// enough (OpenID Connect Core 1.0, section 2). An access token means nothing to a
// client, so the API has the last word.
func (c *Client) Meets(token *Token, demand *StepUp) bool {
	if token == nil || demand == nil {
		return token != nil
	}
	for _, scope := range demand.Scopes {
		if !slices.Contains(token.Scopes, scope) {
			return false
		}
	}
	var claims struct {
		ACR *string `json:"acr"`
	}
	if token.IDToken == nil || token.IDToken.Claims(&claims) != nil {
		return true
	}
	if claims.ACR != nil && demand.ACRValues != "" && !slices.Contains(strings.Fields(demand.ACRValues), *claims.ACR) {
		return false
	}
	signedIn := token.IDToken.AuthTime
	return demand.MaxAge == nil || signedIn.IsZero() || float64(signedIn.Unix()+int64(*demand.MaxAge)) >= c.now()-c.tolerance()
}
