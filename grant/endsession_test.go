package grant_test

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// OpenID Connect RP-Initiated Logout 1.0, section 2.
func TestEndSessionURL(t *testing.T) {
	const back = "http://127.0.0.1:8000/signed-out"
	signedIn := &grant.Token{AccessToken: "token", IDToken: &grant.IDToken{Raw: "e.y.J", Issuer: issuer}}
	abroad := &grant.Token{AccessToken: "token", IDToken: &grant.IDToken{Raw: "e.y.J", Issuer: "https://other.example"}}
	tests := []struct {
		name, endpoint string
		insecure       bool
		issuer         string
		token          *grant.Token
		back, state    string
		locales        string
		want           string // the outcome, for an error
		base           string
		query          url.Values
	}{
		{name: "all", token: signedIn, back: back, state: "s&s", locales: "de en",
			query: url.Values{"id_token_hint": {"e.y.J"}, "client_id": {clientID}, "post_logout_redirect_uri": {back}, "state": {"s&s"}, "ui_locales": {"de en"}}},
		{name: "no ID token", token: &grant.Token{AccessToken: "token"}, query: url.Values{"client_id": {clientID}}},
		{name: "no token", query: url.Values{"client_id": {clientID}}},
		{name: "no state", token: signedIn, back: back, query: url.Values{"id_token_hint": {"e.y.J"}, "client_id": {clientID}, "post_logout_redirect_uri": {back}}},
		{name: "the endpoint's query", endpoint: issuer + "/end?a=1&a=2&client_id=x&b=%26#frag", token: signedIn,
			query: url.Values{"a": {"1", "2"}, "b": {"&"}, "id_token_hint": {"e.y.J"}, "client_id": {clientID}}},
		{name: "http on one machine", issuer: "http://127.0.0.1:1", endpoint: "http://127.0.0.1:1/end", insecure: true, base: "http://127.0.0.1:1/end", query: url.Values{"client_id": {clientID}}},

		{name: "an ID token of another issuer", token: abroad, want: "argument"},
		{name: "none", endpoint: "-", want: noEndpoint},
		{name: "R012 http", endpoint: "http://op.example.com/end", want: notHTTPS},
		{name: "http on one machine, for an https issuer", endpoint: "http://127.0.0.1:1/end", insecure: true, want: notHTTPS},
		{name: "javascript", endpoint: "javascript:alert(1)", want: badEndpoint},
		{name: "malformed query", endpoint: issuer + "/end?a=%zz", want: badEndpoint},
		{name: "back is relative", back: "/signed-out", want: "argument"},
		{name: "back has a fragment", back: back + "#x", want: "argument"},
		{name: "state for nobody", state: "s", want: "argument"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := newClient(nil)
			client.Server, client.UILocales, client.AllowInsecureRequests = newServer(), test.locales, test.insecure
			if client.Server.EndSessionEndpoint = issuer + "/end"; test.endpoint != "" {
				client.Server.EndSessionEndpoint = test.endpoint
			}
			if test.endpoint == "-" {
				client.Server.EndSessionEndpoint = ""
			}
			if test.issuer != "" {
				client.Server.Issuer = test.issuer
			}
			client.UseMTLSEndpointAliases = true
			client.Server.MTLSEndpointAliases = map[string]string{"end_session_endpoint": issuer + "/alias"} // R015
			target, err := client.EndSessionURL(t.Context(), test.token, test.back, test.state)
			if test.want != "" {
				wantOutcome(t, err, test.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(string(target))
			if err != nil {
				t.Fatal(err)
			}
			query := u.Query()
			if u.RawQuery = ""; test.base == "" {
				test.base = issuer + "/end"
			}
			if u.String() != test.base || !reflect.DeepEqual(query, test.query) {
				t.Errorf("got %s with %v", u, query)
			}
			for how, text := range shown(target) {
				if !strings.HasSuffix(how, " hidden") {
					wantNoSecrets(t, how, text, "e.y.J")
				}
			}
		})
	}
	_, err := (*grant.Client)(nil).EndSessionURL(t.Context(), nil, "", "")
	wantOutcome(t, err, "argument")
	_, err = (&grant.Client{Server: newServer()}).EndSessionURL(t.Context(), nil, "", "")
	wantOutcome(t, err, "argument")
}
