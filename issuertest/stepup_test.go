package issuertest_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// TestStepUp: a program that does what an API demands signs in once more for it, and
// the test sees with what.
func TestStepUp(t *testing.T) {
	iss := issuertest.NewWith(t, &issuertest.Options{Scopes: []string{"orders"}, ACRValues: []string{"mfa"}})
	client := clientOf(t, iss)
	source := &store.Source{
		Client: client, Store: new(store.Memory),
		Login: func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return loopback.Login(ctx, client, &loopback.Options{Save: save, Open: iss.Open})
		},
	}
	if status, _ := get(t, source.HTTPClient(), iss.API(issuertest.Demand{})); status != http.StatusOK || iss.LastAuthorization().Has("acr_values") {
		t.Errorf("an API that demands nothing says %d", status)
	}
	if status, body := get(t, source.HTTPClient(), iss.API(issuertest.Demand{ACRValues: []string{"mfa"}})); status != http.StatusOK {
		t.Errorf("an API that demands another sign-in says %d %s", status, body)
	}
	if asked := iss.LastAuthorization(); asked.Get("acr_values") != "mfa" || iss.Requests("authorize") != 2 {
		t.Errorf("%d logins, the last with %v", iss.Requests("authorize"), asked)
	}
	if status, body := get(t, source.HTTPClient(), iss.API(issuertest.Demand{Scopes: []string{"orders"}})); status != http.StatusOK {
		t.Errorf("an API that demands a scope says %d %s", status, body)
	}
	if asked := iss.LastAuthorization(); asked.Get("scope") != "openid profile offline_access orders" || iss.Requests("authorize") != 3 {
		t.Errorf("%d logins, the last with %v", iss.Requests("authorize"), asked)
	}
	status, _ := get(t, source.HTTPClient(), iss.API(issuertest.Demand{ACRValues: []string{"unheard of"}}))
	if status != http.StatusUnauthorized || iss.Requests("authorize") != 4 {
		t.Errorf("an API that demands what cannot be done says %d after %d logins", status, iss.Requests("authorize"))
	}
}
