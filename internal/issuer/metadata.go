package issuer

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// scopesSupported are the scopes that every issuer knows.
var scopesSupported = [...]string{scopeOpenID, scopeProfile, scopeEmail, scopeOffline}

// The scopes of OpenID Connect Core, sections 3.1.2.1, 5.4 and 11.
const (
	scopeOpenID  = "openid"
	scopeProfile = "profile"
	scopeEmail   = "email"
	scopeOffline = "offline_access"
)

// metadataPaths returns where the metadata document is to be found.
func (i *Issuer) metadataPaths() []string {
	const oidc, oauth2 = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	switch i.opts.Discovery {
	case DiscoveryOAuth2:
		return []string{oauth2 + i.base} // RFC 8414, section 3.1: inserted before the issuer's path
	case DiscoveryMixed:
		return []string{oidc + i.base} // RFC 8414, section 5: a transitional form
	default:
		return []string{i.base + oidc, oauth2 + i.base} // OIDC Discovery, section 4: appended to the issuer
	}
}

func (i *Issuer) serveMetadata(w http.ResponseWriter, r *http.Request) {
	doc := i.metadata()
	if i.opts.Metadata != nil {
		i.opts.Metadata(doc)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		http.Error(w, "the answer cannot be encoded", http.StatusInternalServerError)
		return
	}
	tag := fmt.Sprintf(`"%x"`, sha256.Sum256(data)) // RFC 9110, section 8.8.3
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag { // section 13.1.2
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data)
}

// metadata describes the issuer in the words of RFC 8414, section 2, and OpenID Connect Discovery, section 3.
func (i *Issuer) metadata() map[string]any {
	at := i.origin + i.base
	doc := map[string]any{
		"issuer":                                           i.url,
		"authorization_endpoint":                           at + authorizePath,
		"token_endpoint":                                   at + tokenPath,
		"userinfo_endpoint":                                at + userinfoPath,
		"revocation_endpoint":                              at + revokePath,
		"end_session_endpoint":                             at + signOutPath,             // RP-Initiated Logout, section 2.1
		"device_authorization_endpoint":                    at + deviceAuthorizationPath, // RFC 8628, section 4
		"jwks_uri":                                         at + jwksPath,
		"scopes_supported":                                 i.scopes(),
		"response_types_supported":                         []string{"code"},
		"response_modes_supported":                         []string{"query"},
		"grant_types_supported":                            []string{"authorization_code", "refresh_token", deviceGrant},
		"subject_types_supported":                          []string{"public"},
		"id_token_signing_alg_values_supported":            slices.Clone(algsSupported[:]),
		"userinfo_signing_alg_values_supported":            slices.Clone(algsSupported[:]),
		"token_endpoint_auth_methods_supported":            slices.Clone(authMethodsSupported[:]),
		"revocation_endpoint_auth_methods_supported":       slices.Clone(authMethodsSupported[:]),
		"token_endpoint_auth_signing_alg_values_supported": append([]string{"HS256"}, algsSupported[:]...),
		"dpop_signing_alg_values_supported":                slices.Clone(algsSupported[:]), // RFC 9449, section 5.1
		"code_challenge_methods_supported":                 []string{"S256"},
		"authorization_response_iss_parameter_supported":   true, // RFC 9207, section 3
		"prompt_values_supported":                          []string{"none", "login", "consent", "select_account"},
		"claims_supported": []string{
			"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash",
			"name", "preferred_username", "email", "email_verified",
		},
		"claim_types_supported":           []string{"normal"},
		"claims_parameter_supported":      false,
		"request_parameter_supported":     false,
		"request_uri_parameter_supported": false, // OIDC Discovery, section 3: true when it is left out
		"service_documentation":           "https://github.com/oauth-login/oauth-login",
	}
	if len(i.opts.ACRValues) > 0 {
		doc["acr_values_supported"] = slices.Clone(i.opts.ACRValues)
	}
	if i.opts.RequirePAR { // RFC 9126, section 5
		doc["pushed_authorization_request_endpoint"], doc["require_pushed_authorization_requests"] = at+pushPath, true
	}
	if i.opts.OpenRegistration {
		doc["registration_endpoint"] = at + registerPath
	}
	return doc
}

// scopes are the scopes that this issuer knows; others are left out of what it grants.
func (i *Issuer) scopes() []string { return slices.Concat(scopesSupported[:], i.opts.Scopes) }

// has reports whether scope is among scopes.
func has(scopes []string, scope string) bool { return slices.Contains(scopes, scope) }

// parseScopes splits a scope parameter as RFC 6749, section 3.3, defines it: nil for "", false for one that is malformed.
func parseScopes(parameter string) ([]string, bool) {
	if parameter == "" {
		return nil, true
	}
	scopes := strings.Split(parameter, " ")
	for _, scope := range scopes {
		outside := func(c rune) bool { return c < 0x21 || c > 0x7e || c == '"' || c == '\\' }
		if scope == "" || strings.ContainsFunc(scope, outside) {
			return nil, false
		}
	}
	return scopes, true
}
