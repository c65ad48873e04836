package main

import (
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// TestComplaints: what providers were seen to say, and what the person is told.
func TestComplaints(t *testing.T) {
	heard := map[string]bool{}
	for _, test := range []struct{ code, description, hint string }{
		{"invalid_client", "AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or 'client_secret'. Trace ID: 1", "Allow public client flows"},
		{"invalid_request", "AADSTS50011: The redirect URI 'http://127.0.0.1:1/callback' specified in the request does not match", "Mobile and desktop"},
		{"invalid_request", "AADSTS500113: No reply address is registered for the application.", "register the redirect URI"},
		{"invalid_request", "AADSTS9002326: Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type.", "from Single-page application"},
		{"invalid_request", "AADSTS9002327: Tokens issued for the 'Single-Page Application' client-type may only be redeemed via cross-origin requests.", "from Single-page application"},
		{"invalid_client", "AADSTS7000215: Invalid client secret provided.", "not its ID"},
		{"invalid_client", "AADSTS7000222: The provided client secret keys for app 'x' are expired.", "make a new one"},
		{"invalid_client", "AADSTS700025: Client is public so neither 'client_assertion' nor 'client_secret' should be presented.", "leave the secret out"},
		{"unauthorized_client", "AADSTS700016: Application with identifier 'x' was not found in the directory 'y'.", "the app is not in it"},
		{"invalid_target", "AADSTS9010010: The resource parameter provided in the request doesn't match with the requested scopes.", "leave --resource out"},
		{"consent_required", "AADSTS65001: The user or administrator has not consented to use the application with ID 'x'", "consent"},
		{"access_denied", "AADSTS90094: The grant requires administrator permission.", "an administrator"},
		{"invalid_request", "AADSTS50020: User account 'x' from identity provider 'live.com' does not exist in tenant 'y'", "an account of this tenant"},
		{"access_denied", "AADSTS50105: Your administrator has configured the application x to block users unless they are assigned", "assign you"},
		{"access_denied", "AADSTS53003: Access has been blocked by Conditional Access policies.", "managed devices"},
		{"invalid_scope", "AADSTS70011: The provided value for the input parameter 'scope' is not valid.", "one API at a time"},

		{"invalid_request", "client_secret is missing.", "the JSON file of its console"},
		{"org_internal", "", "the organization"},
		{"admin_policy_enforced", "", "has to allow the client"},
		{"deleted_client", "The OAuth client was deleted.", "make a new client"},
		{"disabled_client", "The OAuth client was disabled.", "has disabled it"},
		{"invalid_scope", "Some requested scopes were invalid. {valid=[openid, email], invalid=[offline_access]}", "leave the scope offline_access out"},
		{"redirect_uri_mismatch", "", "register the redirect URI"},

		{"bad_verification_code", "The code passed is incorrect or expired.", "came too late"},
		{"incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.", "--client-secret-file"},
		{"device_flow_disabled", "Device Flow must be explicitly enabled for this App", "switch on Device Flow"},
		{"application_suspended", "Your application has been suspended.", "suspended it"},
		{"unverified_user_email", "", "verify your email address"},
		{"redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL for this application.", "register the redirect URI"},

		{"access_denied", "Service not found: https://api.example", "check --audience"},
		{"access_denied", "Client is not authorized to access resource server \"https://api.example\".", "use the API of --audience"},
		{"access_denied", "User is not assigned to the client application.", "assign you"},
		{"access_denied", "Policy evaluation failed for this request, please check the policy configurations.", "access policies"},
		{"invalid_scope", "One or more scopes are not configured for the authorization server resource.", "does not have all of them"},
		{"unauthorized_client", "The client is not authorized to use the provided grant type. Configured grant types: [authorization_code].", "switch on the grants"},

		{"unauthorized_client", "Invalid client or Invalid client credentials", "switch Client authentication off"},
		{"unauthorized_client", "Client not allowed for direct access grants", "switch on the grants"},
		{"not_allowed", "Offline tokens not allowed for the user or client", "leave the scope offline_access out"},

		{"bad_redirect_uri", "", "register the redirect URI"},
		{"bad_client_secret", "", "--client-secret-file"},
		{"invalid_client_id", "client identifier invalid", "check --client-id"},
		{"invalid_code", "", "came too late"},
		{"unauthorized_scope_error", "Scope \"r_liteprofile\" is not authorized for your application", "add the product"},

		{"invalid_request", "redirect_mismatch", "register the redirect URI"},
		{"invalid_scope", "The requested scope is invalid: offline_access", "leave the scope offline_access out"},
		{"invalid_target", "The requested resource is invalid", "check --resource"},
		{"unauthorized_client", "", "switch on the grants"},
	} {
		e := &grant.Error{Endpoint: "token", Status: 400, Code: test.code, Description: test.description}
		failure := describe(t.Context(), e)
		if failure.code != exitRefused || !strings.Contains(failure.hints[0], test.hint) {
			t.Errorf("%s %q: exit code %d, hint %q", test.code, test.description, failure.code, failure.hints)
		}
		heard[complaintHint(e)] = true
	}
	for _, c := range complaints() {
		if !heard[c.hint] || len(c.hint) > 150 || strings.HasSuffix(c.hint, ".") {
			t.Errorf("%q %q: heard: %v, a hint of %d characters", c.code, c.text, heard[c.hint], len(c.hint))
		}
	}
	for _, code := range []string{"invalid_grant", "access_denied", "invalid_scope", "invalid_client"} {
		if hint := complaintHint(&grant.Error{Code: code, Description: "no"}); hint != "" {
			t.Errorf("%s: %s", code, hint)
		}
	}
}

// TestIssuerWithoutMetadata: whoever gives the issuer of a provider that has a preset
// for want of metadata is told so.
func TestIssuerWithoutMetadata(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://github.com":             "--provider github",
		"https://github.com/login/oauth": "--provider github",
		"https://accounts.spotify.com":   "--provider spotify",
		"https://github.com.example":     "--authorization-endpoint",
		"https://zitadel.example":        "--authorization-endpoint",
	} {
		failure := describe(t.Context(), &grant.CheckError{Check: "metadata.location", Reason: "no metadata of " + issuer + " was found; tried everything"})
		if !strings.Contains(failure.hints[0], want) {
			t.Errorf("%s: %q", issuer, failure.hints)
		}
	}
}
