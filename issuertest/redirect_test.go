package issuertest_test

import (
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
)

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
