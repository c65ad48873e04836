package issuer_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// RFC 9728, sections 3.1 and 5.1, and RFC 8707, section 2.
func TestProtectedResource(t *testing.T) {
	for _, path := range []string{"", "/", "/tenant"} {
		iss := start(t, &issuer.Options{Path: path, Resource: func(doc map[string]any) { doc["resource_name"] = "An API" }})
		origin, base := strings.TrimSuffix(iss.URL(), path), strings.TrimSuffix(path, "/")
		if iss.ResourceURL() != origin+base+"/api" {
			t.Errorf("resource %q of %q", iss.ResourceURL(), iss.URL())
		}
		place := origin + "/.well-known/oauth-protected-resource" + base + "/api"
		doc := get(t, place)
		servers, _ := doc.body["authorization_servers"].([]any)
		if doc.status != http.StatusOK || doc.string("resource") != iss.ResourceURL() || len(servers) != 1 || servers[0] != iss.URL() || doc.string("resource_name") != "An API" {
			t.Errorf("%s: %d %v", place, doc.status, doc.body)
		}
		without := get(t, iss.ResourceURL())
		if got := without.header.Get("WWW-Authenticate"); without.status != http.StatusUnauthorized || got != `Bearer realm="api", resource_metadata="`+place+`"` {
			t.Errorf("%d %q", without.status, got)
		}
		good := signedInAt(t, iss, "resource", iss.ResourceURL())
		if r := get(t, iss.ResourceURL(), "Authorization", "Bearer "+good.string("access_token")); r.status != http.StatusOK || r.string("sub") == "" {
			t.Errorf("%d %v", r.status, r.body)
		}
		for _, other := range []*reply{signedInAt(t, iss), signedInAt(t, iss, "resource", iss.ResourceURL()+"/")} {
			r := get(t, iss.ResourceURL(), "Authorization", "Bearer "+other.string("access_token"))
			if r.status != http.StatusUnauthorized || !strings.Contains(r.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
				t.Errorf("a token for something else: %d %q", r.status, r.header.Get("WWW-Authenticate"))
			}
		}
	}
}

// signedInAt is signedIn for an issuer with any path.
func signedInAt(t *testing.T, iss *issuer.Issuer, changes ...string) *reply {
	t.Helper()
	base := strings.TrimSuffix(iss.URL(), "/")
	uri := receiver(t)
	page, err := new(issuer.Visitor).Visit(t.Context(), base+"/oauth2/authorize?"+request(uri, changes...).Encode())
	if err != nil {
		t.Fatal(err)
	}
	return post(t, base+"/token", codeGrant(uri, queryOf(t, page.URL)))
}

// A client that is registered for it gets signed claims (OpenID Connect Core, section 5.3.2).
func TestSignedUserinfo(t *testing.T) {
	iss := start(t, &issuer.Options{
		Clients:  []issuer.Client{{ID: "demo", UserinfoAlg: "EdDSA"}},
		Userinfo: func(claims map[string]any) { claims["extra"] = "x" },
	})
	token := signedIn(t, iss).string("access_token")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, iss.URL()+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	contentType, body := fetch(t, req)
	if claims, header := part(t, body, 1), part(t, body, 0); contentType != "application/jwt" || claims["iss"] != iss.URL() || claims["aud"] != "demo" ||
		claims["extra"] != "x" || claims["sub"] == nil || header["alg"] != "EdDSA" {
		t.Errorf("%s %v %v", contentType, header, claims)
	}
	if _, err := issuer.Start(&issuer.Options{Clients: []issuer.Client{{ID: "demo", UserinfoAlg: "none"}}}); err == nil {
		t.Error("an unknown algorithm is taken")
	}
}

func fetch(t *testing.T, req *http.Request) (contentType, body string) {
	t.Helper()
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header.Get("Content-Type"), string(data)
}

func queryOf(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}
