package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// registry is a provider that registers clients, and has them read and deleted.
func registry(t *testing.T, resources ...string) *provider {
	t.Helper()
	config := providerConfig{AlwaysRefresh: true, Resources: resources, Configuration: object{"clients": []object{}, "features": object{
		"registration":           object{"enabled": true},
		"registrationManagement": object{"enabled": true},
	}}}
	return startProvider(t, config)
}

// registrations returns the requests for the registration of clients, each as method and status.
func registrations(t *testing.T, p *provider) (seen []string) {
	t.Helper()
	for _, r := range p.requests(t) {
		if strings.HasPrefix(r.Path, "/reg") {
			seen = append(seen, fmt.Sprint(r.Method, " ", r.Status))
		}
	}
	return seen
}

// TestRegistration signs in without a client ID: twice with one client, and with another one when the provider has forgotten that. Signing
// out takes the registration back.
func TestRegistration(t *testing.T) {
	p := registry(t)
	k := startKeyring(t)
	c := newCommand(t, k)
	signIn := func() result {
		t.Helper()
		running := c.start(t, "--issuer", p.Issuer, "--no-browser")
		get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
		r := running.wait(t)
		r.expect(t, exitDone)
		return r
	}
	if r := signIn(); !r.says("registered at "+p.Issuer, "signed in as alice") {
		t.Errorf("stderr:\n%s", r.stderr)
	}
	c.run(t, "token").expect(t, exitDone)
	if r := signIn(); r.says("registered at") {
		t.Errorf("stderr:\n%s", r.stderr)
	}
	if got := strings.Join(registrations(t, p), ", "); got != "POST 201, GET 200" {
		t.Errorf("requests: %s", got)
	}

	var path string
	for _, r := range p.requests(t) {
		if strings.HasPrefix(r.Path, "/reg/") {
			path = r.Path
		}
	}
	p.behave(t, behavior{Answers: []cannedAnswer{{Path: path, Times: 1, Status: http.StatusUnauthorized, Body: object{"error": "invalid_token"}}}})
	if r := signIn(); !r.says("has forgotten the client", "registered at", "signed in as alice") {
		t.Errorf("stderr:\n%s", r.stderr)
	}
	c.run(t, "token").expect(t, exitDone)
	c.run(t, "logout").expect(t, exitDone)
	seen := registrations(t, p)
	if seen[len(seen)-1] != "DELETE 204" || k.items(t) != 0 {
		t.Errorf("requests: %v, %d items are stored", seen, k.items(t))
	}
}

// TestPackageRegistration is TestRegistration without the command, for a client with a secret as well.
func TestPackageRegistration(t *testing.T) {
	p := registry(t)
	for _, method := range []string{"", "client_secret_basic", "client_secret_post"} {
		client := &grant.Client{Issuer: p.Issuer, Scopes: []string{"openid"}, TokenEndpointAuthMethod: method, AllowInsecureRequests: true}
		registration, err := client.Register(t.Context(), &grant.ClientMetadata{RedirectURIs: []string{"http://127.0.0.1/callback"}, ClientName: "A tool"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		registration.Apply(client)
		loginBy(t, client, func(address string) { get(t, signInByHand(t, address, person{Login: "alice"})) })
		if (client.ClientSecret == "") != (method == "") {
			t.Errorf("%q: a secret of %d bytes", method, len(client.ClientSecret))
		}
		again, err := client.ReadRegistration(t.Context())
		if err != nil || again.Metadata.ClientName != "A tool" || again.Metadata.ApplicationType != "native" {
			t.Errorf("%q: %+v, %v", method, again, err)
		}
		if err == nil {
			again.Apply(client) // the provider may have changed the token for the next time
		}
		if err := client.DeleteRegistration(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := client.ReadRegistration(t.Context()); err == nil {
			t.Errorf("%q: the client is still registered", method)
		}
	}
}

// TestResourceAlone starts from nothing but the address of an API: its metadata names the provider, which registers a client.
func TestResourceAlone(t *testing.T) {
	var issuer string
	var api *httptest.Server
	api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1":
			w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="`+api.URL+`/about"`)
			w.WriteHeader(http.StatusUnauthorized)
		case "/about":
			fmt.Fprintf(w, `{"resource":%q,"authorization_servers":[%q]}`, api.URL+"/v1", issuer)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(api.Close)
	p := registry(t, api.URL+"/v1")
	issuer = p.Issuer
	c := newCommand(t, startKeyring(t))
	running := c.start(t, "--resource", api.URL+"/v1", "--scope", "openid read", "--no-browser")
	get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
	running.wait(t).expect(t, exitDone)
	r := c.run(t, "token")
	r.expect(t, exitDone)
	if got := audienceOf(t, grant.Secret(r.stdout)); got != api.URL+"/v1" {
		t.Errorf("the token is for %v", got)
	}
}
