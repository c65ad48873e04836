package main

import (
	"strings"

	"github.com/oauth-login/oauth-login/grant"
)

// A complaint is what a provider says in words of its own, and what helps.
type complaint struct {
	code string // the error code, "" for any
	text string // part of the description, "" for any
	hint string
}

const (
	hintSecret   = "check --client-id, and the secret in --client-secret-file"
	hintRedirect = "register the redirect URI exactly as --verbose shows it"
	hintAssign   = "an administrator has to assign you to the application"
	hintAccount  = "sign in with another account: --prompt select_account"
	hintGrants   = "switch on the grants Authorization Code and Refresh Token for the application at the provider, and with --device the device grant"
)

// complaints are tried in this order. A complaint that is not here has the hint of
// its code.
func complaints() []complaint {
	return []complaint{
		// Microsoft Entra ID, whose codes stand in the description.
		{"", "AADSTS7000218", "set Allow public client flows to Yes under Authentication of the app, or give its secret with --client-secret-file"},
		{"", "AADSTS50011", "register the redirect URI under Mobile and desktop applications of the app; 'oauth-login providers microsoft' shows it"}, // 500113 too
		{"", "AADSTS900232", "move the redirect URI of the app from Single-page application to Mobile and desktop applications"},                      // 9002326, 9002327
		{"", "AADSTS7000215", "give the value of the secret with --client-secret-file, and not its ID"},
		{"", "AADSTS7000222", "the secret of the app has expired: make a new one"},
		{"", "AADSTS700025", "leave the secret out: the app is a public client"},
		{"", "AADSTS700016", "check --client-id, and the tenant in --issuer: the app is not in it"},
		{"", "AADSTS9010010", "leave --resource out and name the resource by its scopes: --scope api://APP/.default"},
		{"", "AADSTS65001", "an administrator of the tenant has to consent to the app, or you, with --prompt consent"},
		{"", "AADSTS9009", "an administrator of the tenant has to consent to the app"}, // 90094, 90095
		{"", "AADSTS50020", "sign in with an account of this tenant: --prompt select_account"},
		{"", "AADSTS50105", hintAssign},
		{"", "AADSTS530", "the tenant takes this sign-in from managed devices or certain networks only; ask its administrator"}, // 53000 to 53003
		{"", "AADSTS70011", "ask for other scopes with --scope, and for those of one API at a time"},

		// Google.
		{"", "client_secret is missing", "Google wants the secret of desktop clients too: give the JSON file of its console with --client-secret-file"},
		{"org_internal", "", "sign in with an account of the organization that the client belongs to: --prompt select_account"},
		{"admin_policy_enforced", "", "an administrator of your organization has to allow the client"},
		{"deleted_client", "", "make a new client at the provider: this one is deleted"},
		{"disabled_client", "", "ask the owner of the client why the provider has disabled it"},

		// GitHub.
		{"bad_verification_code", "", "run the command again: the code came too late, or was used before"},
		{"incorrect_client_credentials", "", hintSecret},
		{"device_flow_disabled", "", "switch on Device Flow in the settings of the app, or leave --device out"},
		{"application_suspended", "", "ask the owner of the app why the provider has suspended it"},
		{"unverified_user_email", "", "verify your email address at the provider, then run the command again"},

		// Auth0 and Okta.
		{"", "Service not found", "check --audience: the provider has no API of that name"},
		{"", "is not authorized to access resource server", "allow the application to use the API of --audience, at the provider"},
		{"", "not assigned to the client application", hintAssign},
		{"", "Policy evaluation failed", "the access policies of the authorization server leave you or the application out; ask its administrator"},
		{"", "not configured for the authorization server resource", "ask for other scopes with --scope: this authorization server does not have all of them"},
		{"", "not authorized to use the provided grant type", hintGrants},

		// Keycloak.
		{"", "Invalid client or Invalid client credentials", "switch Client authentication off for the client, or give its secret with --client-secret-file"},
		{"", "Client not allowed", hintGrants},
		{"", "Offline tokens not allowed", "leave the scope offline_access out: name the others with --scope"},

		// Slack, LinkedIn and Salesforce.
		{"bad_redirect_uri", "", hintRedirect},
		{"bad_client_secret", "", hintSecret},
		{"invalid_client_id", "", "check --client-id: the provider does not know it"},
		{"invalid_code", "", "run the command again: the code came too late, or was used before"},
		{"unauthorized_scope_error", "", "add the product that has the scope to the app, or ask for other scopes with --scope"},

		// Several.
		{"redirect_uri_mismatch", "", hintRedirect},
		{"", "redirect_mismatch", hintRedirect},
		{"invalid_scope", "offline_access", "leave the scope offline_access out: name the others with --scope"},
		{"invalid_target", "", "check --resource: the provider has no such resource for this client"},
		{"unauthorized_client", "", hintGrants},
	}
}

// complaintHint returns "" for a refusal that nobody has made a note of.
func complaintHint(e *grant.Error) string {
	for _, c := range complaints() {
		if (c.code == "" || c.code == e.Code) && containsFold(e.Description, c.text) {
			return c.hint
		}
	}
	return ""
}

func containsFold(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// withoutMetadata names the preset of a provider whose metadata were looked for in
// vain, "" for none.
func withoutMetadata(e *grant.CheckError) string {
	_, rest, _ := strings.Cut(e.Reason, "no metadata of ")
	issuer, _, _ := strings.Cut(rest, " was found")
	if known := presetFor(issuer); known != nil && known.TokenPath != "" {
		return known.Name
	}
	return ""
}
