package issuer_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// push pushes a request, and returns the answer.
func push(t *testing.T, iss *issuer.Issuer, params url.Values, header ...string) *reply {
	t.Helper()
	return post(t, iss.URL()+"/push", params, header...)
}

// referTo is the short request for one that was pushed.
func referTo(r *reply) url.Values {
	return url.Values{"client_id": {"demo"}, "request_uri": {r.string("request_uri")}}
}

func TestPushedRequest(t *testing.T) {
	iss := start(t, &issuer.Options{RequirePAR: true})
	doc := get(t, iss.URL()+"/.well-known/openid-configuration")
	if doc.body["require_pushed_authorization_requests"] != true || doc.string("pushed_authorization_request_endpoint") != iss.URL()+"/push" {
		t.Errorf("the metadata is %v", doc.body)
	}
	uri := receiver(t)
	pushed := push(t, iss, request(uri))
	if pushed.status != http.StatusCreated || pushed.body["expires_in"] != 60. || !strings.HasPrefix(pushed.string("request_uri"), "urn:ietf:params:oauth:request_uri:") {
		t.Fatalf("%d %v", pushed.status, pushed.body)
	}
	got := answer(t, iss, new(issuer.Visitor), referTo(pushed))
	if got.Get("state") != "the state" {
		t.Errorf("the answer is %v", got)
	}
	if r := post(t, iss.URL()+"/token", codeGrant(uri, got)); r.status != http.StatusOK {
		t.Errorf("token endpoint: %d %v", r.status, r.body)
	}
	if last := iss.LastAuthorization(); last.Get("scope") != "openid profile email offline_access" {
		t.Errorf("the last request was %v", last)
	}
	if iss.Requests("push") != 1 {
		t.Errorf("%d requests were counted", iss.Requests("push"))
	}
}

// A reference is good once, for its client and for a minute; a request that was not pushed is refused on a page.
func TestPushedRequestIsRefused(t *testing.T) {
	clock := newClock()
	iss := start(t, &issuer.Options{RequirePAR: true, Now: clock.now, Clients: []issuer.Client{{ID: "demo"}, {ID: "other"}}})
	authorize := iss.URL() + "/oauth2/authorize?"
	used, late := push(t, iss, request(callback)), push(t, iss, request(callback))
	location(t, get(t, authorize+referTo(used).Encode()), "/oauth2/sign-in")
	clock.advance(time.Minute)
	for name, params := range map[string]url.Values{
		"not pushed":     request(callback),
		"used":           referTo(used),
		"late":           referTo(late),
		"unknown":        {"client_id": {"demo"}, "request_uri": {"urn:ietf:params:oauth:request_uri:x"}},
		"another client": change(referTo(push(t, iss, request(callback))), "client_id", "other"),
		"two references": {"client_id": {"demo"}, "request_uri": {"a", "b"}},
	} {
		if r := get(t, authorize+params.Encode()); r.status != http.StatusBadRequest || r.header.Get("Location") != "" {
			t.Errorf("%s: %d to %q", name, r.status, r.header.Get("Location"))
		}
	}
	refused(t, push(t, iss, request(callback, "code_challenge", "-")), http.StatusBadRequest, "invalid_request")
	refused(t, push(t, iss, request("https://evil.example/")), http.StatusBadRequest, "invalid_request")
	refused(t, push(t, iss, request(callback, "client_id", "nobody")), http.StatusBadRequest, "invalid_client")
	refused(t, push(t, iss, request(callback, "request_uri", "urn:x")), http.StatusBadRequest, "request_uri_not_supported")
	if r := post(t, start(t, nil).URL()+"/push", request(callback)); r.status != http.StatusNotFound {
		t.Errorf("an issuer that was not asked to has the endpoint: %d", r.status)
	}
}

// The key of a proof is that of the code (RFC 9449, section 10.1).
func TestPushedRequestWithProof(t *testing.T) {
	iss := start(t, &issuer.Options{RequirePAR: true})
	uri, key := receiver(t), keys(t)["ES256"]
	proved := func(key string) string { return proof(t, keys(t)[key], key, "POST", iss.URL()+"/push", nil) }
	refused(t, push(t, iss, request(uri, "dpop_jkt", "other"), "DPoP", proved("ES256")), http.StatusBadRequest, "invalid_dpop_proof")
	pushed := push(t, iss, request(uri), "DPoP", proof(t, key, "ES256", "POST", iss.URL()+"/push", nil))
	form := codeGrant(uri, answer(t, iss, new(issuer.Visitor), referTo(pushed)))
	refused(t, post(t, iss.URL()+"/token", form), http.StatusBadRequest, "invalid_grant")
}

// A client that authenticates does so here too, and its secret is not remembered.
func TestPushedRequestOfConfidentialClient(t *testing.T) {
	iss := start(t, &issuer.Options{RequirePAR: true, Clients: []issuer.Client{{ID: "demo", Secret: "sesame", AuthMethod: issuer.AuthPost}}})
	refused(t, push(t, iss, request(callback)), http.StatusBadRequest, "invalid_client")
	pushed := push(t, iss, request(callback, "client_secret", "sesame"))
	location(t, get(t, iss.URL()+"/oauth2/authorize?"+referTo(pushed).Encode()), "/oauth2/sign-in")
	if iss.LastAuthorization().Has("client_secret") {
		t.Error("the secret is among the parameters")
	}
}

// An issuer knows the scopes and the ways to sign in that it was given, and keeps refresh tokens if it is to.
func TestOwnScopesAndACR(t *testing.T) {
	iss := start(t, &issuer.Options{Scopes: []string{"orders"}, ACRValues: []string{"mfa", "phr"}, KeepRefreshTokens: true})
	doc := get(t, iss.URL()+"/.well-known/openid-configuration")
	scopes, _ := doc.body["scopes_supported"].([]any)
	if values, _ := doc.body["acr_values_supported"].([]any); !slices.Contains(scopes, any("orders")) || len(values) != 2 {
		t.Errorf("the metadata is %v", doc.body)
	}
	r := signedIn(t, iss, "scope", "openid offline_access orders unknown", "acr_values", "unknown phr mfa")
	if r.string("scope") != "openid offline_access orders" || part(t, r.string("id_token"), 1)["acr"] != "phr" {
		t.Errorf("granted are %q, with %v", r.string("scope"), part(t, r.string("id_token"), 1))
	}
	for range 2 {
		again := post(t, iss.URL()+"/token", refreshGrant(r.string("refresh_token")))
		if again.status != http.StatusOK || again.body["refresh_token"] != nil {
			t.Errorf("refresh: %d %v", again.status, again.body)
		}
	}
	iss.EndGrants()
	refused(t, post(t, iss.URL()+"/token", refreshGrant(r.string("refresh_token"))), http.StatusBadRequest, "invalid_grant")
	if r := get(t, iss.URL()+"/userinfo", "Authorization", "Bearer "+r.string("access_token")); r.status != http.StatusUnauthorized {
		t.Errorf("an access token of a grant that has ended: %d", r.status)
	}
	if r := signedIn(t, iss, "acr_values", "unknown"); part(t, r.string("id_token"), 1)["acr"] != nil {
		t.Error("a way to sign in that is unknown was used")
	}
}

// Who is signed in, but not in the way that is asked for, signs in again.
func TestACRNeedsAnotherSignIn(t *testing.T) {
	iss := start(t, &issuer.Options{ACRValues: []string{"mfa"}})
	v, uri := new(issuer.Visitor), receiver(t)
	for _, test := range []struct {
		changes []string
		signIns int
	}{{nil, 1}, {nil, 1}, {[]string{"acr_values", "mfa"}, 2}, {[]string{"acr_values", "mfa"}, 2}, {nil, 2}} {
		answer(t, iss, v, request(uri, test.changes...))
		if got := iss.Requests("signin"); got != 2*test.signIns { // the page, and the form
			t.Errorf("%v: %d requests to sign in, want %d", test.changes, got, 2*test.signIns)
		}
	}
}
