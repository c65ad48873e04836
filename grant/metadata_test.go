package grant_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// R010 to R015 and T08: which endpoints are used and which are refused, seen
// through the token endpoint.
func TestEndpoints(t *testing.T) {
	tests := []struct {
		name     string
		issuer   string // "" for that of the fixtures
		metadata string // members beside the issuer
		aliases  bool
		insecure bool
		want     string // an outcome, or the URL that was requested
	}{
		{name: "R011 missing", metadata: `{}`, want: noEndpoint},
		{name: "R011 null", metadata: `{"token_endpoint":null}`, want: badEndpoint},
		{name: "R011 number", metadata: `{"token_endpoint":5}`, want: badEndpoint},
		{name: "R011 object", metadata: `{"token_endpoint":{}}`, want: badEndpoint},
		{name: "R011 relative", metadata: `{"token_endpoint":"/token"}`, want: badEndpoint},
		{name: "T08 without a scheme", metadata: `{"token_endpoint":"//op.example.com/token"}`, want: badEndpoint},
		{name: "T08 a word", metadata: `{"token_endpoint":"nope"}`, want: badEndpoint},
		{name: "T08 no host", metadata: `{"token_endpoint":"https:///token"}`, want: badEndpoint},
		{name: "T08 a port without a host", metadata: `{"token_endpoint":"https://:443/token"}`, want: badEndpoint},
		{name: "T08 opaque", metadata: `{"token_endpoint":"https:op.example.com/token"}`, want: badEndpoint},
		{name: "no host name", metadata: `{"token_endpoint":"https://[::1/token"}`, want: badEndpoint},
		{name: "credentials", metadata: `{"token_endpoint":"https://user:password@op.example.com/token"}`, want: badEndpoint},
		{name: "a control character", metadata: `{"token_endpoint":"https://op.example.com/to\u0000ken"}`, want: badEndpoint},
		{name: "T02 Token_Endpoint", metadata: `{"Token_Endpoint":"https://op.example.com/token"}`, want: noEndpoint},

		{name: "https", metadata: `{"token_endpoint":"https://op.example.com/token"}`, want: "https://op.example.com/token"},
		{name: "another host", metadata: `{"token_endpoint":"https://other.example/token"}`, want: "https://other.example/token"},
		{name: "scheme in upper case", metadata: `{"token_endpoint":"HTTPS://op.example.com/token"}`, want: "https://op.example.com/token"},
		{name: "R019 query", metadata: `{"token_endpoint":"https://op.example.com/token?p=1&q=%20"}`, want: "https://op.example.com/token?p=1&q=%20"},
		{name: "port", metadata: `{"token_endpoint":"https://op.example.com:8443/token"}`, want: "https://op.example.com:8443/token"},
		{name: "IPv6", metadata: `{"token_endpoint":"https://[2001:db8::1]/token"}`, want: "https://[2001:db8::1]/token"},

		{name: "R012 http", metadata: `{"token_endpoint":"http://op.example.com/token"}`, want: notHTTPS},
		{name: "R013 http, loopback, not allowed", metadata: `{"token_endpoint":"http://127.0.0.1/token"}`, want: notHTTPS},
		{name: "R012 another scheme, not allowed", metadata: `{"token_endpoint":"ftp://op.example.com/token"}`, want: notHTTPS},
		{name: "R012 another scheme", issuer: "http://127.0.0.1", insecure: true, metadata: `{"token_endpoint":"ftp://127.0.0.1/token"}`, want: badScheme},
		{name: "http, allowed, not loopback", issuer: "http://127.0.0.1", insecure: true, metadata: `{"token_endpoint":"http://op.example.com/token"}`, want: notHTTPS},
		{name: "http, allowed, 127.0.0.1", issuer: "http://127.0.0.1", insecure: true, metadata: `{"token_endpoint":"http://127.0.0.1:80/token"}`, want: "http://127.0.0.1:80/token"},
		{name: "http, allowed, 127.9.9.9", issuer: "http://127.0.0.1", insecure: true, metadata: `{"token_endpoint":"http://127.9.9.9/token"}`, want: "http://127.9.9.9/token"},
		{name: "http, allowed, ::1", issuer: "http://[::1]", insecure: true, metadata: `{"token_endpoint":"http://[::1]/token"}`, want: "http://[::1]/token"},
		{name: "http, allowed, localhost", issuer: "http://localhost", insecure: true, metadata: `{"token_endpoint":"http://LOCALHOST/token"}`, want: "http://LOCALHOST/token"},
		{name: "http, allowed, IPv4 in IPv6", issuer: "http://127.0.0.1", insecure: true, metadata: `{"token_endpoint":"http://[::ffff:127.0.0.1]/token"}`, want: "http://[::ffff:127.0.0.1]/token"},
		{name: "http, allowed, a name that begins so", issuer: "http://127.0.0.1", insecure: true, metadata: `{"token_endpoint":"http://127.0.0.1.evil.example/token"}`, want: notHTTPS},
		{name: "http, allowed, localhost of another", issuer: "http://localhost", insecure: true, metadata: `{"token_endpoint":"http://localhost.evil.example/token"}`, want: notHTTPS},
		{name: "http, allowed, short form", issuer: "http://127.0.0.1", insecure: true, metadata: `{"token_endpoint":"http://127.1/token"}`, want: notHTTPS},
		{name: "http, allowed, unspecified address", issuer: "http://127.0.0.1", insecure: true, metadata: `{"token_endpoint":"http://0.0.0.0/token"}`, want: notHTTPS},
		{name: "http, allowed, but the issuer is https", insecure: true, metadata: `{"token_endpoint":"http://127.0.0.1/token"}`, want: notHTTPS},
		{name: "http, allowed, but the issuer is HTTPS", issuer: "HTTPS://op.example.com", insecure: true, metadata: `{"token_endpoint":"http://127.0.0.1/token"}`, want: notHTTPS},

		{name: "R010 alias, not used", metadata: `{"token_endpoint":"https://op.example.com/token","mtls_endpoint_aliases":{"token_endpoint":"https://mtls.example/token"}}`, want: "https://op.example.com/token"},
		{name: "R010 alias", aliases: true, metadata: `{"token_endpoint":"https://op.example.com/token","mtls_endpoint_aliases":{"token_endpoint":"https://mtls.example/token"}}`, want: "https://mtls.example/token"},
		{name: "R010 alias of another", aliases: true, metadata: `{"token_endpoint":"https://op.example.com/token","mtls_endpoint_aliases":{"revocation_endpoint":"https://mtls.example/token"}}`, want: "https://op.example.com/token"},
		{name: "R010 no aliases", aliases: true, metadata: `{"token_endpoint":"https://op.example.com/token"}`, want: "https://op.example.com/token"},
		{name: "R010 alias null does not fall back", aliases: true, metadata: `{"token_endpoint":"https://op.example.com/token","mtls_endpoint_aliases":{"token_endpoint":null}}`, want: badEndpoint},
		{name: "R010 alias empty does not fall back", aliases: true, metadata: `{"token_endpoint":"https://op.example.com/token","mtls_endpoint_aliases":{"token_endpoint":""}}`, want: badEndpoint},
		{name: "R012 alias http", aliases: true, metadata: `{"mtls_endpoint_aliases":{"token_endpoint":"http://mtls.example/token"}}`, want: notHTTPS},
		{name: "aliases of a wrong type", aliases: true, metadata: `{"token_endpoint":"https://op.example.com/token","mtls_endpoint_aliases":"x"}`, want: "https://op.example.com/token"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var as grant.AuthorizationServer
			if err := json.Unmarshal([]byte(test.metadata), &as); err != nil {
				t.Fatal(err)
			}
			if as.Issuer = issuer; test.issuer != "" {
				as.Issuer = test.issuer
			}
			p := newProvider(tokenBody(""))
			client := newClient(p)
			client.UseMTLSEndpointAliases = test.aliases
			_, err := senders[1].send(t.Context(), t, &as, client, &grant.TokenEndpointRequestOptions{AllowInsecureRequests: test.insecure})
			if err != nil {
				wantOutcome(t, err, test.want)
			} else if got := p.one(t, "/token").url; got != test.want {
				t.Errorf("requested %s, want %s", got, test.want)
			}
		})
	}
}

func TestMetadataDecoding(t *testing.T) {
	const document = `{
		"issuer": "https://op.example.com", "authorization_endpoint": "https://op.example.com/a", "token_endpoint": "https://op.example.com/t",
		"jwks_uri": "https://op.example.com/j", "revocation_endpoint": "https://op.example.com/r", "device_authorization_endpoint": "https://op.example.com/d",
		"registration_endpoint": "https://op.example.com/reg", "scopes_supported": ["openid"], "code_challenge_methods_supported": [],
		"token_endpoint_auth_methods_supported": ["none"], "id_token_signing_alg_values_supported": ["ES256"],
		"authorization_response_iss_parameter_supported": true, "mtls_endpoint_aliases": {"token_endpoint": "https://m.example/t"},
		"unknown": {"x": null}
	}`
	want := &grant.AuthorizationServer{
		Issuer: "https://op.example.com", AuthorizationEndpoint: "https://op.example.com/a", TokenEndpoint: "https://op.example.com/t",
		JWKSURI: "https://op.example.com/j", RevocationEndpoint: "https://op.example.com/r", DeviceAuthorizationEndpoint: "https://op.example.com/d",
		RegistrationEndpoint: "https://op.example.com/reg", ScopesSupported: []string{"openid"}, CodeChallengeMethodsSupported: []string{},
		TokenEndpointAuthMethodsSupported: []string{"none"}, IDTokenSigningAlgValuesSupported: []string{"ES256"},
		AuthorizationResponseIssParameterSupported: true, MTLSEndpointAliases: map[string]string{"token_endpoint": "https://m.example/t"},
	}
	got := new(grant.AuthorizationServer)
	if err := json.Unmarshal([]byte(document), got); err != nil {
		t.Fatal(err)
	}
	wantSameMetadata(t, got, want)
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	again := new(grant.AuthorizationServer)
	if err := json.Unmarshal(data, again); err != nil {
		t.Fatal(err)
	}
	wantSameMetadata(t, again, want)
	if data, err := json.Marshal(&grant.AuthorizationServer{}); err != nil || string(data) != "{}" {
		t.Errorf("empty metadata became %s, %v", data, err)
	}
	for _, document := range []string{`null`, `[]`, `{`, `"x"`} {
		if err := got.UnmarshalJSON([]byte(document)); err == nil {
			t.Errorf("%s was decoded", document)
		}
	}
}

// wantSameMetadata compares the exported fields.
func wantSameMetadata(t *testing.T, got, want *grant.AuthorizationServer) {
	t.Helper()
	a, b := reflect.ValueOf(got).Elem(), reflect.ValueOf(want).Elem()
	for i := range a.NumField() {
		if field := a.Type().Field(i); field.IsExported() && !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			t.Errorf("%s: %v, want %v", field.Name, a.Field(i), b.Field(i))
		}
	}
}

// R042: wrong types are taken and show when they are used. What is not plainly
// false asks for the stricter behaviour, and a list that is none says nothing.
func TestMetadataOfWrongTypes(t *testing.T) {
	for raw, want := range map[string]bool{`true`: true, `false`: false, `null`: false, `"false"`: true, `1`: true, `{}`: true} {
		var as grant.AuthorizationServer
		if err := json.Unmarshal([]byte(`{"authorization_response_iss_parameter_supported": `+raw+` }`), &as); err != nil || as.AuthorizationResponseIssParameterSupported != want {
			t.Errorf("R113 %s: %t, %v", raw, as.AuthorizationResponseIssParameterSupported, err)
		}
	}
	for _, raw := range []string{`null`, `"ES256"`, `{}`, `[5]`, `[null]`} {
		var as grant.AuthorizationServer
		if err := json.Unmarshal([]byte(`{"id_token_signing_alg_values_supported":`+raw+`}`), &as); err != nil || as.IDTokenSigningAlgValuesSupported != nil {
			t.Errorf("R150 %s: %v, %v", raw, as.IDTokenSigningAlgValuesSupported, err)
		}
	}
}
