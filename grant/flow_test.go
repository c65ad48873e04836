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

// A transport may take its time to give up; nothing goes on after Exchange.
func TestExchangeLeavesNothingRunning(t *testing.T) {
	inBubble(func(t *testing.T) {
		var running atomic.Int32
		p, client := newOIDC()
		p.jwks = func(req *http.Request) (*http.Response, error) {
			running.Add(1)
			defer running.Add(-1)
			<-req.Context().Done()
			time.Sleep(time.Second)
			return nil, req.Context().Err()
		}
		p.token = delayed(time.Second, always(400, `{"error":"invalid_grant"}`))
		flow, err := client.Authorize(t.Context(), redirect)
		if err != nil {
			t.Fatal(err)
		}
		_, err = flow.Exchange(t.Context(), redirectOf(t, flow))
		wantOutcome(t, err, "refused invalid_grant")
		if n := running.Load(); n != 0 {
			t.Errorf("%d requests still run", n)
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

// The settings of the client reach the token endpoint.
func TestExchangeSendsTokenParameters(t *testing.T) {
	p, client := newOIDC()
	client.Scopes = nil
	client.Resources = []string{"https://api.example"}
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
