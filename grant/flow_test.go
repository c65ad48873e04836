package grant_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// newOIDC returns a client that asks for openid, and a provider whose ID tokens
// have the nonce that answer is told.
func newOIDC() (*provider, *grant.Client) {
	p := newProvider("")
	client := newClient(p)
	client.Server, client.Scopes = newServer(), []string{"openid", "profile"}
	return p, client
}

// query is that of an authorization URL.
func query(t testing.TB, flow *grant.Flow) url.Values {
	t.Helper()
	u, err := url.Parse(flow.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// redirectOf is what the provider sends back when all went well.
func redirectOf(t testing.TB, flow *grant.Flow) url.Values {
	return url.Values{"code": {"authorization_code"}, "state": {query(t, flow).Get("state")}}
}

// signedIn makes the provider answer the flow's token request with an ID token.
func signedIn(t testing.TB, p *provider, flow *grant.Flow, claims members) {
	p.token = always(200, tokenBody(mint("ES256", idClaims(members{"nonce": query(t, flow).Get("nonce")}.with(claims)))))
}

var value43 = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

func s256(verifier string) string { sum := sha256.Sum256([]byte(verifier)); return b64(sum[:]) }

// R050 to R053.
func TestAuthorize(t *testing.T) {
	if s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") != "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" {
		t.Fatal("R051: this test's own S256 is wrong") // RFC 7636, appendix B
	}
	p, client := newOIDC()
	client.Server.AuthorizationEndpoint = issuer + "/authorize?tenant=a&client_id=x&client_id=y&response_type=token#fragment"
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

func TestExchange(t *testing.T) {
	p, client := newOIDC()
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	signedIn(t, p, flow, nil)
	token, err := flow.Exchange(t.Context(), redirectOf(t, flow))
	if err != nil {
		t.Fatal(err)
	}
	if token.AccessToken != "token" || token.IDToken.Subject != subject || !reflect.DeepEqual(token.Scopes, []string{"openid", "profile"}) {
		t.Errorf("got %#v", *token)
	}
	token.Scopes[0] = "changed"
	if client.Scopes[0] != "openid" {
		t.Error("the token shares the scopes of the client")
	}
}

// What ends a flow, and that only our redirect does.
func TestExchangeOutcomes(t *testing.T) {
	code := func(state string) url.Values { return url.Values{"code": {"c"}, "state": {state}} }
	with := func(params url.Values, name, value string) url.Values { params.Set(name, value); return params }
	tests := []struct {
		name   string
		setup  func(client *grant.Client)
		params func(state string) url.Values
		claims members
		body   members // instead of an ID token with the claims
		want   string
		sent   int
	}{
		{name: "good", params: code, want: "ok", sent: 1},
		{name: "no state", params: func(string) url.Values { return url.Values{"code": {"c"}} }, want: "not ours"},
		{name: "error without state", params: func(string) url.Values { return url.Values{"error": {"access_denied"}} }, want: "not ours"},
		{name: "error", params: func(s string) url.Values { return url.Values{"error": {"access_denied"}, "state": {s}} }, want: "refused access_denied"},
		{name: "wrong iss", params: func(s string) url.Values { return with(code(s), "iss", "https://evil.example") }, want: wrongIss},
		{name: "iss missing", setup: func(c *grant.Client) { c.Server.AuthorizationResponseIssParameterSupported = true }, params: code, want: wrongIss},
		{name: "no code", params: func(s string) url.Values { return url.Values{"state": {s}} }, want: missingCode},
		{name: "response", params: func(s string) url.Values { return with(code(s), "response", "x") }, want: jarm},
		{name: "wrong nonce", params: code, claims: members{"nonce": "other"}, want: compared + "nonce", sent: 1},
		{name: "no nonce", params: code, claims: members{"nonce": nil}, want: badClaim + "nonce", sent: 1},
		{name: "expired", params: code, claims: members{"exp": 1}, want: timestamp + "exp", sent: 1},
		{name: "max_age", setup: func(c *grant.Client) { c.MaxAge = new(60) }, params: code, claims: members{"auth_time": 1}, want: timestamp + "auth_time", sent: 1},
		{name: "no ID token", params: code, body: members{"access_token": "t", "token_type": "bearer"}, want: badToken + "id_token", sent: 1},
		{name: "no ID token, without openid", setup: func(c *grant.Client) { c.Scopes = nil }, params: code, body: members{"access_token": "t"}, want: "ok", sent: 1},
		{name: "an ID token with a nonce, without openid", setup: func(c *grant.Client) { c.Scopes = nil }, params: code, claims: members{"nonce": "x"}, want: compared + "nonce", sent: 1},
		{name: "invalid_grant", params: code, body: members{"error": "invalid_grant"}, want: "refused invalid_grant", sent: 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, client := newOIDC()
			if test.setup != nil {
				test.setup(client)
			}
			flow, err := client.Authorize(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			signedIn(t, p, flow, test.claims)
			if test.body != nil {
				p.token = always(map[bool]int{true: 400, false: 200}[test.body["error"] != nil], test.body.json())
			}
			params := test.params(stateOf(t, flow))
			_, err = flow.Exchange(t.Context(), params)
			wantOutcome(t, err, test.want)
			if sent := len(p.requests("/token")); sent != test.sent {
				t.Errorf("%d token requests, want %d", sent, test.sent)
			}
			// What was ours has settled the flow, and nothing else has.
			_, err = flow.Exchange(t.Context(), redirectOf(t, flow))
			if spent := errors.Is(err, grant.ErrNotOurs); spent == (test.want == "not ours") {
				t.Errorf("the second redirect: %v", err)
			}
			if sent := len(p.requests("/token")); sent > 1 {
				t.Errorf("%d token requests in one flow", sent)
			}
		})
	}
}

func TestExchangeOnce(t *testing.T) {
	p, client := newOIDC()
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	signedIn(t, p, flow, nil)
	params := redirectOf(t, flow)
	var done, noise atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			_, err := flow.Exchange(t.Context(), params)
			switch {
			case err == nil:
				done.Add(1)
			case errors.Is(err, grant.ErrNotOurs):
				noise.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	p.one(t, "/token")
	if done.Load() != 1 || noise.Load() != 49 {
		t.Errorf("%d tokens, %d times noise", done.Load(), noise.Load())
	}
}

// Flows of one client do not get into each other's way.
func TestConcurrentFlows(t *testing.T) {
	p, client := newOIDC()
	nonces := sync.Map{}
	p.token = func(req *http.Request) (*http.Response, error) {
		nonce, _ := nonces.Load(req.Header.Get("Flow"))
		return response(200, members{"access_token": "t", "refresh_token": "refresh token", "id_token": mint("ES256", idClaims(members{"nonce": nonce}))}.json()), nil
	}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			// One client each for the header that tells the flows apart; the server and its keys are shared.
			own := newClient(client.HTTPClient.Transport)
			own.Server, own.Scopes, own.Header = client.Server, client.Scopes, http.Header{"Flow": {fmt.Sprint(i)}}
			flow, err := own.Authorize(t.Context(), redirect)
			if err != nil {
				t.Error(err)
				return
			}
			nonces.Store(fmt.Sprint(i), query(t, flow).Get("nonce"))
			token, err := flow.Exchange(t.Context(), redirectOf(t, flow))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := own.Refresh(t.Context(), token); err != nil {
				t.Error(err)
			}
			own.CloseIdleConnections()
		})
	}
	all.Wait()
	if n := len(p.requests("/jwks")); n != 1 {
		t.Errorf("%d requests for keys", n)
	}
}

// delayed answers after a delay, or when the request is given up.
func delayed(delay time.Duration, answer endpoint) endpoint {
	return func(req *http.Request) (*http.Response, error) {
		select {
		case <-time.After(delay):
			return answer(req)
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
}

// Design section 7: one sequential round trip after the callback.
func TestExchangeTakesOneRoundTrip(t *testing.T) {
	const delay = 50 * time.Millisecond
	tests := []struct {
		name             string
		warm             bool
		tokenDelay, keys time.Duration
		token            endpoint // nil: a good one
		want             time.Duration
	}{
		{"keys beside the token", false, delay, delay, nil, delay},
		{"keys before", true, delay, delay, nil, delay},
		{"slow keys", false, delay, 3 * delay, nil, 3 * delay},
		{"a refusal does not wait for the keys", false, delay, time.Minute, always(400, `{"error":"invalid_grant"}`), delay},
		{"an access token alone does not wait for the keys", false, delay, time.Minute, always(200, `{"access_token":"t"}`), delay},
	}
	for _, test := range tests {
		t.Run(test.name, inBubble(func(t *testing.T) {
			p, client := newOIDC()
			p.jwks = delayed(test.keys, p.jwks)
			flow, err := client.Authorize(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			signedIn(t, p, flow, nil)
			if test.token != nil {
				p.token = test.token
			}
			p.token = delayed(test.tokenDelay, p.token)
			if test.warm {
				flow.Warm(t.Context())
			}
			start := time.Now()
			_, err = flow.Exchange(t.Context(), redirectOf(t, flow))
			if took := time.Since(start); took != test.want || (err == nil) != (test.token == nil) {
				t.Errorf("it took %v, want %v: %v", took, test.want, err)
			}
			if n := len(p.requests("/jwks")); n != 1 {
				t.Errorf("%d requests for keys", n)
			}
		}))
	}
}

func TestExchangeEndsWithItsContext(t *testing.T) {
	inBubble(func(t *testing.T) {
		for name, slow := range map[string]func(p *provider){
			"token": func(p *provider) { p.token = untilDone },
			"keys":  func(p *provider) { p.jwks = untilDone },
		} {
			p, client := newOIDC()
			flow, err := client.Authorize(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			signedIn(t, p, flow, nil)
			slow(p)
			ctx, cancel := context.WithCancelCause(t.Context())
			start := time.Now()
			time.AfterFunc(time.Second, func() { cancel(errors.New("interrupted")) })
			_, err = flow.Exchange(ctx, redirectOf(t, flow))
			if took := time.Since(start); took != time.Second || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: after %v: %v", name, took, err)
			}
		}
	})(t)
}

// Keys that were fetched before the token may be older than it, so that an
// unknown kid leads to one fetch, without the wait of JWKS-04.
func TestWarmKeysMayBeOld(t *testing.T) {
	p, client := newOIDC()
	ring := &keyring{kid: "old"}
	p.jwks = ring.answer
	exchange := func(warm bool, kid string) error {
		flow, err := client.Authorize(t.Context(), redirect)
		if err != nil {
			t.Fatal(err)
		}
		if warm {
			flow.Warm(t.Context())
			flow.Warm(t.Context())
		}
		ring.kid = "new"
		p.token = always(200, tokenBody(mintHeader(members{"alg": "ES256", "kid": kid}, idClaims(members{"nonce": query(t, flow).Get("nonce")}))))
		_, err = flow.Exchange(t.Context(), redirectOf(t, flow))
		return err
	}
	wantOutcome(t, exchange(true, "new"), "ok")
	if n := len(p.requests("/jwks")); n != 2 {
		t.Errorf("%d requests for keys, want that of Warm and one more", n)
	}
	wantOutcome(t, exchange(true, "unknown"), noKey)
	if n := len(p.requests("/jwks")); n != 2 {
		t.Errorf("%d requests for keys, want no more within the cooldown", n)
	}
}

func TestWarmIsBestEffort(t *testing.T) {
	p, client := newOIDC()
	good := p.jwks
	p.jwks = always(500, "")
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	flow.Warm(t.Context())
	p.jwks = good
	signedIn(t, p, flow, nil)
	_, err = flow.Exchange(t.Context(), redirectOf(t, flow))
	wantOutcome(t, err, "ok")

	p, client = newOIDC()
	client.Scopes = nil
	flow, err = client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	flow.Warm(t.Context())
	if n := len(p.seen); n != 0 {
		t.Errorf("%d requests without openid", n)
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

// The settings of the client reach the token endpoint.
func TestExchangeSendsTokenParameters(t *testing.T) {
	p, client := newOIDC()
	client.Scopes = nil
	client.ClientSecret, client.TokenParameters = "s", url.Values{"audience": {"x"}, "code": {"smuggled"}}
	p.token = always(200, `{"access_token":"t","scope":""}`)
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	token, err := flow.Exchange(t.Context(), redirectOf(t, flow))
	if err != nil {
		t.Fatal(err)
	}
	if token.Scopes == nil || len(token.Scopes) != 0 || token.TokenType != "bearer" {
		t.Errorf("got %#v", *token)
	}
	r := p.one(t, "/token")
	if !slices.Equal(r.form["code"], []string{"authorization_code"}) || r.form.Get("audience") != "x" || r.header.Get("Authorization") == "" {
		t.Errorf("form %v", r.form)
	}
	if client.TokenParameters.Get("code") != "smuggled" || client.TokenParameters.Has("resource") {
		t.Error("the client's parameters were changed")
	}
}
