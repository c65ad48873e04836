package main

import (
	"cmp"

	"github.com/spf13/pflag"

	"github.com/oauth-login/oauth-login/grant"
)

// requestFlags say how the authorization request goes out, and how its answer
// comes back.
func (o *options) requestFlags(f *pflag.FlagSet) {
	f.StringVar(&o.responseMode, "response-mode", "", "`HOW` the answer comes back: query, form_post, or signed: jwt, form_post.jwt")
	f.BoolVar(&o.par, "par", false, "push the authorization request to the provider first (RFC 9126)")
	f.BoolVar(&o.jar, "jar", false, "sign the authorization request with --client-key (RFC 9101)")
	f.BoolVar(&o.fapi2, "fapi2", false, "demand the FAPI 2.0 Security Profile, of the provider and of this client; needs --client-key or --client-cert")
}

// protect has a client demand what the flags do, and nothing less than before.
func (o *options) protect(client *grant.Client) {
	client.ResponseMode = cmp.Or(o.responseMode, client.ResponseMode)
	client.RequirePushedAuthorizationRequests = client.RequirePushedAuthorizationRequests || o.par
	client.RequireSignedRequestObject = client.RequireSignedRequestObject || o.jar
	client.FAPI2 = client.FAPI2 || o.fapi2
	client.AllowInsecureRequests = !client.FAPI2 // which means on loopback hosts only
}

// checkKey names the flag for what a client lacks.
func checkKey(client *grant.Client) error {
	switch {
	case client.RequireSignedRequestObject && client.Key == nil:
		return usageError("a signed request needs the key of the client",
			"name its file with --client-key; with --client-cert, say with --client-auth how the client authenticates")
	case client.FAPI2 && client.Key == nil && !client.UseMTLSEndpointAliases:
		return usageError("--fapi2 needs the key or the certificate of the client", "name its file with --client-key or --client-cert")
	}
	return nil
}
