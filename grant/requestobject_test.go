package grant_test

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// R060 to R067: what is signed.
func TestIssueRequestObject(t *testing.T) {
	type m = members
	tests := []struct {
		name   string
		params url.Values
		want   members // beside the claims that are always there
	}{
		{"PAR-09 no parameters", nil, m{}},
		{"R062 a parameter", url.Values{"scope": {"a b"}, "empty": {""}, "none": {}}, m{"scope": "a b", "empty": ""}},
		{"R062 the last value wins", url.Values{"prompt": {"login", "consent"}}, m{"prompt": "consent"}},
		{"R061 and R062 ours win", url.Values{"client_id": {"x"}, "iss": {"x"}, "aud": {"x"}, "jti": {"x"}, "exp": {"x"}, "iat": {"x"}, "nbf": {"x"}}, m{}},
		{"R062 no sub", url.Values{"sub": {"x"}}, m{}},
		{"R063 one resource", url.Values{"resource": {"https://a.example"}}, m{"resource": "https://a.example"}},
		{"R063 two resources", url.Values{"resource": {"https://a.example", "https://b.example"}}, m{"resource": []any{"https://a.example", "https://b.example"}}},
		{"R064 max_age", url.Values{"max_age": {"1", "60"}}, m{"max_age": json.Number("60")}},
		{"R064 max_age 0", url.Values{"max_age": {"0"}}, m{"max_age": json.Number("0")}},
		{"R065 claims", url.Values{"claims": {` {"id_token": {"acr":null}} `}}, m{"claims": map[string]any{"id_token": map[string]any{"acr": nil}}}},
		{"R066 authorization_details", url.Values{"authorization_details": {`[{"type":"<&>"}]`}}, m{"authorization_details": []any{map[string]any{"type": "<&>"}}}},
		{"RFC 9101, section 4: no request object within", url.Values{"request": {"x"}, "request_uri": {"urn:x"}}, m{}},
		{"H06 no credentials", url.Values{"client_secret": {"x"}, "client_assertion": {"x"}, "client_assertion_type": {"x"}}, m{}},
	}
	for _, test := range tests {
		t.Run(test.name, inBubble(func(t *testing.T) {
			client := newClient(nil)
			client.ClockSkew = 5 * time.Second
			object, err := grant.IssueRequestObject(newServer(), client, test.params, keyES, &grant.RequestObjectOptions{KeyID: "k"})
			if err != nil {
				t.Fatal(err)
			}
			header, claims := openJWS(t, object, keyES.Public())
			if want := (members{"alg": "ES256", "typ": "oauth-authz-req+jwt", "kid": "k"}); !reflect.DeepEqual(header, want) {
				t.Errorf("R067: header %v, want %v", header, want)
			}
			now := time.Now().Unix() + 5
			want := members{"iss": clientID, "client_id": clientID, "aud": issuer, "jti": claims["jti"],
				"iat": number(now), "nbf": number(now), "exp": number(now + 60)}
			maps.Copy(want, test.want)
			if !reflect.DeepEqual(claims, want) {
				t.Errorf("claims %v, want %v", claims, want)
			}
			if jti, _ := claims["jti"].(string); !value43.MatchString(jti) {
				t.Errorf("jti %q", jti)
			}
		}))
	}
}

func number(n int64) json.Number { return json.Number(fmt.Sprint(n)) }

func TestIssueRequestObjectRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		params url.Values
		key    crypto.Signer
		setup  func(as *grant.AuthorizationServer, c *grant.Client)
	}{
		"R060 no key":             {nil, nil, nil},
		"R060 no issuer":          {nil, keyES, func(as *grant.AuthorizationServer, _ *grant.Client) { as.Issuer = "" }},
		"R060 no client_id":       {nil, keyES, func(_ *grant.AuthorizationServer, c *grant.Client) { c.ClientID = "" }},
		"R087 not what is pinned": {nil, keyES, func(_ *grant.AuthorizationServer, c *grant.Client) { c.RequestObjectSigningAlg = "PS256" }},
		"R087 not what the server lists": {nil, keyES, func(as *grant.AuthorizationServer, _ *grant.Client) {
			as.RequestObjectSigningAlgValuesSupported = []string{"none"}
		}},
		"R064 max_age is no number":        {url.Values{"max_age": {"10abc"}}, keyES, nil},
		"R064 max_age is negative":         {url.Values{"max_age": {"-1"}}, keyES, nil},
		"R064 max_age is empty":            {url.Values{"max_age": {""}}, keyES, nil},
		"R065 claims is no JSON":           {url.Values{"claims": {"{"}}, keyES, nil},
		"R065 claims is an array":          {url.Values{"claims": {"[]"}}, keyES, nil},
		"R066 details are no JSON":         {url.Values{"authorization_details": {"x"}}, keyES, nil},
		"R066 details are an object":       {url.Values{"authorization_details": {"{}"}}, keyES, nil},
		"R066 the last details are a text": {url.Values{"authorization_details": {"[]", `"[]"`}}, keyES, nil},
	} {
		as, client := newServer(), newClient(nil)
		if test.setup != nil {
			test.setup(as, client)
		}
		_, err := grant.IssueRequestObject(as, client, test.params, test.key, nil)
		if !errors.Is(err, grant.ErrArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every request object is a new one, and lives as long as it has to.
func TestRequestObjectsAreFresh(t *testing.T) {
	first, err := grant.IssueRequestObject(newServer(), newClient(nil), nil, keyRS, &grant.RequestObjectOptions{Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	second, err := grant.IssueRequestObject(newServer(), newClient(nil), nil, keyRS, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, a := openJWS(t, first, keyRS.Public())
	_, b := openJWS(t, second, keyRS.Public())
	if a["jti"] == b["jti"] {
		t.Error("two request objects have one jti")
	}
	life := func(claims members) int64 {
		exp, _ := claims["exp"].(json.Number).Int64()
		iat, _ := claims["iat"].(json.Number).Int64()
		return exp - iat
	}
	if life(a) != 3600 || life(b) != 60 {
		t.Errorf("they live for %d s and %d s", life(a), life(b))
	}
}

// A signed request leaves nothing but the object in the authorization URL, or but
// the reference to it, and is otherwise the request that it would have been.
func TestAuthorizeSigns(t *testing.T) {
	for name, test := range map[string]struct {
		setup func(c *grant.Client)
		push  bool
		life  int64 // seconds
	}{
		"the client demands it": {func(c *grant.Client) { c.RequireSignedRequestObject = true }, false, 600},
		"the server demands it": {func(c *grant.Client) { c.Server.RequireSignedRequestObject = true }, false, 600},
		"pushed": {func(c *grant.Client) {
			c.RequireSignedRequestObject, c.RequirePushedAuthorizationRequests = true, true
		}, true, 60},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			p, client := newOIDC()
			client.Key, client.KeyID, client.TokenEndpointAuthMethod = keyRS, "k", "none"
			client.RequestObjectSigningAlg, client.Server.AuthorizationEndpoint = "PS256", client.Server.AuthorizationEndpoint+"?tenant=a&scope=b"
			client.MaxAge, client.ResponseMode, client.Resources = new(60), "query", []string{"https://a.example", "https://b.example"}
			client.AuthorizationParameters = url.Values{"foo": {"1"}, "claims": {"{}"}}
			test.setup(client)
			flow, err := client.Authorize(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			q := query(t, flow)
			want, sent := []string{"client_id", "request", "tenant"}, q
			if test.push {
				want, sent = []string{"client_id", "request_uri", "tenant"}, p.one(t, "/par").form
				if got := slices.Sorted(maps.Keys(sent)); !slices.Equal(got, []string{"client_id", "request"}) {
					t.Errorf("%q were pushed", got) // RFC 9126, section 3
				}
			}
			if got := slices.Sorted(maps.Keys(q)); !slices.Equal(got, want) {
				t.Errorf("URL with %q, want %q", got, want) // RFC 9101, section 5
			}
			if until := time.Until(flow.URLExpiry).Seconds(); until != float64(test.life) {
				t.Errorf("the URL is good for %v s, want %d", until, test.life)
			}
			header, claims := openJWS(t, sent.Get("request"), keyRS.Public())
			if header["alg"] != "PS256" || header["kid"] != "k" {
				t.Errorf("header %v", header)
			}
			now := time.Now().Unix()
			if want := (members{"iss": clientID, "client_id": clientID, "aud": issuer, "jti": claims["jti"], "iat": number(now), "nbf": number(now), "exp": number(now + test.life),
				"response_type": "code", "redirect_uri": redirect, "scope": "openid profile", "state": claims["state"], "nonce": claims["nonce"],
				"code_challenge": claims["code_challenge"], "code_challenge_method": "S256", "max_age": json.Number("60"), "response_mode": "query",
				"resource": []any{"https://a.example", "https://b.example"}, "foo": "1", "claims": map[string]any{}}); !reflect.DeepEqual(claims, want) {
				t.Errorf("claims %v, want %v", claims, want)
			}
			state, _ := claims["state"].(string)
			p.token = always(200, tokenBody(mint("ES256", idClaims(members{"nonce": claims["nonce"], "auth_time": now}))))
			if _, err := flow.Exchange(t.Context(), url.Values{"code": {"c"}, "state": {state}}); err != nil {
				t.Fatal(err)
			}
		}))
	}
}

// When a request cannot be signed, or not so that the server takes it, there is no
// other way, and nothing is sent.
func TestAuthorizeDoesNotLeaveUnsigned(t *testing.T) {
	for name, setup := range map[string]func(c *grant.Client){
		"no key": func(c *grant.Client) { c.Key = nil },
		"no key, by demand": func(c *grant.Client) {
			c.Key, c.RequireSignedRequestObject, c.Server.RequireSignedRequestObject = nil, false, true
		},
		"another algorithm":  func(c *grant.Client) { c.Server.RequestObjectSigningAlgValuesSupported = []string{"RS256", "none"} },
		"no such claims":     func(c *grant.Client) { c.AuthorizationParameters = url.Values{"claims": {"x"}} },
		"before it is known": func(c *grant.Client) { c.Key, c.RequirePushedAuthorizationRequests = nil, true },
	} {
		p, client := newOIDC()
		client.Key, client.RequireSignedRequestObject, client.TokenEndpointAuthMethod = keyES, true, "none"
		setup(client)
		flow, err := client.Authorize(t.Context(), redirect)
		if !errors.Is(err, grant.ErrArgument) || flow != nil || len(p.seen) > 0 {
			t.Errorf("%s: %v, after %d requests", name, err, len(p.seen))
		}
	}
}

// A request object is good for one request: the one with the nonce of the server
// has another.
func TestPushAgainWithAFreshRequestObject(t *testing.T) {
	p, client := pushing()
	client.Key, client.RequireSignedRequestObject, client.TokenEndpointAuthMethod, client.DPoPBoundAccessTokens = keyES, true, "none", true
	p.others["/par"] = wantsNonce(t, "n-1", always(201, `{"request_uri":"urn:x","expires_in":60}`))
	if _, err := client.Authorize(t.Context(), redirect); err != nil {
		t.Fatal(err)
	}
	seen := p.requests("/par")
	if len(seen) != 2 {
		t.Fatalf("%d requests", len(seen))
	}
	_, first := openJWS(t, seen[0].form.Get("request"), &keyES.PublicKey)
	_, second := openJWS(t, seen[1].form.Get("request"), &keyES.PublicKey)
	if first["jti"] == second["jti"] {
		t.Error("two requests have one jti")
	}
	for _, name := range []string{"jti", "iat", "nbf", "exp"} {
		delete(first, name)
		delete(second, name)
	}
	if !reflect.DeepEqual(first, second) {
		t.Errorf("%v was repeated as %v", first, second)
	}
}

// A server that repeats a request object that was pushed.
func TestSignedPushFailuresHideSecrets(t *testing.T) {
	p, client := pushing()
	client.Key, client.RequireSignedRequestObject, client.TokenEndpointAuthMethod = keyES, true, "none"
	var object string
	p.others["/par"] = func(*http.Request) (*http.Response, error) {
		object = p.one(t, "/par").form.Get("request")
		return response(400, members{"error": "invalid_request_object", "error_description": "bad: " + object}.json()), nil
	}
	_, err := client.Authorize(t.Context(), redirect)
	wantOutcome(t, err, "refused invalid_request_object")
	wantHidden(t, "push", err, object, strings.Split(object, ".")[1])
}
