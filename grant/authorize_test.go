package grant_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// R050 to R053.
func TestAuthorize(t *testing.T) {
	if s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") != "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" {
		t.Fatal("R051: this test's own S256 is wrong") // RFC 7636, appendix B
	}
	p, client := newOIDC()
	client.Server.AuthorizationEndpoint = issuer + "/authorize?tenant=a&foo=0&client_id=x&client_id=y&response_type=token#fragment"
	client.Prompt, client.LoginHint, client.ACRValues, client.Audience = "login consent", "me@example.com", "1 2", "https://api.example"
	client.Resources = []string{"https://a.example", "https://b.example"}
	client.MaxAge = new(0)
	client.AuthorizationParameters = url.Values{"foo": {"1", "2"}, "ui_locales": {"de"}, "state": {"fixed"}, "code_challenge_method": {"plain"},
		"redirect_uri": {"https://evil.example"}, "nonce": {"fixed"}, "max_age": {"1"}}
	flow, err := client.Authorize(t.Context(), redirect+"?x=1")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(flow.URL, issuer+"/authorize?") || strings.Contains(flow.URL, "#") || flow.RedirectURI != redirect+"?x=1" {
		t.Errorf("URL %s, redirect URI %s", flow.URL, flow.RedirectURI)
	}
	got := query(t, flow)
	state, nonce, challenge := got.Get("state"), got.Get("nonce"), got.Get("code_challenge")
	want := url.Values{
		"tenant": {"a"}, "client_id": {clientID}, "response_type": {"code"}, "redirect_uri": {redirect + "?x=1"}, "scope": {"openid profile"},
		"state": {state}, "nonce": {nonce}, "code_challenge": {challenge}, "code_challenge_method": {"S256"}, "prompt": {"login consent"},
		"login_hint": {"me@example.com"}, "acr_values": {"1 2"}, "audience": {"https://api.example"}, "max_age": {"0"},
		"resource": {"https://a.example", "https://b.example"}, "foo": {"1", "2"}, "ui_locales": {"de"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("parameters %v, want %v", got, want)
	}
	signedIn(t, p, flow, members{"auth_time": time.Now().Unix()})
	if _, err := flow.Exchange(t.Context(), redirectOf(t, flow)); err != nil {
		t.Fatal(err)
	}
	form := p.one(t, "/token").form
	verifier := form.Get("code_verifier")
	for name, value := range map[string]string{"state": state, "nonce": nonce, "code_verifier": verifier} {
		if !value43.MatchString(value) {
			t.Errorf("%s %q", name, value)
		}
	}
	if s256(verifier) != challenge || state == nonce || state == verifier {
		t.Errorf("verifier %q, challenge %q, state %q, nonce %q", verifier, challenge, state, nonce)
	}
	if form.Get("redirect_uri") != redirect+"?x=1" || !reflect.DeepEqual(form["resource"], client.Resources) || form.Has("state") {
		t.Errorf("form %v", form)
	}
}

func TestAuthorizeIsFresh(t *testing.T) {
	_, client := newOIDC()
	seen := map[string]bool{}
	for range 10 {
		flow, err := client.Authorize(t.Context(), redirect)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			if value := query(t, flow).Get(name); seen[value] {
				t.Errorf("%s %q came twice", name, value)
			} else {
				seen[value] = true
			}
		}
	}
}

// The scope openid brings a nonce and the demand for an ID token, however it
// was written.
func TestAuthorizeOpenID(t *testing.T) {
	tests := []struct {
		name       string
		scopes     []string
		parameters url.Values
		want       bool
	}{
		{"none", nil, nil, false},
		{"another", []string{"api", "openid2"}, nil, false},
		{"openid", []string{"api", "openid"}, nil, true},
		{"in one string", []string{"openid profile"}, nil, true},
		{"as an additional parameter", nil, url.Values{"scope": {"openid profile"}}, true},
		{"as an additional parameter that is overridden", []string{"api"}, url.Values{"scope": {"openid"}}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(tokenBody(""))
			client := newClient(p)
			client.Server, client.Scopes, client.AuthorizationParameters = newServer(), test.scopes, test.parameters
			flow, err := client.Authorize(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			if got := query(t, flow).Has("nonce"); got != test.want {
				t.Errorf("nonce: %t", got)
			}
			_, err = flow.Exchange(t.Context(), redirectOf(t, flow))
			if demanded := outcome(err) == badToken+"id_token"; demanded != test.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAuthorizeRefuses(t *testing.T) {
	const noS256 = "OAUTH_UNSUPPORTED_OPERATION metadata.code_challenge_methods_supported"
	tests := []struct {
		name  string
		setup func(client *grant.Client)
		uri   string
		want  string
	}{
		{"nothing", func(*grant.Client) {}, redirect, "ok"},
		{"methods with S256", func(c *grant.Client) { c.Server.CodeChallengeMethodsSupported = []string{"plain", "S256"} }, redirect, "ok"},
		{"methods without S256", func(c *grant.Client) { c.Server.CodeChallengeMethodsSupported = []string{"plain"} }, redirect, noS256},
		{"no method at all", func(c *grant.Client) { c.Server.CodeChallengeMethodsSupported = []string{} }, redirect, noS256},
		{"s256", func(c *grant.Client) { c.Server.CodeChallengeMethodsSupported = []string{"s256"} }, redirect, noS256},
		{"no client_id", func(c *grant.Client) { c.ClientID = "" }, redirect, "argument"},
		{"a secret without a method for it", func(c *grant.Client) { c.ClientSecret, c.TokenEndpointAuthMethod = "s", "none" }, redirect, "argument"},
		{"negative max_age", func(c *grant.Client) { c.MaxAge = new(-1) }, redirect, "argument"},
		{"max_age without openid", func(c *grant.Client) { c.MaxAge, c.Scopes = new(1), nil }, redirect, "argument"},
		{"negative DefaultMaxAge", func(c *grant.Client) { c.DefaultMaxAge = new(-1) }, redirect, "argument"},
		{"headers with Authorization", func(c *grant.Client) { c.Header = http.Header{"Authorization": {"x"}} }, redirect, "argument"},
		{"no issuer", func(c *grant.Client) { c.Server.Issuer = "" }, redirect, "argument"},
		{"no authorization_endpoint", func(c *grant.Client) { c.Server.AuthorizationEndpoint = "" }, redirect, noEndpoint},
		{"no token_endpoint", func(c *grant.Client) { c.Server.TokenEndpoint = "" }, redirect, noEndpoint},
		{"authorization_endpoint javascript", func(c *grant.Client) { c.Server.AuthorizationEndpoint = "javascript://h/%0aalert(1)" }, redirect, notHTTPS},
		{"authorization_endpoint file", func(c *grant.Client) { c.Server.AuthorizationEndpoint = "file:///etc/passwd" }, redirect, badEndpoint},
		{"authorization_endpoint http", func(c *grant.Client) { c.Server.AuthorizationEndpoint = "http://op.example.com" }, redirect, notHTTPS},
		{"authorization_endpoint with a broken query", func(c *grant.Client) { c.Server.AuthorizationEndpoint += "?a=%zz" }, redirect, badEndpoint},
		{"R015 authorization_endpoint has no alias", func(c *grant.Client) {
			c.UseMTLSEndpointAliases = true
			c.Server.MTLSEndpointAliases = map[string]string{"authorization_endpoint": "x"}
		}, redirect, "ok"},
		{"no redirect URI", func(*grant.Client) {}, "", "argument"},
		{"relative redirect URI", func(*grant.Client) {}, "/callback", "argument"},
		{"redirect URI with a fragment", func(*grant.Client) {}, redirect + "#x", "argument"},
		{"redirect URI with an empty fragment", func(*grant.Client) {}, redirect + "#", "argument"},
		{"broken redirect URI", func(*grant.Client) {}, "http://[::1", "argument"},
		{"redirect URI of an app", func(*grant.Client) {}, "com.example.app:/callback", "ok"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, client := newOIDC()
			test.setup(client)
			flow, err := client.Authorize(t.Context(), test.uri)
			wantOutcome(t, err, test.want)
			if (flow == nil) != (err != nil) {
				t.Errorf("flow %v beside error %v", flow, err)
			}
		})
	}
	_, err := (*grant.Client)(nil).Authorize(t.Context(), redirect)
	wantOutcome(t, err, "argument")
}

// The porcelain finds the server by itself.
func TestAuthorizeDiscovers(t *testing.T) {
	p := places(map[string]endpoint{oauthPlace: always(200, members{"issuer": issuer,
		"authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token"}.json())})
	p.token = always(200, `{"access_token":"token"}`)
	client := newClient(p)
	client.Issuer, client.Header = issuer, http.Header{"Foo": {"bar"}}
	for range 2 {
		flow, err := client.Authorize(t.Context(), redirect)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := flow.Exchange(t.Context(), redirectOf(t, flow)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(p.requests(oauthPlace)); n != 1 || p.seen[0].header.Get("Foo") != "bar" || p.requests("/token")[0].header.Get("Foo") != "bar" {
		t.Errorf("%d requests for metadata: %v", n, p.seen)
	}
}

func TestOurs(t *testing.T) {
	_, client := newOIDC()
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	state := stateOf(t, flow)
	for name, test := range map[string]struct {
		params url.Values
		want   bool
	}{
		"ours":            {url.Values{"state": {state}}, true},
		"ours, refused":   {url.Values{"state": {state}, "error": {"x"}}, true},
		"none":            {url.Values{"code": {"c"}}, false},
		"nil":             {nil, false},
		"empty":           {url.Values{"state": {""}}, false},
		"no value":        {url.Values{"state": {}}, false},
		"another":         {url.Values{"state": {state[1:] + "x"}}, false},
		"twice":           {url.Values{"state": {state, state}}, false},
		"first and other": {url.Values{"state": {state, "x"}}, false},
		"longer":          {url.Values{"state": {state + "x"}}, false},
		"other case":      {url.Values{"State": {state}}, false},
	} {
		if got := flow.Ours(test.params); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// A Flow that Authorize did not make has no state, and nothing is its own.
func TestZeroFlow(t *testing.T) {
	for _, flow := range []*grant.Flow{nil, {}} {
		flow.Warm(t.Context())
		for _, params := range []url.Values{{"state": {""}}, {"state": {"x"}}, nil} {
			if flow.Ours(params) {
				t.Errorf("%v is ours", params)
			}
			_, err := flow.Exchange(t.Context(), params)
			wantOutcome(t, err, "argument")
		}
	}
}
