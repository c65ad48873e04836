package grant_test

import (
	"net/http"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// The options of a call go before the settings of the client, and may be left out.
func TestRegistrationOptions(t *testing.T) {
	p, client, _ := newRegistry(always(201, registered(nil).json()))
	client.Header = http.Header{"Foo": {"client"}}
	if _, err := client.Register(t.Context(), nil, &grant.RegistrationRequestOptions{Header: http.Header{"Foo": {"call"}}}); err != nil {
		t.Fatal(err)
	}
	if got := p.one(t, "/register").header.Get("Foo"); got != "call" {
		t.Errorf("Foo is %q", got)
	}
	plain := newServer()
	plain.Issuer, plain.RegistrationEndpoint = "http://127.0.0.1", "http://127.0.0.1/register"
	_, err := grant.RegistrationRequest(t.Context(), plain, &grant.ClientMetadata{}, nil)
	wantOutcome(t, err, notHTTPS)
	for _, allow := range []struct {
		client, call bool
		want         string
	}{{false, false, notHTTPS}, {true, false, "ok"}, {false, true, "ok"}} {
		_, client, _ := newRegistry(always(201, registered(nil).json()))
		client.Server.Issuer, client.Server.RegistrationEndpoint = plain.Issuer, plain.RegistrationEndpoint
		client.AllowInsecureRequests = allow.client
		_, err := client.Register(t.Context(), nil, &grant.RegistrationRequestOptions{AllowInsecureRequests: allow.call})
		wantOutcome(t, err, allow.want)
	}
}

// A secret that does not end has no end, and one that ends with the first second
// of 1970 has one.
func TestClientSecretExpiry(t *testing.T) {
	for expires, never := range map[int]bool{0: true, 1: false} {
		r, err := grant.ProcessRegistrationResponse(newServer(), response(201, registered(members{"client_secret_expires_at": expires}).json()))
		if err != nil || r.ClientSecretExpiry.IsZero() != never {
			t.Errorf("%d: %v, %v", expires, r, err)
		}
	}
}
