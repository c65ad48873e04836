package grant_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// sealed is the envelope of a pending login, made without the package.
func sealed(payload []byte) []byte {
	sum := sha256.Sum256(payload)
	return append([]byte("OLP1 "+hex.EncodeToString(sum[:])+" "), payload...)
}

// pendingOf starts a login and returns what another process gets of it.
func pendingOf(t testing.TB, client *grant.Client) (*grant.Flow, []byte) {
	t.Helper()
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	data, err := flow.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return flow, data
}

// another is the same client in another process.
func another(p *provider, setup func(*grant.Client)) *grant.Client {
	client := newClient(p)
	client.Server, client.Scopes = newServer(), []string{"openid", "profile"}
	if setup != nil {
		setup(client)
	}
	return client
}

// The login goes through the same checks, whoever completes it. Compare
// TestExchangeOutcomes.
func TestResumeOutcomes(t *testing.T) {
	code := func(state string) url.Values { return url.Values{"code": {"c"}, "state": {state}} }
	with := func(params url.Values, name, value string) url.Values { params.Set(name, value); return params }
	jarmMode := func(c *grant.Client) { c.ResponseMode = "jwt" }
	for name, test := range map[string]struct {
		first, then func(*grant.Client)
		params      func(state string) url.Values
		claims      members
		want        string
		sent        int
	}{
		"good":                                   {params: code, want: "ok", sent: 1},
		"another state":                          {params: func(string) url.Values { return code("x") }, want: "not ours"},
		"error":                                  {params: func(s string) url.Values { return url.Values{"error": {"access_denied"}, "state": {s}} }, want: "refused access_denied"},
		"wrong iss":                              {params: func(s string) url.Values { return with(code(s), "iss", "https://evil.example") }, want: wrongIss},
		"iss promised, and not now":              {first: func(c *grant.Client) { c.Server.AuthorizationResponseIssParameterSupported = true }, params: code, want: wrongIss},
		"iss promised now":                       {then: func(c *grant.Client) { c.Server.AuthorizationResponseIssParameterSupported = true }, params: code, want: wrongIss},
		"wrong nonce":                            {params: code, claims: members{"nonce": "other"}, want: compared + "nonce", sent: 1},
		"no nonce":                               {params: code, claims: members{"nonce": nil}, want: badClaim + "nonce", sent: 1},
		"max_age, of which the other knows none": {first: func(c *grant.Client) { c.MaxAge = new(60) }, params: code, claims: members{"auth_time": 1}, want: timestamp + "auth_time", sent: 1},
		"max_age, of which only the other knows": {then: func(c *grant.Client) { c.MaxAge = new(60) }, params: code, want: "ok", sent: 1},
		"openid, of which the other knows nothing":        {then: func(c *grant.Client) { c.Scopes = nil }, params: code, claims: members{"nonce": "other"}, want: compared + "nonce", sent: 1},
		"a plain answer where a signed one was asked for": {first: jarmMode, params: code, want: jarm},
		"a signed answer": {first: jarmMode, params: func(s string) url.Values {
			return url.Values{"response": {mint("RS256", idClaims(members{"code": "c", "state": s}))}}
		}, want: "ok", sent: 1},
		"a signed answer of somebody else": {first: jarmMode, params: func(s string) url.Values {
			return url.Values{"response": {mint("RS256", idClaims(members{"code": "c", "state": s, "iss": "https://evil.example"}))}}
		}, want: "OAUTH_JWT_CLAIM_COMPARISON_FAILED authorization_response.iss"},
		"a signed answer where the other asks for one": {then: jarmMode, params: func(s string) url.Values {
			return url.Values{"response": {mint("RS256", idClaims(members{"code": "c", "state": s}))}}
		}, want: jarm},
	} {
		t.Run(name, func(t *testing.T) {
			p, client := newOIDC()
			if test.first != nil {
				test.first(client)
			}
			flow, data := pendingOf(t, client)
			signedIn(t, p, flow, test.claims)
			resumed, err := another(p, test.then).Resume(t.Context(), data)
			if err != nil {
				t.Fatal(err)
			}
			if resumed.URL != flow.URL || resumed.RedirectURI != redirect {
				t.Errorf("it is about %s and %s", resumed.URL, resumed.RedirectURI)
			}
			_, err = resumed.Exchange(t.Context(), test.params(stateOf(t, flow)))
			wantOutcome(t, err, test.want)
			sent := p.requests("/token")
			if len(sent) != test.sent {
				t.Fatalf("%d token requests", len(sent))
			}
			if test.sent > 0 && s256(sent[0].form.Get("code_verifier")) != query(t, flow).Get("code_challenge") {
				t.Error("the verifier is another one")
			}
		})
	}
}

// The key is that of the authorization request.
func TestResumeDPoP(t *testing.T) {
	p, client := newDPoPClient(t)
	flow, data := pendingOf(t, client)
	other := newClient(p)
	other.Server = newServer()
	resumed, err := other.Resume(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	token, err := resumed.Exchange(t.Context(), redirectOf(t, flow))
	if err != nil {
		t.Fatal(err)
	}
	if jkt := query(t, flow).Get("dpop_jkt"); token.DPoP.Thumbprint() != jkt || jkt == "" {
		t.Errorf("the token is bound to %s, want %s", token.DPoP.Thumbprint(), jkt)
	}
}

func TestResumeRefuses(t *testing.T) {
	p, client := newOIDC()
	_, data := pendingOf(t, client)
	_, payload, _ := bytes.Cut(data[5:], []byte(" "))
	changed := func(changes members) []byte {
		var doc members
		if err := json.Unmarshal(payload, &doc); err != nil {
			t.Fatal(err)
		}
		return sealed([]byte(doc.with(changes).json()))
	}
	for name, test := range map[string]struct {
		data  []byte
		setup func(*grant.Client)
	}{
		"nothing":           {data: nil},
		"something else":    {data: []byte("OL1 j 00 {}")},
		"a newer version":   {data: append([]byte("OLP2"), data[4:]...)},
		"no version":        {data: append([]byte("OLP"), data[4:]...)},
		"cut off":           {data: data[:len(data)-1]},
		"with more":         {data: append(bytes.Clone(data), '\n')},
		"another checksum":  {data: bytes.Replace(data, data[5:15], []byte("0000000000"), 1)},
		"no JSON":           {data: sealed([]byte("{"))},
		"null":              {data: sealed([]byte("null"))},
		"a wrong type":      {data: changed(members{"state": 7})},
		"too large":         {data: changed(members{"url": strings.Repeat("x", 2<<20)})},
		"too old":           {data: changed(members{"created_at": time.Now().Add(-61 * time.Minute)})},
		"no time":           {data: changed(members{"created_at": nil})},
		"from the future":   {data: changed(members{"created_at": time.Now().Add(time.Minute)})},
		"no state":          {data: changed(members{"state": nil})},
		"a short state":     {data: changed(members{"state": "x"})},
		"no verifier":       {data: changed(members{"code_verifier": ""})},
		"no nonce":          {data: changed(members{"nonce": nil})},
		"a nonce too many":  {data: changed(members{"scopes": []string{}})},
		"negative max_age":  {data: changed(members{"max_age": -1})},
		"no redirect URI":   {data: changed(members{"redirect_uri": nil})},
		"a bad redirect":    {data: changed(members{"redirect_uri": "http://x/#y"})},
		"a bad key":         {data: changed(members{"dpop": members{"jwk": members{"kty": "oct", "k": "AAAA"}}})},
		"no key":            {data: changed(members{"dpop": members{}})},
		"another issuer":    {data: data, setup: func(c *grant.Client) { c.Server.Issuer = "https://other.example" }},
		"another endpoint":  {data: data, setup: func(c *grant.Client) { c.Server.AuthorizationEndpoint += "2" }},
		"another client":    {data: data, setup: func(c *grant.Client) { c.ClientID = "other" }},
		"one of FAPI alone": {data: changed(members{"fapi2": true})},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := another(p, test.setup).Resume(t.Context(), test.data)
			if !errors.Is(err, grant.ErrNotResumable) {
				t.Errorf("error %v", err)
			}
			wantNoSecrets(t, "the error", fmt.Sprint(err), query(t, mustFlow(t, client, data)).Get("state"))
		})
	}
	if _, err := another(p, nil).Resume(t.Context(), data); err != nil {
		t.Errorf("what was changed nowhere: %v", err)
	}
	if _, err := another(p, nil).Resume(t.Context(), changed(members{"new": 1})); err != nil {
		t.Errorf("with a member that is not known: %v", err)
	}
}

func mustFlow(t *testing.T, client *grant.Client, data []byte) *grant.Flow {
	t.Helper()
	flow, err := client.Resume(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	return flow
}

// What could not be used is found out before the person is waited for.
func TestResumeChecksTheClient(t *testing.T) {
	p, client := newOIDC()
	_, data := pendingOf(t, client)
	for name, test := range map[string]struct {
		setup func(*grant.Client)
		want  string
	}{
		"no keys":                      {func(c *grant.Client) { c.Server.JWKSURI = "" }, "OAUTH_MISSING_SERVER_METADATA metadata.endpoint"},
		"no token endpoint":            {func(c *grant.Client) { c.Server.TokenEndpoint = "" }, "OAUTH_MISSING_SERVER_METADATA metadata.endpoint"},
		"no secret":                    {func(c *grant.Client) { c.TokenEndpointAuthMethod = "client_secret_basic" }, "argument"},
		"registered at another issuer": {func(c *grant.Client) { c.Registration = &grant.Registration{Issuer: "https://other.example"} }, "argument"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := another(p, test.setup).Resume(t.Context(), data)
			wantOutcome(t, err, test.want)
		})
	}
}

// An hour, by the clock on the wall.
func TestResumeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client := newOIDC()
		_, data := pendingOf(t, client)
		time.Sleep(time.Hour)
		resumed := mustFlow(t, another(p, nil), data)
		again, err := resumed.MarshalBinary() // does not make it younger
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("it became %q, %v", again, err)
		}
		time.Sleep(time.Second)
		if _, err := another(p, nil).Resume(t.Context(), data); !errors.Is(err, grant.ErrNotResumable) {
			t.Errorf("error %v", err)
		}
	})
}

// One exchange, from however many copies at once.
func TestPendingLoginIsSpentOnce(t *testing.T) {
	p, client := newOIDC()
	flow, data := pendingOf(t, client)
	signedIn(t, p, flow, nil)
	flows := []*grant.Flow{flow}
	for range 9 {
		flows = append(flows, mustFlow(t, client, data))
	}
	var done sync.WaitGroup
	var good atomic.Int32
	for _, flow := range flows {
		done.Go(func() {
			if _, err := flow.Exchange(t.Context(), redirectOf(t, flow)); err == nil {
				good.Add(1)
			} else if !errors.Is(err, grant.ErrNotOurs) {
				t.Error(err)
			}
		})
	}
	done.Wait()
	if n := len(p.requests("/token")); n != 1 || good.Load() != 1 {
		t.Errorf("%d token requests, %d tokens", n, good.Load())
	}
	if _, err := flow.MarshalBinary(); !errors.Is(err, grant.ErrArgument) {
		t.Errorf("a flow that is over was encoded: %v", err)
	}
	if _, err := new(grant.Flow).MarshalBinary(); !errors.Is(err, grant.ErrArgument) {
		t.Errorf("no flow was encoded: %v", err)
	}
	if _, err := mustFlow(t, another(p, nil), data).Exchange(t.Context(), redirectOf(t, flow)); err != nil {
		t.Errorf("another process is kept from trying: %v", err)
	}
}

// What was encoded while the redirect came is either of no use or refused: never does
// a second exchange follow.
func TestMarshalWhileTheRedirectComes(t *testing.T) {
	p, client := newOIDC()
	client.Scopes, p.token = nil, always(200, tokenBody(""))
	for i := range 1000 {
		flow := authorizedBy(t, client)
		params := redirectOf(t, flow)
		var ready atomic.Int32
		var done sync.WaitGroup
		together := func(do func()) {
			done.Go(func() {
				ready.Add(1)
				for range 100_000 { // there may be one processor only
					if ready.Load() == 2 {
						break
					}
				}
				do()
			})
		}
		var data []byte
		var encoded, exchanged error
		together(func() { _, exchanged = flow.Exchange(t.Context(), params) })
		together(func() {
			for range i % 200 {
				ready.Load()
			}
			data, encoded = flow.MarshalBinary()
		})
		done.Wait()
		if encoded != nil {
			continue
		}
		_, again := mustFlow(t, client, data).Exchange(t.Context(), params)
		if exchanged == nil && !errors.Is(again, grant.ErrNotOurs) {
			t.Fatalf("login %d was exchanged twice: %v", i, again)
		}
	}
}

// A login of a client that is nil or has another context's end.
func TestResumeArguments(t *testing.T) {
	_, client := newOIDC()
	_, data := pendingOf(t, client)
	var none *grant.Client
	_, err := none.Resume(t.Context(), data)
	wantOutcome(t, err, "argument")
	_, err = new(grant.Flow).Complete(t.Context(), redirect)
	wantOutcome(t, err, "argument")
}

// The address that a browser ends up at.
func TestComplete(t *testing.T) {
	const scheme = "com.example.app:/cb"
	for name, test := range map[string]struct {
		redirect, address, mode string
		want                    string
	}{
		"as it is":                  {address: redirect + "?code=c&state=S", want: "ok"},
		"with what people add":      {address: " \t" + redirect + "?code=c&state=S#_=_\n", want: "ok"},
		"in capitals":               {redirect: "http://LOCALHOST/cb", address: "http://localhost:80/cb?code=c&state=S", want: "ok"},
		"without a path":            {redirect: "http://localhost", address: "http://localhost/?code=c&state=S", want: "ok"},
		"with a query of its own":   {redirect: redirect + "?a=b", address: redirect + "?a=b&code=c&state=S", want: "ok"},
		"a scheme of the program's": {redirect: scheme, address: scheme + "?code=c&state=S", want: "ok"},
		"a scheme without a path":   {redirect: "com.example.app:cb", address: "com.example.app:cb?code=c&state=S", want: "ok"},
		"another path":              {address: redirect + "x?code=c&state=S", want: "not ours"},
		"another port":              {address: "http://127.0.0.1:8001/callback?code=c&state=S", want: "not ours"},
		"another host":              {address: "http://localhost:8000/callback?code=c&state=S", want: "not ours"},
		"https":                     {address: "https://127.0.0.1:8000/callback?code=c&state=S", want: "not ours"},
		"another scheme":            {redirect: scheme, address: "com.example.evil:/cb?code=c&state=S", want: "not ours"},
		"another word":              {redirect: "com.example.app:cb", address: "com.example.app:other?code=c&state=S", want: "not ours"},
		"with a user":               {address: "http://u@127.0.0.1:8000/callback?code=c&state=S", want: "not ours"},
		"a code alone":              {address: "c", want: "not ours"},
		"nothing":                   {address: "", want: "not ours"},
		"no URL":                    {address: "http://[::1", want: "not ours"},
		"without the state":         {address: redirect + "?code=c", want: "not ours"},
		"damaged":                   {address: redirect + "?code=%zz&state=S", want: "OAUTH_INVALID_RESPONSE authorization_response.syntax"},
		"refused":                   {address: redirect + "?error=access_denied&state=S", want: "refused access_denied"},
		"posted":                    {address: redirect + "?code=c&state=S", mode: "form_post", want: "argument"},
		"posted and signed":         {address: redirect + "?code=c&state=S", mode: "form_post.jwt", want: "argument"},
	} {
		t.Run(name, func(t *testing.T) {
			p, client := newOIDC()
			client.ResponseMode = test.mode
			to := redirect
			if test.redirect != "" {
				to = test.redirect
			}
			flow, err := client.Authorize(t.Context(), to)
			if err != nil {
				t.Fatal(err)
			}
			signedIn(t, p, flow, nil)
			state := query(t, flow).Get("state")
			_, err = flow.Complete(t.Context(), strings.Replace(test.address, "state=S", "state="+state, 1))
			wantOutcome(t, err, test.want)
			wantNoSecrets(t, "the error", fmt.Sprint(err), state)
			if used := len(p.requests("/token")); used != map[bool]int{true: 1}[test.want == "ok"] {
				t.Errorf("%d token requests", used)
			}
		})
	}
}

// Printing a login that was resumed shows no more than printing any other.
func TestPendingLoginHidesSecrets(t *testing.T) {
	p, client := newDPoPClient(t)
	client.Scopes = []string{"openid"}
	flow, data := pendingOf(t, client)
	var doc struct {
		State, Nonce string
		Verifier     string `json:"code_verifier"`
		DPoP         struct {
			JWK struct{ D string }
		}
	}
	if err := json.Unmarshal(data[bytes.IndexByte(data, '{'):], &doc); err != nil {
		t.Fatal(err)
	}
	secrets := []string{doc.State, doc.Nonce, doc.Verifier, doc.DPoP.JWK.D}
	for i, secret := range secrets {
		if len(secret) != 43 {
			t.Errorf("secret %d is %q", i, secret)
		}
	}
	wantHidden(t, "Flow", flow, secrets...)
	var log bytes.Buffer
	other := another(p, func(c *grant.Client) {
		c.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	resumed := mustFlow(t, other, data)
	wantHidden(t, "a resumed Flow", resumed, secrets...)
	if !strings.Contains(log.String(), "authorization request resumed") {
		t.Errorf("the log says %s", &log)
	}
	wantNoSecrets(t, "the log", log.String(), secrets...)
	if bytes.ContainsFunc(data, func(c rune) bool { return c < ' ' || c > '~' }) {
		t.Errorf("it is not printable ASCII on one line: %q", data)
	}
}

// Whatever the data is, what is taken can be encoded again and is the same login,
// not older than an hour, of this client.
func FuzzResume(f *testing.F) {
	p, client := newOIDC()
	_, data := pendingOf(f, client)
	_, payload, _ := bytes.Cut(data[5:], []byte(" "))
	f.Add([]byte(nil), payload)
	f.Add(data, []byte(nil))
	f.Add([]byte("OLP2 0 {}"), []byte(`{"state":"x","created_at":"2026-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, data, payload []byte) {
		for _, data := range [][]byte{data, sealed(payload)} {
			client := another(p, nil)
			flow, err := client.Resume(t.Context(), data)
			if err != nil {
				if !errors.Is(err, grant.ErrNotResumable) {
					t.Errorf("error %v", err)
				}
				continue
			}
			again, err := flow.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			same := mustFlow(t, client, again)
			twice, err := same.MarshalBinary()
			if err != nil || !bytes.Equal(again, twice) || same.URL != flow.URL || same.RedirectURI != flow.RedirectURI {
				t.Errorf("%q became %q, %v", again, twice, err)
			}
			if flow.Ours(nil) || flow.Ours(url.Values{"state": {""}}) {
				t.Error("a redirect without a state is taken")
			}
		}
	})
}
