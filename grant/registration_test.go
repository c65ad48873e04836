package grant_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

const (
	registrationStatus = "OAUTH_RESPONSE_IS_NOT_CONFORM registration_response.status"
	badRegistration    = "OAUTH_INVALID_RESPONSE registration_response."
	secretRegistration = "REGISTRATION-secret.4716"
	secretInitial      = "INITIAL-secret.4717"
	registrationURI    = issuer + "/register/urn:example:new"
)

// registered is an answer of the registration endpoint.
func registered(changes members) members {
	return members{
		"client_id": "urn:example:new", "client_secret": secretOfClient, "client_secret_expires_at": 0,
		"registration_access_token": secretRegistration, "registration_client_uri": registrationURI,
		"token_endpoint_auth_method": "client_secret_post", "redirect_uris": []string{redirect}, "unknown": members{"x": null},
	}.with(changes)
}

// newRegistry is a provider that registers clients, and a client without an ID. It
// keeps the bodies that it got, and those requests that were not registrations.
func newRegistry(answer endpoint) (p *provider, client *grant.Client, bodies *[]string) {
	p, bodies = newProvider(""), new([]string)
	client = newClient(nil)
	client.ClientID, client.Server = "", newServer()
	client.Server.RegistrationEndpoint = issuer + "/register"
	client.HTTPClient.Transport = keepBodies{p, bodies}
	p.others = map[string]endpoint{"/register": answer}
	return p, client, bodies
}

// keepBodies takes note of bodies that are no forms.
type keepBodies struct {
	next   http.RoundTripper
	bodies *[]string
}

func (k keepBodies) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Content-Type") == "application/json" {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		*k.bodies = append(*k.bodies, string(body))
		req = req.Clone(req.Context())
		req.Body = http.NoBody
	}
	return k.next.RoundTrip(req)
}

func TestRegistrationRequest(t *testing.T) {
	p, client, bodies := newRegistry(always(500, ""))
	metadata := &grant.ClientMetadata{
		RedirectURIs: []string{redirect}, ApplicationType: "native", TokenEndpointAuthMethod: "none", ClientName: "é", DefaultMaxAge: new(60),
		DPoPBoundAccessTokens: true, JWKS: json.RawMessage(`{"keys": []}`), Additional: map[string]any{"x": []int{1}, "client_name": "smuggled", "scope": "smuggled"},
	}
	resp, err := grant.RegistrationRequest(t.Context(), client.Server, metadata, &grant.RegistrationRequestOptions{
		HTTPClient: client.HTTPClient, InitialAccessToken: secretInitial,
		Header: http.Header{"accept": {"x"}, "user-agent": {"foo"}, "foo": {"bar"}, "content-type": {"text/plain"}},
	})
	if err != nil || resp.StatusCode != 500 {
		t.Fatal(resp, err)
	}
	r := p.one(t, "/register")
	if r.method != "POST" || r.header.Get("Content-Type") != "application/json" || r.header.Get("Accept") != "application/json" ||
		r.header.Get("User-Agent") != "foo" || r.header.Get("Foo") != "bar" || r.header.Get("Authorization") != "Bearer "+secretInitial {
		t.Errorf("%s with %v", r.method, r.header)
	}
	want := `{"application_type":"native","client_name":"é","default_max_age":60,"dpop_bound_access_tokens":true,"jwks":{"keys":[]},` +
		`"redirect_uris":["http://127.0.0.1:8000/callback"],"token_endpoint_auth_method":"none","x":[1]}`
	if got := (*bodies)[0]; got != want {
		t.Errorf("body %s\nwant %s", got, want)
	}
	if _, err := grant.RegistrationRequest(t.Context(), client.Server, metadata, &grant.RegistrationRequestOptions{HTTPClient: client.HTTPClient}); err != nil {
		t.Fatal(err)
	}
	if r := p.requests("/register")[1]; r.header.Get("Authorization") != "" {
		t.Errorf("headers %v", r.header)
	}
}

func TestRegistrationRequestOrder(t *testing.T) {
	plain := newServer()
	plain.RegistrationEndpoint = "http://op.example.com/register"
	ready := newServer()
	ready.RegistrationEndpoint = issuer + "/register"
	tests := []struct {
		name     string
		as       *grant.AuthorizationServer
		metadata *grant.ClientMetadata
		header   http.Header
		want     string
	}{
		{"R001 no server", nil, &grant.ClientMetadata{}, nil, "argument"},
		{"no metadata", ready, nil, nil, "argument"},
		{"no endpoint", newServer(), &grant.ClientMetadata{}, nil, noEndpoint},
		{"R012 http", plain, &grant.ClientMetadata{}, nil, notHTTPS},
		{"R016 Authorization header", ready, &grant.ClientMetadata{}, http.Header{"authorization": {"x"}}, "argument"},
		{"what JSON cannot hold", ready, &grant.ClientMetadata{Additional: map[string]any{"x": func() {}}}, nil, "argument"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := grant.RegistrationRequest(t.Context(), test.as, test.metadata, &grant.RegistrationRequestOptions{
				Header: test.header, HTTPClient: newClient(newProvider("")).HTTPClient})
			wantOutcome(t, err, test.want)
		})
	}
}

func TestRegistrationResponse(t *testing.T) {
	tests := []struct {
		name, body string
		status     int // 0 means 201
		header     []string
		want       string
	}{
		{name: "R250", body: registered(nil).json(), want: "ok"},
		{name: "R250 a public client", body: `{"client_id":"urn:example:new"}`, want: "ok"},
		{name: "R250 200", status: 200, body: registered(nil).json(), want: registrationStatus},
		{name: "R250 refused", status: 400, body: `{"error":"invalid_redirect_uri"}`, want: "refused invalid_redirect_uri"},
		{name: "R101 challenge", status: 401, header: []string{"WWW-Authenticate", `Bearer error="invalid_token"`}, want: "refused invalid_token"},
		{name: "R104 500", status: 500, body: `{"error":"x"}`, want: registrationStatus},
		{name: "R107 HTML", body: "<html>", header: []string{"Content-Type", "text/html"}, want: "OAUTH_RESPONSE_IS_NOT_JSON registration_response.body"},
		{name: "R108 array", body: `[]`, want: badRegistration + "body"},
		{name: "R250 no client_id", body: registered(members{"client_id": nil}).json(), want: badRegistration + "client_id"},
		{name: "R250 client_id empty", body: registered(members{"client_id": ""}).json(), want: badRegistration + "client_id"},
		{name: "R250 client_id number", body: registered(members{"client_id": 5}).json(), want: badRegistration + "client_id"},
		{name: "T02 Client_ID", body: registered(members{"client_id": nil, "Client_ID": "x"}).json(), want: badRegistration + "client_id"},
		{name: "R250 client_secret null", body: registered(members{"client_secret": null}).json(), want: badRegistration + "client_secret"},
		{name: "R250 client_secret empty", body: registered(members{"client_secret": ""}).json(), want: badRegistration + "client_secret"},
		{name: "R250 no client_secret_expires_at", body: registered(members{"client_secret_expires_at": nil}).json(), want: badRegistration + "client_secret_expires_at"},
		{name: "R250 client_secret_expires_at null", body: registered(members{"client_secret_expires_at": null}).json(), want: badRegistration + "client_secret_expires_at"},
		{name: "R250 client_secret_expires_at text", body: registered(members{"client_secret_expires_at": "0"}).json(), want: badRegistration + "client_secret_expires_at"},
		{name: "R250 client_secret_expires_at negative", body: registered(members{"client_secret_expires_at": -1}).json(), want: badRegistration + "client_secret_expires_at"},
		{name: "members of a wrong type are left out", body: registered(members{"redirect_uris": "x", "token_endpoint_auth_method": 5, "client_name": null, "default_max_age": 0.5}).json(), want: "ok"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.status == 0 {
				test.status = 201
			}
			resp := response(test.status, test.body, test.header...)
			body := &closeCounter{Reader: resp.Body}
			resp.Body = body
			r, err := grant.ProcessRegistrationResponse(newServer(), resp)
			wantOutcome(t, err, test.want)
			if err == nil && r.ClientID != "urn:example:new" {
				t.Errorf("got %q", r.ClientID)
			}
			if body.closed == 0 {
				t.Error("T17: the body was not closed")
			}
		})
	}
	_, err := grant.ProcessRegistrationResponse(newServer(), nil)
	wantOutcome(t, err, "argument")
	_, err = grant.ProcessRegistrationResponse(nil, response(201, ""))
	wantOutcome(t, err, "argument")
}

// What the server says counts, not what was asked for.
func TestRegistrationApply(t *testing.T) {
	tests := []struct {
		name   string
		answer members
		client grant.Client
		want   grant.Client
	}{
		{"as registered", nil, grant.Client{TokenEndpointAuthMethod: "none"},
			grant.Client{ClientID: "urn:example:new", ClientSecret: secretOfClient, TokenEndpointAuthMethod: "client_secret_post"}},
		{"a public client that got a secret", members{"token_endpoint_auth_method": "none"}, grant.Client{},
			grant.Client{ClientID: "urn:example:new", TokenEndpointAuthMethod: "none"}},
		{"no method named", members{"token_endpoint_auth_method": nil}, grant.Client{TokenEndpointAuthMethod: "none"},
			grant.Client{ClientID: "urn:example:new", ClientSecret: secretOfClient}},
		{"algorithms and demands", members{"token_endpoint_auth_signing_alg": "ES256", "id_token_signed_response_alg": "PS256", "userinfo_signed_response_alg": "ES384", "authorization_signed_response_alg": "ES512", "request_object_signing_alg": "PS512", "dpop_bound_access_tokens": true,
			"default_max_age": 60, "require_auth_time": true, "require_pushed_authorization_requests": true, "client_secret": nil},
			grant.Client{IDTokenSignedResponseAlg: "RS256", ClientSecret: "old"},
			grant.Client{ClientID: "urn:example:new", TokenEndpointAuthMethod: "client_secret_post", TokenEndpointAuthSigningAlg: "ES256", IDTokenSignedResponseAlg: "PS256",
				UserinfoSignedResponseAlg: "ES384", AuthorizationSignedResponseAlg: "ES512", RequestObjectSigningAlg: "PS512", DPoPBoundAccessTokens: true, DefaultMaxAge: new(60), RequireAuthTime: true, RequirePushedAuthorizationRequests: true}},
		{"a secret beside a key", members{"token_endpoint_auth_method": "private_key_jwt"}, grant.Client{},
			grant.Client{ClientID: "urn:example:new", TokenEndpointAuthMethod: "private_key_jwt"}},
		{"a secret for ID tokens", members{"token_endpoint_auth_method": "private_key_jwt", "id_token_signed_response_alg": "HS256"}, grant.Client{},
			grant.Client{ClientID: "urn:example:new", ClientSecret: secretOfClient, TokenEndpointAuthMethod: "private_key_jwt", IDTokenSignedResponseAlg: "HS256"}},
		{"what the client demands stays", members{"client_secret": nil}, grant.Client{TokenEndpointAuthSigningAlg: "ES256", UserinfoSignedResponseAlg: "ES384",
			AuthorizationSignedResponseAlg: "ES512", RequestObjectSigningAlg: "PS512", DPoPBoundAccessTokens: true, RequirePushedAuthorizationRequests: true},
			grant.Client{ClientID: "urn:example:new", TokenEndpointAuthMethod: "client_secret_post", TokenEndpointAuthSigningAlg: "ES256", UserinfoSignedResponseAlg: "ES384",
				AuthorizationSignedResponseAlg: "ES512", RequestObjectSigningAlg: "PS512", DPoPBoundAccessTokens: true, RequirePushedAuthorizationRequests: true}},
		{"the server relaxes nothing", members{"client_secret": nil, "default_max_age": 99999999}, grant.Client{DefaultMaxAge: new(60)},
			grant.Client{ClientID: "urn:example:new", TokenEndpointAuthMethod: "client_secret_post", DefaultMaxAge: new(60)}},
		{"what the server does not say stays", members{"client_secret": nil}, grant.Client{IDTokenSignedResponseAlg: "RS256", DefaultMaxAge: new(5), RequireAuthTime: true},
			grant.Client{ClientID: "urn:example:new", TokenEndpointAuthMethod: "client_secret_post", IDTokenSignedResponseAlg: "RS256", DefaultMaxAge: new(5), RequireAuthTime: true}},
	}
	for i := range tests {
		test := &tests[i]
		t.Run(test.name, func(t *testing.T) {
			r, err := grant.ProcessRegistrationResponse(newServer(), response(201, registered(test.answer).json()))
			if err != nil {
				t.Fatal(err)
			}
			r.Apply(&test.client)
			if test.client.Registration != r {
				t.Error("the client does not know its registration")
			}
			if test.client.Registration = nil; !reflect.DeepEqual(&test.client, &test.want) {
				t.Errorf("client %q %q %q %q %q %v", test.client.ClientID, string(test.client.ClientSecret), test.client.TokenEndpointAuthMethod,
					test.client.IDTokenSignedResponseAlg, test.client.UserinfoSignedResponseAlg, test.client.DefaultMaxAge)
			}
		})
	}
}

func TestClientRegister(t *testing.T) {
	tests := []struct {
		name     string
		setup    func(c *grant.Client)
		metadata *grant.ClientMetadata
		want     members
	}{
		{"a native client", nil, &grant.ClientMetadata{RedirectURIs: []string{redirect}},
			members{"redirect_uris": []string{redirect}, "application_type": "native", "token_endpoint_auth_method": "none",
				"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}}},
		{"nothing said", nil, nil, members{"application_type": "native", "token_endpoint_auth_method": "none",
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}}},
		{"no refresh tokens offered", func(c *grant.Client) { c.Server.GrantTypesSupported = []string{"authorization_code"} }, nil,
			members{"application_type": "native", "token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code"}, "response_types": []string{"code"}}},
		{"refresh tokens offered", func(c *grant.Client) { c.Server.GrantTypesSupported = []string{"refresh_token"} }, nil,
			members{"application_type": "native", "token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}}},
		{"no public clients", func(c *grant.Client) {
			c.Server.TokenEndpointAuthMethodsSupported = []string{"private_key_jwt", "client_secret_post"}
		}, nil, members{"application_type": "native", "token_endpoint_auth_method": "client_secret_post",
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}}},
		{"nothing that we can do", func(c *grant.Client) { c.Server.TokenEndpointAuthMethodsSupported = []string{"x"} }, nil,
			members{"application_type": "native", "token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}}},
		{"the caller's", func(c *grant.Client) {
			c.TokenEndpointAuthMethod, c.IDTokenSignedResponseAlg, c.UserinfoSignedResponseAlg, c.TokenEndpointAuthSigningAlg = "private_key_jwt", "ES256", "PS256", "RS512"
			c.AuthorizationSignedResponseAlg, c.RequestObjectSigningAlg = "ES384", "PS384"
		}, &grant.ClientMetadata{GrantTypes: []string{"x"}, ApplicationType: "web"},
			members{"application_type": "web", "token_endpoint_auth_method": "private_key_jwt", "grant_types": []string{"x"}, "token_endpoint_auth_signing_alg": "RS512",
				"id_token_signed_response_alg": "ES256", "userinfo_signed_response_alg": "PS256", "authorization_signed_response_alg": "ES384", "request_object_signing_alg": "PS384"}},
		{"the key's method", func(c *grant.Client) { c.Key = keyES }, &grant.ClientMetadata{GrantTypes: []string{"x"}},
			members{"application_type": "native", "token_endpoint_auth_method": "private_key_jwt", "grant_types": []string{"x"}}},
		{"Auth's method", func(c *grant.Client) { c.Auth = grant.ClientSecretBasic("s") }, &grant.ClientMetadata{GrantTypes: []string{"x"}},
			members{"application_type": "native", "token_endpoint_auth_method": "client_secret_basic", "grant_types": []string{"x"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, client, bodies := newRegistry(always(200, registered(nil).json())) // 200 instead of 201, as several servers send
			if client.Header = (http.Header{"Foo": {"bar"}}); test.setup != nil {
				test.setup(client)
			}
			r, err := client.Register(t.Context(), test.metadata, nil)
			if err != nil || r.ClientID != "urn:example:new" || client.ClientID != "" {
				t.Fatal(r, err)
			}
			var got, want any
			if json.Unmarshal([]byte((*bodies)[0]), &got) != nil || json.Unmarshal([]byte(test.want.json()), &want) != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("asked for %v\nwant %v", got, want)
			}
			if p.one(t, "/register").header.Get("Foo") != "bar" {
				t.Error("the client's header was not sent")
			}
		})
	}
	_, client, _ := newRegistry(always(204, ""))
	_, err := client.Register(t.Context(), nil, &grant.RegistrationRequestOptions{InitialAccessToken: secretInitial})
	wantOutcome(t, err, registrationStatus)
	client.Server.RegistrationEndpoint = ""
	_, err = client.Register(t.Context(), nil, nil)
	wantOutcome(t, err, noEndpoint)
	_, err = (*grant.Client)(nil).Register(t.Context(), nil, nil)
	wantOutcome(t, err, "argument")
}

// RFC 7592.
func TestReadAndDeleteRegistration(t *testing.T) {
	p, client, _ := newRegistry(always(201, registered(members{"client_secret_expires_at": 2000000000}).json()))
	r, err := client.Register(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Unix(2000000000, 0); !r.ClientSecretExpiry.Equal(want) {
		t.Errorf("the secret ends at %v", r.ClientSecretExpiry)
	}
	_, err = client.ReadRegistration(t.Context())
	wantOutcome(t, err, "argument")
	wantOutcome(t, client.DeleteRegistration(t.Context()), "argument")
	r.Apply(client)
	const path = "/register/urn:example:new"
	tests := []struct {
		name   string
		answer endpoint
		want   string
	}{
		{"read", always(200, registered(members{"client_secret": "new secret"}).json()), "ok"},
		{"201 is for registering", always(201, registered(nil).json()), registrationStatus},
		{"another client", always(200, registered(members{"client_id": "x"}).json()), "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED registration_response.client_id"},
		{"forgotten", always(401, "", "WWW-Authenticate", `Bearer error="invalid_token"`), "refused invalid_token"},
		{"forgotten without a word", always(404, ""), registrationStatus},
	}
	for _, test := range tests {
		p.others[path] = test.answer
		again, err := client.ReadRegistration(t.Context())
		if outcome(err) != test.want || err == nil && again.ClientSecret != "new secret" {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
		if err != nil {
			wantHidden(t, test.name, err, secretRegistration, secretOfClient)
		}
	}
	if seen := p.requests(path); len(seen) != len(tests) || seen[0].method != "GET" || seen[0].header.Get("Authorization") != "Bearer "+secretRegistration {
		t.Errorf("seen %v", seen)
	}
	// The token for the next time need not be repeated.
	p.others[path] = always(200, registered(members{"registration_access_token": nil, "registration_client_uri": nil}).json())
	if again, err := client.ReadRegistration(t.Context()); err != nil || again.RegistrationAccessToken != secretRegistration || again.RegistrationClientURI != registrationURI {
		t.Errorf("got %v, %v", again, err)
	}
	p.others[path] = always(204, "")
	wantOutcome(t, client.DeleteRegistration(t.Context()), "ok")
	if seen := p.requests(path); seen[len(seen)-1].method != "DELETE" {
		t.Errorf("seen %v", seen[len(seen)-1])
	}
	p.others[path] = always(403, `{"error":"access_denied"}`)
	wantOutcome(t, client.DeleteRegistration(t.Context()), "refused access_denied")
	for uri, want := range map[string]string{"http://op.example.com/register/x": notHTTPS, "register/x": badEndpoint, "https://a@op.example.com/": badEndpoint} {
		client.Registration.RegistrationClientURI = uri
		_, err := client.ReadRegistration(t.Context())
		if outcome(err) != want {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

// A registration is of no use at another issuer, and neither its client_id nor its
// secrets are sent there.
func TestRegistrationElsewhere(t *testing.T) {
	p, client, _ := newRegistry(always(201, registered(nil).json()))
	r, err := client.Register(t.Context(), nil, nil)
	if err != nil || r.Issuer != issuer {
		t.Fatalf("%q, %v", r.Issuer, err)
	}
	data, err := r.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	stored := new(grant.Registration)
	if err := stored.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	client.Server.Issuer = "https://other.example"
	stored.Apply(client)
	_, authorizeErr := client.Authorize(t.Context(), redirect)
	_, refreshErr := client.Refresh(t.Context(), &grant.Token{RefreshToken: "refresh"})
	_, readErr := client.ReadRegistration(t.Context())
	for what, err := range map[string]error{
		"authorize": authorizeErr, "refresh": refreshErr, "revoke": client.Revoke(t.Context(), "refresh", ""), "read": readErr, "delete": client.DeleteRegistration(t.Context()),
	} {
		if !errors.Is(err, grant.ErrArgument) || !strings.Contains(fmt.Sprint(err), issuer) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, path := range []string{"/token", "/revoke", "/register/urn:example:new"} {
		if seen := p.requests(path); len(seen) != 0 {
			t.Errorf("requests to %s: %v", path, seen)
		}
	}
	// Who has made it by hand, or stored it before, need not have said where it is from.
	stored.Issuer = ""
	if _, err := client.Authorize(t.Context(), redirect); err != nil {
		t.Error(err)
	}
}

func TestMarshalRegistration(t *testing.T) {
	for name, changes := range map[string]members{
		"full": {"client_secret_expires_at": 2000000000, "client_name": "é😀", "jwks": members{"keys": []int{}}, "default_max_age": 0, "require_auth_time": true},
		"kept": nil, "public": {"client_secret": nil, "registration_access_token": nil},
		"beyond all time": {"client_secret_expires_at": 1e300},
	} {
		r, err := grant.ProcessRegistrationResponse(newServer(), response(201, registered(changes).json()))
		if err != nil {
			t.Fatal(err)
		}
		data, err := r.MarshalBinary()
		if err != nil || strings.ContainsFunc(string(data), func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("%s: %q, %v", name, data, err)
		}
		again := new(grant.Registration)
		if err := again.UnmarshalBinary(data); err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%s: %s became %+v, %v", name, data, again, err)
		}
	}
	for _, stored := range []string{"", "null", "[]", `{"client_secret":"` + secretOfClient + `"}`, `{"client_id":"x","client_secret":"` + secretOfClient + `"}`, `{"` + secretOfClient} {
		err := new(grant.Registration).UnmarshalBinary([]byte(stored))
		if err == nil {
			t.Errorf("%q was taken", stored)
		}
		wantHidden(t, stored, err, secretOfClient)
	}
}

func TestRegistrationHidesSecrets(t *testing.T) {
	_, client, _ := newRegistry(always(201, registered(nil).json()))
	r, err := client.Register(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantHidden(t, "*Registration", r, secretOfClient, secretRegistration)
	r.Apply(client)
	wantHidden(t, "Client", client, secretOfClient, secretRegistration)
	for name, answer := range map[string]endpoint{
		"error":       always(400, members{"error": "x", "error_description": secretInitial}.json()),
		"challenge":   always(401, "", "WWW-Authenticate", `Bearer error="`+secretInitial+`"`),
		"expires_at":  always(201, registered(members{"client_secret_expires_at": secretOfClient}).json()),
		"HTML":        always(201, secretInitial, "Content-Type", secretInitial),
		"broken JSON": always(201, `{"client_secret":"`+secretOfClient),
	} {
		_, client, _ := newRegistry(answer)
		_, err := client.Register(t.Context(), nil, &grant.RegistrationRequestOptions{InitialAccessToken: secretInitial})
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		wantHidden(t, name, err, secretOfClient, secretRegistration, secretInitial)
	}
}
