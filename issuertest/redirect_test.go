package issuertest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
)

// EndLogins ends also what a program has not had its tokens for yet.
func TestEndLoginsUnderWay(t *testing.T) {
	iss := issuertest.New(t)
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid"}, AllowInsecureRequests: true}
	t.Cleanup(client.CloseIdleConnections)
	flow, err := client.Authorize(t.Context(), "http://127.0.0.1:1/callback")
	if err != nil {
		t.Fatal(err)
	}
	redirectURL, err := iss.Redirect(t.Context(), flow.URL)
	if err != nil {
		t.Fatal(err)
	}
	device, err := client.AuthorizeDevice(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := iss.Open(t.Context(), device.VerificationURIComplete); err != nil {
		t.Fatal(err)
	}
	iss.EndLogins()
	for name, complete := range map[string]func() (*grant.Token, error){
		"code":        func() (*grant.Token, error) { return flow.Complete(t.Context(), redirectURL) },
		"device code": func() (*grant.Token, error) { return device.Wait(t.Context()) },
	} {
		_, err := complete()
		if refusal, ok := errors.AsType[*grant.Error](err); !ok || refusal.Code != "invalid_grant" {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Redirect hands over what a browser would have brought, wherever that leads.
func TestRedirect(t *testing.T) {
	for _, redirectURI := range []string{"http://127.0.0.1:1/callback", "com.example.cli:/signed-in"} {
		for refuse, want := range map[bool]string{false: "code=", true: "error=access_denied"} {
			iss := issuertest.NewWith(t, &issuertest.Options{RedirectURIs: []string{redirectURI}})
			iss.Refuse(refuse)
			client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid"}, AllowInsecureRequests: true}
			t.Cleanup(client.CloseIdleConnections)
			flow, err := client.Authorize(t.Context(), redirectURI)
			if err != nil {
				t.Fatal(err)
			}
			redirectURL, err := iss.Redirect(t.Context(), flow.URL)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(redirectURL, redirectURI+"?") || !strings.Contains(redirectURL, want) {
				t.Errorf("the browser is sent to %s", redirectURL)
			}
			if token, err := flow.Complete(t.Context(), redirectURL); (err != nil) != refuse || !refuse && token.IDToken.Subject == "" {
				t.Errorf("error %v", err)
			}
		}
	}
	iss := issuertest.New(t)
	if address, err := iss.Redirect(t.Context(), iss.URL+"/authorize?client_id=nobody"); err == nil {
		t.Errorf("nobody is sent to %q", address)
	}
}
