package main

import (
	"slices"
	"strings"

	"github.com/oauth-login/oauth-login/grant"
)

// usualScopes are those that make a login useful, as far as the issuer offers them:
// who it is (openid, email), and to stay signed in (offline_access).
func usualScopes(as *grant.AuthorizationServer) (scopes []string) {
	if as.ScopesSupported == nil && as.JWKSURI != "" {
		return []string{"openid"}
	}
	for _, scope := range []string{"openid", "email", "offline_access"} {
		if slices.Contains(as.ScopesSupported, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// missingScopes are those that were asked for and not granted, as far as one can
// know: some providers have other names for what they grant.
func missingScopes(asked, granted []string) (missing []string) {
	for _, scope := range asked {
		// A provider need not list these two to have granted them.
		if scope != "openid" && scope != "offline_access" && !slices.ContainsFunc(granted, meaning(scope)) {
			missing = append(missing, scope)
		}
	}
	return missing
}

// meaning reports whether what was granted means a scope: Google grants email as
// https://www.googleapis.com/auth/userinfo.email, and Entra User.Read as
// https://graph.microsoft.com/User.Read, and for api://app/.default whatever the
// client may have there.
func meaning(scope string) func(granted string) bool {
	api, isDefault := strings.CutSuffix(scope, "/.default")
	return func(granted string) bool {
		_, name, isURL := strings.Cut(granted, "://")
		return granted == scope ||
			isURL && (strings.HasSuffix(name, "/"+scope) || strings.HasSuffix(name, "/userinfo."+scope)) ||
			isDefault && strings.HasPrefix(granted, api+"/")
	}
}
