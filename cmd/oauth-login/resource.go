package main

import (
	"context"
	"strings"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// findIssuer asks the resource that a token is wanted for who its issuer is (RFC
// 9728).
func (p *program) findIssuer(ctx context.Context, o *options) error {
	client := new(grant.Client)
	if err := p.reach(ctx, o, client, o.withFiles(store.Profile{})); err != nil {
		return err
	}
	resource, err := grant.DiscoverProtectedResource(ctx, o.resources[0], &grant.DiscoverOptions{
		HTTPClient: client.HTTPClient, AllowInsecureRequests: true, // which means on loopback hosts only
	})
	if err != nil {
		return err
	}
	if len(resource.AuthorizationServers) == 0 {
		return &commandError{code: exitUsage, text: "the resource " + quoted(o.resources[0]) + " does not say who its issuer is",
			hint: "name the issuer with --issuer"}
	}
	o.issuer, o.resourceScopes = resource.AuthorizationServers[0], resource.ScopesSupported
	o.dpop = o.dpop || resource.DPoPBoundAccessTokensRequired // it takes no other tokens
	p.say("The issuer of %s is %s", o.resources[0], o.issuer)
	var others []string
	for _, other := range resource.AuthorizationServers[1:] {
		others = append(others, shellWord(other))
	}
	if len(others) > 0 {
		p.hint("--issuer chooses another one: " + strings.Join(others, " "))
	}
	return nil
}
