package issuer_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

func TestDiscovery(t *testing.T) {
	const oidc, oauth2 = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	for _, test := range []struct {
		name, path, kind string
		served           []string
		notServed        []string
	}{
		{"root", "", "", []string{oidc, oauth2}, nil},
		{"slash", "/", "oidc", []string{oidc, oauth2}, nil},
		{"path", "/tenant", "oidc", []string{"/tenant" + oidc, oauth2 + "/tenant"}, []string{oidc, oidc + "/tenant", oauth2}},
		{"path and slash", "/a/b.c/", "", []string{"/a/b.c" + oidc, oauth2 + "/a/b.c"}, []string{"/a/b.c/" + oidc}},
		{"OAuth alone", "/tenant", "oauth2", []string{oauth2 + "/tenant"}, []string{"/tenant" + oidc, oidc + "/tenant"}},
		{"mixed", "/tenant", "mixed", []string{oidc + "/tenant"}, []string{"/tenant" + oidc, oauth2 + "/tenant"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			iss := start(t, &issuer.Options{Path: test.path, Discovery: test.kind})
			origin := strings.TrimSuffix(iss.URL(), test.path)
			for n, path := range test.served {
				doc := get(t, origin+path)
				if doc.status != http.StatusOK || doc.string("issuer") != iss.URL() {
					t.Errorf("%s: %d, issuer %q", path, doc.status, doc.string("issuer"))
				}
				if got := iss.Requests("discovery"); got != n+1 {
					t.Errorf("%d discovery requests counted, want %d", got, n+1)
				}
			}
			for _, path := range test.notServed {
				if r := get(t, origin+path); r.status == http.StatusOK {
					t.Errorf("%s is served", path)
				}
			}
		})
	}
}

// The names and values are those of RFC 8414, section 2, written out a second time.
func TestMetadata(t *testing.T) {
	iss := start(t, nil)
	doc := get(t, iss.URL()+"/.well-known/openid-configuration")
	if got := doc.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	for _, name := range []string{
		"authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "revocation_endpoint", "end_session_endpoint",
	} {
		if url := doc.string(name); !strings.HasPrefix(url, iss.URL()+"/") {
			t.Errorf("%s: %q", name, url)
		} else if r := get(t, url); r.status == http.StatusNotFound {
			t.Errorf("%s: nothing is there", name)
		}
	}
	for name, want := range map[string][]string{
		"response_types_supported":              {"code"},
		"subject_types_supported":               {"public"},
		"code_challenge_methods_supported":      {"S256"},
		"scopes_supported":                      {"openid", "profile", "email", "offline_access"},
		"grant_types_supported":                 {"authorization_code", "refresh_token"},
		"id_token_signing_alg_values_supported": {"RS256", "ES256"},
		"token_endpoint_auth_methods_supported": {"none", "client_secret_basic", "client_secret_post"},
	} {
		list, _ := doc.body[name].([]any)
		for _, value := range want {
			if !slices.Contains(list, any(value)) {
				t.Errorf("%s: %v has no %s", name, list, value)
			}
		}
	}
	if doc.body["authorization_response_iss_parameter_supported"] != true {
		t.Error("iss in authorization responses is not announced")
	}
	for _, name := range []string{"request_parameter_supported", "request_uri_parameter_supported"} {
		if doc.body[name] != false {
			t.Errorf("%s: %v", name, doc.body[name])
		}
	}
}

func TestStartRefuses(t *testing.T) {
	for name, opts := range map[string]issuer.Options{
		"relative path":       {Path: "tenant"},
		"empty segment":       {Path: "/a//b"},
		"dot segment":         {Path: "/a/../b"},
		"pattern":             {Path: "/{id}"},
		"escape":              {Path: "/%2e"},
		"kind of discovery":   {Discovery: "webfinger"},
		"algorithm":           {Alg: "HS256"},
		"client's algorithm":  {Clients: []issuer.Client{{ID: "a", Alg: "none"}}},
		"client without ID":   {Clients: []issuer.Client{{}}},
		"two of one ID":       {Clients: []issuer.Client{{ID: "a"}, {ID: "a"}}},
		"method":              {Clients: []issuer.Client{{ID: "a", Secret: "s", AuthMethod: "tls_client_auth"}}},
		"secret without use":  {Clients: []issuer.Client{{ID: "a", Secret: "s", AuthMethod: issuer.AuthNone}}},
		"secret for a key":    {Clients: []issuer.Client{{ID: "a", Secret: "s", AuthMethod: issuer.AuthPrivateKeyJWT}}},
		"method, no key":      {Clients: []issuer.Client{{ID: "a", AuthMethod: issuer.AuthPrivateKeyJWT}}},
		"key without use":     {Clients: []issuer.Client{{ID: "a", Key: "x", Secret: "s", AuthMethod: issuer.AuthPost}}},
		"method, no secret":   {Clients: []issuer.Client{{ID: "a", AuthMethod: issuer.AuthPost}}},
		"relative redirect":   {Clients: []issuer.Client{{ID: "a", RedirectURIs: []string{"/callback"}}}},
		"fragment":            {Clients: []issuer.Client{{ID: "a", RedirectURIs: []string{"https://a.example/#"}}}},
		"negative delay":      {Delay: -1},
		"negative token life": {AccessTokenTTL: -1},
	} {
		if iss, err := issuer.Start(&opts); err == nil {
			t.Errorf("%s: accepted", name)
			_ = iss.Close()
		}
	}
}
