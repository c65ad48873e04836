package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// userinfo prints what the provider says about the person who is signed in.
func (p *program) userinfo(ctx context.Context, o *options) error {
	profile, record, err := p.signedIn(ctx, o)
	if err != nil {
		return err
	}
	source, err := p.storedSource(ctx, o, profile, record)
	if err != nil {
		return err
	}
	info, err := p.fetchUserinfo(ctx, source)
	if err != nil {
		return loginRequired(profile, forgotten(record, err))
	}
	return p.printUserinfo(o, info)
}

// signedIn returns the login that the flags name, as it is stored.
func (p *program) signedIn(ctx context.Context, o *options) (store.Profile, *store.Record, error) {
	profile, err := p.selectProfile(ctx, o)
	if err != nil {
		return profile, nil, err
	}
	record, err := p.load(ctx, profile)
	if isDamaged(err) || isNotFound(err) {
		err = loginRequired(profile, fmt.Errorf("%w at %s: %w", store.ErrLoginRequired, profile.Issuer, err))
	}
	return profile, record, err
}

// fetchUserinfo asks with the token that there is. One that was ended before its
// time is replaced, once.
func (p *program) fetchUserinfo(ctx context.Context, source *source) (*grant.Userinfo, error) {
	token, err := source.Token(ctx)
	if token == nil {
		return nil, err
	}
	if err != nil {
		p.warning("the new token could not be saved: %v", err)
	}
	info, err := source.Client.Userinfo(ctx, token)
	if refusal, ok := errors.AsType[*grant.Error](err); !ok || refusal.Status != http.StatusUnauthorized || token.RefreshToken == "" {
		return info, err
	}
	if token, err = source.Renew(ctx, token); err != nil {
		return nil, err
	}
	return source.Client.Userinfo(ctx, token)
}

// printUserinfo writes the claims as they came, or as lines of name and value.
func (p *program) printUserinfo(o *options, info *grant.Userinfo) error {
	if o.output == outputJSON {
		var claims json.RawMessage
		if err := info.Claims(&claims); err != nil {
			return err
		}
		return p.printJSON(claims)
	}
	var claims map[string]json.RawMessage
	if err := info.Claims(&claims); err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		fmt.Fprintf(w, "%s\t%s\n", printable(name), printable(claimText(claims[name])))
	}
	return w.Flush()
}

// claimText is a string without its quotes, and everything else as JSON.
func claimText(claim json.RawMessage) string {
	var text string
	if json.Unmarshal(claim, &text) == nil && !strings.HasPrefix(string(claim), "null") {
		return text
	}
	return string(claim)
}
