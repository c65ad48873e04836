package store_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

const (
	wantsScope = `Bearer realm="api", error="insufficient_scope", scope="admin"`
	wantsLevel = `Bearer error="insufficient_user_authentication", acr_values="gold silver", max_age="60"`
)

// refusal is the body of every refusal here. Its end is beyond what is kept.
var refusal = strings.Repeat("refused ", 10_000) + "for good"

// A strictAPI takes one token and refuses others with a challenge.
type strictAPI struct {
	t         *testing.T
	takes     string // the Authorization header; "" takes none
	challenge string
	status    int

	mu     sync.Mutex
	tokens []string // the Authorization header of each request
	bodies []string
}

func (a *strictAPI) answer(req *http.Request) *http.Response {
	body := ""
	if req.Body != nil {
		data, err := io.ReadAll(req.Body)
		if err != nil {
			a.t.Error(err)
		}
		body = string(data)
	}
	token := req.Header.Get("Authorization")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens, a.bodies = append(a.tokens, token), append(a.bodies, body)
	if a.takes != "" && token == a.takes {
		return response(req, http.StatusOK, "welcome")
	}
	resp := response(req, a.status, nil)
	resp.Header.Set("WWW-Authenticate", a.challenge)
	resp.Body = io.NopCloser(strings.NewReader(refusal))
	return resp
}

// withClaims returns a token of a person, as a provider would give it.
func withClaims(t *testing.T, accessToken grant.Secret, scopes []string, claims map[string]any) *grant.Token {
	t.Helper()
	all := map[string]any{"iss": issuerURL, "sub": "ada", "aud": "cli"}
	for name, value := range claims {
		all[name] = value
	}
	payload, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	stored, err := json.Marshal(map[string]any{
		"access_token": accessToken, "token_type": "bearer",
		"id_token": encode([]byte(`{"alg":"ES256"}`)) + "." + encode(payload) + "." + encode([]byte("signature")),
	})
	if err != nil {
		t.Fatal(err)
	}
	token := new(grant.Token)
	if err := token.UnmarshalBinary(stored); err != nil {
		t.Fatal(err)
	}
	token.AccessToken, token.RefreshToken, token.Scopes, token.Expiry = accessToken, "refresh", scopes, time.Now().Add(time.Hour)
	return token
}

// One login for what is demanded, one more request with what it brings; and the
// refusal as it came wherever that does not help.
func TestStepUp(t *testing.T) {
	good := func() *grant.Token {
		return withClaims(t, "better", []string{"openid", "admin"}, map[string]any{"acr": "silver", "auth_time": time.Now().Unix()})
	}
	for name, test := range map[string]struct {
		challenge string
		status    int // 403 unless it says otherwise
		takes     string
		body      io.Reader
		token     func() *grant.Token // that the login brings; nil for one that fails
		nobody    bool                // there is no Login
		logins    int32
		want      int
		bodies    []string
		stored    grant.Secret
	}{
		"scope":                        {challenge: wantsScope, takes: "Bearer better", token: good, logins: 1, want: 200, bodies: []string{"", ""}, stored: "better"},
		"scope with the status 401":    {challenge: wantsScope, status: 401, takes: "Bearer better", token: good, logins: 1, want: 200, bodies: []string{"", ""}, stored: "better"},
		"authentication":               {challenge: wantsLevel, status: 401, takes: "Bearer better", token: good, logins: 1, want: 200, bodies: []string{"", ""}, stored: "better"},
		"a body":                       {challenge: wantsScope, takes: "Bearer better", body: strings.NewReader("text"), token: good, logins: 1, want: 200, bodies: []string{"text", "text"}, stored: "better"},
		"a body that is gone":          {challenge: wantsScope, takes: "Bearer better", body: struct{ io.Reader }{strings.NewReader("text")}, token: good, want: 403, bodies: []string{"text"}, stored: "access"},
		"an API that never has enough": {challenge: wantsScope, token: good, logins: 1, want: 403, bodies: []string{"", ""}, stored: "better"},
		"a login that fails":           {challenge: wantsScope, takes: "Bearer better", logins: 1, want: 403, bodies: []string{""}, stored: "access"},
		"never interactive":            {challenge: wantsScope, takes: "Bearer better", nobody: true, want: 403, bodies: []string{""}, stored: "access"},
		"the scope is not granted": {challenge: wantsScope, takes: "Bearer better", logins: 1, want: 403, bodies: []string{""}, stored: "better",
			token: func() *grant.Token { return withClaims(t, "better", []string{"openid"}, nil) }},
		"another acr": {challenge: wantsLevel, takes: "Bearer better", logins: 1, want: 403, bodies: []string{""}, stored: "better",
			token: func() *grant.Token { return withClaims(t, "better", nil, map[string]any{"acr": "bronze"}) }},
		"signed in too long ago": {challenge: wantsLevel, takes: "Bearer better", logins: 1, want: 403, bodies: []string{""}, stored: "better",
			token: func() *grant.Token {
				return withClaims(t, "better", nil, map[string]any{"auth_time": time.Now().Unix() - 100})
			}},
		"the ID token does not say": {challenge: wantsLevel, takes: "Bearer better", logins: 1, want: 200, bodies: []string{"", ""}, stored: "better",
			token: func() *grant.Token { return withClaims(t, "better", nil, nil) }},
		"another person": {challenge: wantsScope, takes: "Bearer better", logins: 1, want: 403, bodies: []string{""}, stored: "access",
			token: func() *grant.Token { return withClaims(t, "better", []string{"admin"}, map[string]any{"sub": "eve"}) }},
		"a refusal of another kind":  {challenge: `Bearer error="invalid_request"`, status: 401, takes: "Bearer better", token: good, want: 401, bodies: []string{""}, stored: "access"},
		"a demand that says nothing": {challenge: `Bearer error="insufficient_scope"`, takes: "Bearer better", token: good, want: 403, bodies: []string{""}, stored: "access"},
		"another scheme":             {challenge: `Basic error="insufficient_scope", scope="admin"`, takes: "Bearer better", token: good, want: 403, bodies: []string{""}, stored: "access"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scene{&provider{good: "refresh"}, &shelf{}}
			s.signIn(t, withClaims(t, "access", []string{"openid"}, nil))
			api := &strictAPI{t: t, takes: test.takes, challenge: test.challenge, status: max(test.status, 401)}
			if test.status == 0 {
				api.status = 403
			}
			s.api = api.answer
			var logins atomic.Int32
			source := s.source()
			if !test.nobody {
				source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
					logins.Add(1)
					if test.token == nil {
						return nil, errors.New("the person said no")
					}
					token := test.token()
					return token, save(ctx, token)
				}
			}
			resp, err := source.HTTPClient().Post("https://api.example/me", "text/plain", test.body)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != test.want || resp.StatusCode != 200 && string(body) != refusal {
				t.Errorf("status %d, %d bytes, %v", resp.StatusCode, len(body), err)
			}
			if resp.Request.Header.Get("Authorization") != "" {
				t.Error("the response holds the token")
			}
			if fmt.Sprintf("%q", api.bodies) != fmt.Sprintf("%q", test.bodies) || logins.Load() != test.logins {
				t.Errorf("the API got %q, with %d logins", api.bodies, logins.Load())
			}
			if got := s.stored(t).Token.AccessToken; got != test.stored {
				t.Errorf("stored is %q", string(got))
			}
		})
	}
}

// What was asked for before is asked for again, and what is demanded is told.
func TestStepUpAsksForAll(t *testing.T) {
	s := &scene{&provider{good: "refresh"}, &shelf{}}
	s.signIn(t, withClaims(t, "access", []string{"openid"}, nil))
	source := s.source()
	source.Client.Scopes = []string{"openid profile"}
	var asked []grant.StepUp
	source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
		demand := grant.StepUpOf(ctx)
		asked = append(asked, *demand)
		token := withClaims(t, grant.Secret(fmt.Sprint("better-", len(asked))), demand.Scopes, nil)
		return token, save(ctx, token)
	}
	for i, challenge := range []string{`Bearer error="insufficient_scope", scope="a"`, `DPoP error="insufficient_user_authentication", scope="b", acr_values="gold", max_age=0`} {
		api := &strictAPI{t: t, takes: fmt.Sprint("Bearer better-", i+1), challenge: challenge, status: 401}
		s.api = api.answer
		resp, err := source.HTTPClient().Get("https://api.example/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	want := []grant.StepUp{{Scopes: []string{"a"}}, {Scopes: []string{"openid", "profile", "a", "b"}, ACRValues: "gold", MaxAge: new(0)}}
	if !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for %+v, want %+v", asked, want)
	}
	client := s.stored(t).Client()
	if got := strings.Join(client.Scopes, " "); got != "openid profile a b" || client.ACRValues != "" || client.MaxAge != nil {
		t.Errorf("stored are the scopes %q, %q, %v", got, client.ACRValues, client.MaxAge)
	}
}

// Many requests at once, one login, whether it works or not; and a request that is
// refused a little later takes what comes of it, too.
func TestStepUpIsShared(t *testing.T) {
	for want, failure := range map[int]error{http.StatusOK: nil, http.StatusForbidden: errors.New("the person said no")} {
		t.Run(http.StatusText(want), func(t *testing.T) {
			s := &scene{&provider{good: "refresh"}, &shelf{}}
			s.signIn(t, withClaims(t, "access", nil, nil))
			api := &strictAPI{t: t, takes: "Bearer better", challenge: wantsScope, status: 403}
			const requests = 20
			var refused, done sync.WaitGroup
			refused.Add(requests)
			var late sync.Once
			s.api = func(req *http.Request) *http.Response {
				resp := api.answer(req)
				if req.Header.Get("Authorization") == "Bearer access" {
					refused.Done()
					refused.Wait() // until all are refused
					late.Do(func() { time.Sleep(20 * time.Millisecond) })
				}
				return resp
			}
			var logins atomic.Int32
			source := s.source()
			source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
				logins.Add(1)
				time.Sleep(200 * time.Millisecond)
				token := withClaims(t, "better", []string{"admin"}, nil)
				if failure != nil {
					return nil, failure
				}
				return token, save(ctx, token)
			}
			client := source.HTTPClient()
			for range requests {
				done.Go(func() {
					resp, err := client.Get("https://api.example/")
					if err != nil {
						t.Error(err)
						return
					}
					resp.Body.Close()
					if resp.StatusCode != want {
						t.Errorf("status %d", resp.StatusCode)
					}
				})
			}
			done.Wait()
			if logins.Load() != 1 {
				t.Errorf("%d logins", logins.Load())
			}
		})
	}
}

// A token that was only refreshed meanwhile comes of the login that was refused.
func TestStepUpAfterARefresh(t *testing.T) {
	s := &scene{&provider{good: "refresh"}, &shelf{}}
	s.signIn(t, withClaims(t, "access", []string{"openid"}, nil))
	api := &strictAPI{t: t, takes: "Bearer better", challenge: wantsLevel, status: 401}
	var refreshed sync.Once
	s.api = func(req *http.Request) *http.Response {
		refreshed.Do(func() {
			if _, err := s.source().Refresh(t.Context()); err != nil { // by another process
				t.Error(err)
			}
		})
		return api.answer(req)
	}
	source := s.source()
	source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
		token := withClaims(t, "better", []string{"openid"}, nil)
		return token, save(ctx, token)
	}
	resp, err := source.HTTPClient().Get("https://api.example/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := fmt.Sprint(resp.StatusCode, api.tokens); got != "200 [Bearer access Bearer better]" {
		t.Errorf("got %s", got)
	}
}

// A request stays that of the person whose token was refused, also where another one
// has signed in meanwhile, with a token that would do or not.
func TestStepUpIsForOnePerson(t *testing.T) {
	for name, scopes := range map[string][]string{"would do": {"openid", "admin"}, "would not do": {"openid"}} {
		t.Run(name, func(t *testing.T) {
			s := &scene{&provider{good: "refresh"}, &shelf{}}
			s.signIn(t, withClaims(t, "access", []string{"openid"}, nil))
			api := &strictAPI{t: t, takes: "Bearer eve's", challenge: wantsScope, status: 403}
			s.api = func(req *http.Request) *http.Response {
				s.signIn(t, withClaims(t, "eve's", scopes, map[string]any{"sub": "eve"})) // in another process
				return api.answer(req)
			}
			source := s.source()
			source.Login = never(t)
			resp, err := source.HTTPClient().Get("https://api.example/")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := fmt.Sprint(resp.StatusCode, api.tokens); got != "403 [Bearer access]" {
				t.Errorf("got %s", got)
			}
			if got := s.stored(t).Token.AccessToken; got != "eve's" {
				t.Errorf("stored is %q", string(got))
			}
		})
	}
}

// Requests of two persons that are refused for the same reason share nothing.
func TestStepUpOfTwoPersons(t *testing.T) {
	s := &scene{&provider{good: "refresh"}, &shelf{}}
	s.signIn(t, withClaims(t, "access", []string{"openid"}, nil))
	source := s.source()
	api := &strictAPI{t: t, takes: "Bearer better", challenge: wantsScope, status: 403}
	client := source.HTTPClient()
	var adas sync.WaitGroup
	var once sync.Once
	refused, signedIn := make(chan struct{}), make(chan struct{})
	s.api = func(req *http.Request) *http.Response {
		if req.URL.Path == "/ada" { // is answered when eve's login is under way
			once.Do(func() { close(refused) })
			<-signedIn
		}
		return api.answer(req)
	}
	source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
		if grant.StepUpOf(ctx) == nil {
			token := withClaims(t, "eve's", []string{"openid"}, map[string]any{"sub": "eve"})
			return token, save(ctx, token)
		}
		close(signedIn)
		time.Sleep(50 * time.Millisecond) // for ada's request to be refused
		token := withClaims(t, "better", []string{"admin"}, map[string]any{"sub": "eve"})
		return token, save(ctx, token)
	}
	status := func(path string) int {
		resp, err := client.Get("https://api.example" + path)
		if err != nil {
			t.Error(err)
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	adas.Go(func() {
		if got := status("/ada"); got != 403 {
			t.Errorf("ada gets %d", got)
		}
	})
	<-refused
	if _, err := source.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := status("/eve"); got != 200 {
		t.Errorf("eve gets %d", got)
	}
	adas.Wait()
	if got := strings.Join(api.tokens, " "); strings.Count(got, "better") != 1 {
		t.Errorf("the API got %s", got)
	}
}

// A demand from where a redirect leads is none of this login's business, nor is one
// for a request with a token of the caller's.
func TestStepUpIsForOneOrigin(t *testing.T) {
	s := &scene{&provider{good: "refresh"}, &shelf{}}
	s.signIn(t, withClaims(t, "access", nil, nil))
	source := s.source()
	source.Login = never(t)
	for name, header := range map[string]string{"redirect": "", "a token of the caller's": "Bearer mine"} {
		t.Run(name, func(t *testing.T) {
			api := &strictAPI{t: t, challenge: wantsScope, status: 403}
			s.api = func(req *http.Request) *http.Response {
				if req.URL.Host == "api.example" && header == "" {
					resp := response(req, http.StatusTemporaryRedirect, nil)
					resp.Header.Set("Location", "https://evil.example/")
					return resp
				}
				return api.answer(req)
			}
			req, err := http.NewRequest(http.MethodGet, "https://api.example/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if header != "" {
				req.Header.Set("Authorization", header)
			}
			resp, err := source.HTTPClient().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 403 || len(api.tokens) != 1 || api.tokens[0] != header {
				t.Errorf("status %d, tokens %q", resp.StatusCode, api.tokens)
			}
		})
	}
}

// The key of the new login makes the proof, and gets its own nonce.
func TestStepUpWithDPoP(t *testing.T) {
	s, old, proofs := boundLogin(t)
	key, err := grant.GenerateDPoP()
	if err != nil {
		t.Fatal(err)
	}
	demanded := false
	s.api = func(req *http.Request) *http.Response {
		resp := proofs.answer(req)
		if resp.StatusCode == http.StatusOK && !demanded {
			demanded = true
			resp.StatusCode = http.StatusForbidden
			resp.Header.Set("WWW-Authenticate", `DPoP error="insufficient_scope", scope="admin"`)
		}
		return resp
	}
	source := s.source()
	source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
		token := &grant.Token{AccessToken: "access", TokenType: "dpop", DPoP: key, Scopes: []string{"admin"}, Expiry: time.Now().Add(time.Hour)}
		return token, save(ctx, token)
	}
	resp, err := source.HTTPClient().Post("https://api.example/", "text/plain", strings.NewReader("text"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := fmt.Sprint(resp.StatusCode, proofs.bodies); got != "200 [text text text text]" {
		t.Errorf("got %s", got)
	}
	if got := s.stored(t).Token.DPoP.Thumbprint(); got != key.Thumbprint() || got == old.Thumbprint() {
		t.Errorf("the key that is stored is %s", got)
	}
}

// Who signs out while the person signs in again stays signed out, and the end of
// the context ends the wait.
func TestStepUpEnds(t *testing.T) {
	for name, want := range map[string]error{"signed out": nil, "context": context.Canceled} {
		t.Run(name, func(t *testing.T) {
			s := &scene{&provider{good: "refresh"}, &shelf{}}
			s.signIn(t, withClaims(t, "access", nil, nil))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			api := &strictAPI{t: t, challenge: wantsScope, status: 403}
			source := s.source()
			s.api = func(req *http.Request) *http.Response {
				if want == nil {
					if err := (&store.Source{Client: s.client(), Store: s.shelf}).Delete(ctx); err != nil {
						t.Error(err)
					}
				}
				return api.answer(req)
			}
			source.Login = func(ctx context.Context, _ save) (*grant.Token, error) {
				if want == nil {
					t.Error("Login was called")
				}
				cancel()
				<-ctx.Done()
				return nil, ctx.Err()
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example/", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := source.HTTPClient().Do(req)
			if !errors.Is(err, want) {
				t.Errorf("error %v, want %v", err, want)
			}
			if err == nil {
				resp.Body.Close()
			}
		})
	}
}
