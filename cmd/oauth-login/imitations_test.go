package main

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// imitations are the ways of the real providers, by the name of the preset.
func imitations() map[string]ways {
	return map[string]ways{
		"github":     likeGitHub(),
		"google":     likeGoogle(),
		"microsoft":  likeMicrosoft(),
		"gitlab":     likeGitLab(),
		"okta":       {metadata: without("revocation_endpoint")},
		"auth0":      {answer: without("scope"), metadata: without("authorization_response_iss_parameter_supported")},
		"keycloak":   likeKeycloak(),
		"atlassian":  likeAtlassian(),
		"bitbucket":  likeBitbucket(),
		"cognito":    {refreshes: true, silentIss: true, unknownScopes: []string{"offline_access"}, authorize: onHost("localhost"), answer: scope("openid email")},
		"databricks": {authorize: onHost("localhost"), answer: scope("offline_access all-apis")},
		"dex":        {silentIss: true, metadata: set("token_endpoint_auth_methods_supported", []string{issuer.AuthBasic, issuer.AuthPost})},
		"jumpcloud":  {silentIss: true, token: withoutBasic},
		"linkedin":   {withoutRefresh: true, unknownScopes: []string{"openid"}, authorize: onHost("127.0.0.1"), answer: scope("email,profile")},
		"salesforce": likeSalesforce(),
		"slack":      likeSlack(),
		"spotify":    {refreshes: true, authorize: onHost("127.0.0.1"), answer: without("scope")},
		"zitadel":    {},
		"zoom":       {refreshes: true, token: withoutBasic, answer: scope("user:read:user meeting:read:list_meetings")},
	}
}

func scope(granted string) func(map[string]any) { return set("scope", granted) }

// onHost refuses redirects to another host.
func onHost(host string) func(url.Values) (string, string) {
	return func(q url.Values) (string, string) {
		if u, err := url.Parse(q.Get("redirect_uri")); err != nil || u.Hostname() != host {
			return "invalid_request", "redirect_mismatch"
		}
		return "", ""
	}
}

// withoutBasic refuses public clients that send a header.
func withoutBasic(r *http.Request) (string, string) {
	if r.Header.Get("Authorization") != "" {
		return "invalid_client", "Client authentication failed"
	}
	return "", ""
}

// likeGitHub: neither metadata nor ID tokens, forms, scopes with commas, and errors
// with the status of success.
func likeGitHub() ways {
	return ways{
		form: true, errorsAre200: true, withoutRefresh: true, sendsIss: true,
		token: func(r *http.Request) (string, string) {
			switch {
			case r.Form.Get("grant_type") == "authorization_code" && r.Form.Get("client_secret") == "":
				return "incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect."
			case r.Form.Get("grant_type") == "refresh_token":
				return "bad_refresh_token", "The refresh token passed is incorrect or expired."
			}
			return "", ""
		},
		answer: func(body map[string]any) {
			delete(body, "expires_in")
			delete(body, "id_token")
			body["token_type"], body["scope"] = "bearer", "repo,gist"
		},
	}
}

// likeGoogle: a refresh token for access_type=offline, with prompt=consent; a secret
// of public clients; scopes by other names than those asked for.
func likeGoogle() ways {
	return ways{
		alg: "RS256", silentIss: true, unknownScopes: []string{"offline_access"},
		authorize: func(q url.Values) (string, string) {
			if q.Get("access_type") == "offline" && q.Get("prompt") == "consent" {
				q.Set("scope", q.Get("scope")+" offline_access")
			}
			return onHost("127.0.0.1")(q)
		},
		token: func(r *http.Request) (string, string) {
			if r.Form.Get("client_secret") == "" {
				return "invalid_request", "client_secret is missing."
			}
			return "", ""
		},
		answer: scope("openid https://www.googleapis.com/auth/userinfo.email"),
		metadata: func(doc map[string]any) {
			doc["scopes_supported"] = []string{"openid", "email", "profile"}
			doc["token_endpoint_auth_methods_supported"] = []string{issuer.AuthPost, issuer.AuthBasic}
			delete(doc, "end_session_endpoint")
		},
	}
}

// likeMicrosoft: localhost, no word about PKCE, no resource indicators, consent for
// administrators only.
func likeMicrosoft() ways {
	return ways{
		alg: "RS256", silentIss: true,
		authorize: func(q url.Values) (string, string) {
			switch {
			case q.Has("resource"):
				return "invalid_target", "AADSTS9010010: The resource parameter provided in the request doesn't match with the requested scopes."
			case q.Get("prompt") == "consent":
				return "access_denied", "AADSTS90094: An administrator has to consent."
			}
			return onHost("localhost")(q)
		},
		token: func(r *http.Request) (string, string) {
			if r.Form.Get("client_secret") != "" {
				return "invalid_client", "AADSTS700025: Client is public so neither 'client_assertion' nor 'client_secret' should be presented."
			}
			return withoutBasic(r)
		},
		answer: func(body map[string]any) {
			body["scope"], body["ext_expires_in"] = "email openid profile", body["expires_in"]
		},
		metadata: func(doc map[string]any) {
			delete(doc, "code_challenge_methods_supported")
			delete(doc, "revocation_endpoint")
		},
	}
}

func likeGitLab() ways {
	return ways{
		alg: "RS256", silentIss: true, refreshes: true, unknownScopes: []string{"offline_access"},
		answer: func(body map[string]any) { body["scope"], body["created_at"] = "openid email", 1700000000 },
		metadata: func(doc map[string]any) {
			doc["scopes_supported"] = []string{"api", "read_user", "read_repository", "openid", "profile", "email"}
		},
	}
}

// likeKeycloak: a refresh token always, and one that outlives the session for
// offline_access, which nobody has asked for.
func likeKeycloak() ways {
	return ways{
		alg: "RS256", refreshes: true,
		authorize: func(q url.Values) (string, string) {
			if strings.Contains(q.Get("scope"), "offline_access") {
				return "invalid_scope", "offline tokens not allowed for the user or client"
			}
			return "", ""
		},
		answer: func(body map[string]any) {
			body["refresh_expires_in"], body["not-before-policy"], body["session_state"] = 1800, 0, "an ID"
			body["scope"] = "openid email profile"
		},
		redirect: func(params url.Values) { params.Set("session_state", "an ID") },
	}
}

func likeAtlassian() ways {
	return ways{
		authorize: func(q url.Values) (string, string) {
			if q.Get("audience") != "api.atlassian.com" || q.Get("prompt") != "consent" {
				return "invalid_request", "audience or prompt is missing"
			}
			return "", ""
		},
		answer: func(body map[string]any) { body["scope"] = "offline_access read:me" },
	}
}

func likeBitbucket() ways {
	return ways{
		method: issuer.AuthBasic, refreshes: true,
		answer: func(body map[string]any) {
			delete(body, "scope")
			body["scopes"], body["token_type"], body["state"] = "repository", "bearer", "authorization_code"
		},
	}
}

// likeSalesforce: a scope of its own for a refresh token, and no end of the token.
func likeSalesforce() ways {
	return ways{
		alg: "RS256", silentIss: true,
		authorize: func(q url.Values) (string, string) {
			q.Set("scope", strings.ReplaceAll(q.Get("scope"), "refresh_token", "offline_access"))
			return onHost("localhost")(q)
		},
		answer: func(body map[string]any) {
			delete(body, "expires_in")
			body["scope"], body["instance_url"], body["issued_at"] = "refresh_token openid api", "https://domain.example", "1700000000000"
		},
	}
}

// likeSlack: an "ok" in every answer, which is where errors are.
func likeSlack() ways {
	return ways{
		alg: "RS256", silentIss: true, errorsAre200: true, withoutRefresh: true, unknownScopes: []string{"offline_access"},
		authorize: onHost("localhost"),
		answer: func(body map[string]any) {
			body["ok"] = true
			delete(body, "expires_in")
			delete(body, "scope")
		},
		metadata: func(doc map[string]any) {
			delete(doc, "code_challenge_methods_supported")
			delete(doc, "revocation_endpoint")
		},
	}
}
