package issuertest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

var (
	_ issuertest.TB = (*testing.T)(nil)
	_ issuertest.TB = (*testing.B)(nil)
	_ issuertest.TB = (*testing.F)(nil)
)

// clientOf is a client that a program would have.
func clientOf(t *testing.T, iss *issuertest.Issuer) *grant.Client {
	client := &grant.Client{
		Issuer: iss.URL, ClientID: iss.ClientID, AllowInsecureRequests: true,
		Scopes: []string{"openid", "profile", "offline_access"},
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func login(t *testing.T, iss *issuertest.Issuer, client *grant.Client) (*grant.Token, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return loopback.Login(ctx, client, &loopback.Options{Open: iss.Open})
}

func mustLogin(t *testing.T, iss *issuertest.Issuer, client *grant.Client) *grant.Token {
	t.Helper()
	token, err := login(t, iss, client)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// get calls an API with a token, and returns the status and the body.
func get(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestLogin(t *testing.T) {
	iss := issuertest.New(t)
	client := clientOf(t, iss)
	token := mustLogin(t, iss, client)
	var claims struct {
		Name string `json:"preferred_username"`
	}
	if err := token.IDToken.Claims(&claims); err != nil || claims.Name != "ada" {
		t.Errorf("%q has signed in: %v", claims.Name, err)
	}
	if page := iss.LastPage(); page.Status != http.StatusOK || !strings.Contains(page.Body, "Signed in") || !strings.HasSuffix(page.URL, "/callback/done") {
		t.Errorf("the last page is %+v", page)
	}
	asked := iss.LastAuthorization()
	if asked.Get("client_id") != "test-client" || asked.Get("scope") != "openid profile offline_access" || asked.Get("code_challenge_method") != "S256" {
		t.Errorf("the request was %v", asked)
	}
	for endpoint, want := range map[string]int{"discovery": 1, "authorize": 1, "token": 1, "jwks": 1, "userinfo": 0, "api": 0, "other": 0} {
		if got := iss.Requests(endpoint); got != want {
			t.Errorf("%d requests to %s, want %d", got, endpoint, want)
		}
	}
	if secrets := strings.Join(iss.Secrets(), " "); !strings.Contains(secrets, string(token.AccessToken)) || !strings.Contains(secrets, string(token.IDToken.Raw)) {
		t.Error("a token is not among the secrets")
	}
}

// TestPerson: who signs in, and what they say, can change from login to login.
func TestPerson(t *testing.T) {
	iss := issuertest.NewWith(t, &issuertest.Options{User: "grace"})
	client := clientOf(t, iss)
	first := mustLogin(t, iss, client)
	iss.SignInAs("bob")
	second := mustLogin(t, iss, client)
	if first.IDToken.Subject == second.IDToken.Subject {
		t.Error("the same person has signed in")
	}
	iss.Refuse(true)
	_, err := login(t, iss, client)
	refusal, ok := errors.AsType[*grant.Error](err)
	if !ok || refusal.Code != "access_denied" || iss.LastPage().Status != http.StatusForbidden {
		t.Errorf("%v, and the page %+v", err, iss.LastPage())
	}
	iss.Refuse(false)
	mustLogin(t, iss, client)
}

// TestDevice: the person also types in the code of a device.
func TestDevice(t *testing.T) {
	iss := issuertest.New(t)
	flow, err := clientOf(t, iss).AuthorizeDevice(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := iss.Open(t.Context(), flow.VerificationURIComplete); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := flow.Wait(ctx); err != nil {
		t.Error(err)
	}
}

// TestLives: a program sees tokens expire, refresh tokens rotate or stay, and
// logins end.
func TestLives(t *testing.T) {
	for _, keep := range []bool{false, true} {
		iss := issuertest.NewWith(t, &issuertest.Options{KeepRefreshTokens: keep, AccessTokenTTL: time.Minute})
		client := clientOf(t, iss)
		token := mustLogin(t, iss, client)
		if left := time.Until(token.Expiry); left > time.Minute || left < 50*time.Second {
			t.Errorf("the token lives for %v", left)
		}
		source := &store.Source{Client: client, Store: new(store.Memory), Login: func(context.Context, func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return token, nil
		}}
		api := iss.API(issuertest.Demand{})
		if status, body := get(t, source.HTTPClient(), api); status != http.StatusOK || body != "{\"user\":\"ada\"}\n" {
			t.Errorf("the API says %d %s", status, body)
		}
		iss.ExpireAccessTokens()
		if err := iss.RotateKeys(); err != nil {
			t.Fatal(err)
		}
		if status, _ := get(t, source.HTTPClient(), api); status != http.StatusOK {
			t.Errorf("a token that has expired, and is refreshed, gets %d", status)
		}
		renewed, err := source.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if stayed := renewed.RefreshToken == token.RefreshToken; stayed != keep {
			t.Errorf("the refresh token stayed: %v, want %v", stayed, keep)
		}
		iss.EndLogins()
		if _, err := client.Refresh(t.Context(), renewed); !grant.LoginRequired(err) {
			t.Errorf("after the end of the login: %v", err)
		}
		if iss.Requests("api") != 3 || iss.Requests("other") != 0 {
			t.Errorf("%d requests to APIs, %d others", iss.Requests("api"), iss.Requests("other"))
		}
	}
}

// TestDemandsOfTheProvider: a program that does not do what is demanded is refused,
// one that does is not.
func TestDemandsOfTheProvider(t *testing.T) {
	tests := map[string]struct {
		opts   issuertest.Options
		obey   func(*grant.Client)
		passes bool // without obeying: the metadata says what to do
	}{
		"DPoP":       {opts: issuertest.Options{RequireDPoP: true}, obey: func(c *grant.Client) { c.DPoPBoundAccessTokens = true }},
		"DPoP nonce": {opts: issuertest.Options{RequireDPoP: true, DPoPNonce: true}, obey: func(c *grant.Client) { c.DPoPBoundAccessTokens = true }},
		"PAR":        {opts: issuertest.Options{RequirePAR: true}, obey: func(*grant.Client) {}, passes: true},
		"secret":     {opts: issuertest.Options{ClientSecret: "sesame, open"}, obey: func(c *grant.Client) { c.ClientSecret = "sesame, open" }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			iss := issuertest.NewWith(t, &test.opts)
			client := clientOf(t, iss)
			if _, err := login(t, iss, client); (err == nil) != test.passes {
				t.Errorf("without obeying: %v", err)
			}
			obedient := clientOf(t, iss)
			test.obey(obedient)
			token := mustLogin(t, iss, obedient)
			if (token.TokenType == "dpop") != test.opts.RequireDPoP {
				t.Errorf("the token is a %s token", token.TokenType)
			}
			if pushed := iss.Requests("push"); (pushed > 0) != test.opts.RequirePAR {
				t.Errorf("%d requests were pushed", pushed)
			}
		})
	}
}

// TestTLS: a program that talks to https alone signs in with the client that trusts
// the provider, and with no other.
func TestTLS(t *testing.T) {
	iss := issuertest.NewWith(t, &issuertest.Options{TLS: true, RequireDPoP: true})
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid"}, DPoPBoundAccessTokens: true}
	t.Cleanup(client.CloseIdleConnections)
	if _, err := login(t, iss, client); err == nil || !strings.HasPrefix(iss.URL, "https://127.0.0.1:") {
		t.Errorf("%s is trusted by everybody", iss.URL)
	}
	trusting := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid"}, DPoPBoundAccessTokens: true, HTTPClient: iss.HTTPClient()}
	token := mustLogin(t, iss, trusting)
	source := &store.Source{Client: trusting, Store: new(store.Memory), Login: func(context.Context, func(context.Context, *grant.Token) error) (*grant.Token, error) {
		return token, nil
	}}
	if status, body := get(t, source.HTTPClient(), iss.API(issuertest.Demand{DPoP: true})); status != http.StatusOK {
		t.Errorf("the API says %d %s", status, body)
	}
	if _, err := trusting.Userinfo(t.Context(), token); err != nil {
		t.Error(err)
	}
}

// TestFAPI2: a program that demands all of the FAPI 2.0 Security Profile can be
// tested, too.
func TestFAPI2(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	iss := issuertest.NewWith(t, &issuertest.Options{TLS: true, RequireDPoP: true, DPoPNonce: true, RequirePAR: true, ClientKey: key.Public()})
	client := &grant.Client{
		Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid"}, HTTPClient: iss.HTTPClient(),
		FAPI2: true, DPoPBoundAccessTokens: true, Key: key,
	}
	if token := mustLogin(t, iss, client); token.TokenType != "dpop" || iss.LastAuthorization().Get("dpop_jkt") != token.DPoP.Thumbprint() {
		t.Errorf("the token is a %s token, of the request %v", token.TokenType, iss.LastAuthorization())
	}
}

// TestRegistration: a program may get its client by itself.
func TestRegistration(t *testing.T) {
	iss := issuertest.NewWith(t, &issuertest.Options{OpenRegistration: true})
	client := &grant.Client{Issuer: iss.URL, AllowInsecureRequests: true, Scopes: []string{"openid"}}
	t.Cleanup(client.CloseIdleConnections)
	registered, err := client.Register(t.Context(), &grant.ClientMetadata{RedirectURIs: []string{"http://127.0.0.1/callback"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	registered.Apply(client)
	mustLogin(t, iss, client)
}

// TestDemandsOfAnAPI: what an API wants is in its answer, and a login that asks for
// it gets it.
func TestDemandsOfAnAPI(t *testing.T) {
	iss := issuertest.NewWith(t, &issuertest.Options{Scopes: []string{"orders"}, ACRValues: []string{"mfa"}})
	tests := map[string]struct {
		demand issuertest.Demand
		obey   func(*grant.Client)
		status int
		code   string
	}{
		"scope": {issuertest.Demand{Scopes: []string{"orders"}}, func(c *grant.Client) { c.Scopes = append(c.Scopes, "orders") }, 403, "insufficient_scope"},
		"acr":   {issuertest.Demand{ACRValues: []string{"mfa"}}, func(c *grant.Client) { c.ACRValues = "mfa" }, 401, "insufficient_user_authentication"},
		"DPoP":  {issuertest.Demand{DPoP: true}, func(c *grant.Client) { c.DPoPBoundAccessTokens = true }, 401, "invalid_token"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(iss.Protect(test.demand, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "hello, %s", issuertest.User(r))
			})))
			defer server.Close()
			ask := func(client *grant.Client) *http.Response {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := mustLogin(t, iss, client).Authorize(req); err != nil {
					t.Fatal(err)
				}
				resp, err := http.DefaultTransport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { resp.Body.Close() })
				return resp
			}
			resp := ask(clientOf(t, iss))
			challenges := grant.ParseChallenges(resp.Header)
			if resp.StatusCode != test.status || len(challenges) != 1 || challenges[0].Parameters["error"] != test.code {
				t.Errorf("the answer is %d %v", resp.StatusCode, challenges)
			}
			obedient := clientOf(t, iss)
			test.obey(obedient)
			if body, err := io.ReadAll(ask(obedient).Body); err != nil || string(body) != "hello, ada" {
				t.Errorf("the answer to the obedient is %q, %v", body, err)
			}
		})
	}
}

// TestTrouble: a program can be shown a provider that fails.
func TestTrouble(t *testing.T) {
	iss := issuertest.NewWith(t, &issuertest.Options{Wrap: func(provider http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			provider.ServeHTTP(w, r)
		})
	}})
	if _, err := login(t, iss, clientOf(t, iss)); err == nil || iss.LastPage().Status != http.StatusInternalServerError {
		t.Errorf("%v, and the page %+v", err, iss.LastPage())
	}
}

// A fakeTest is a test that is told what is wrong.
type fakeTest struct {
	errors, fatal string
	cleanup       []func()
}

func (*fakeTest) Helper()                          {}
func (f *fakeTest) Cleanup(end func())             { f.cleanup = append(f.cleanup, end) }
func (f *fakeTest) Errorf(format string, a ...any) { f.errors += fmt.Sprintf(format, a...) }
func (f *fakeTest) Fatalf(format string, a ...any) { f.fatal += fmt.Sprintf(format, a...) }
func (f *fakeTest) end()                           { f.cleanup[0]() }
func opens(t *testing.T, iss *issuertest.Issuer, url string) error {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return iss.Open(ctx, url)
}

// TestErrorPageFailsTheTest: a person who is left with an error page of the provider
// never comes back, so the test is told.
func TestErrorPageFailsTheTest(t *testing.T) {
	fake := new(fakeTest)
	iss := issuertest.New(fake)
	client := clientOf(t, iss)
	flow, err := client.Authorize(t.Context(), "http://127.0.0.1:1/elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	const want = "the provider does not go on, with status 400: This does not work " +
		"The application asks to send you to an address that is not registered for it (redirect_uri)."
	if err := opens(t, iss, flow.URL); err == nil || err.Error() != want || fake.errors != "issuertest: "+want {
		t.Errorf("%v, and the test heard %q", err, fake.errors)
	}
	fake.end()
	if err := opens(t, iss, iss.URL+"/x"); err == nil {
		t.Error("the provider has outlived its test")
	}
}

// TestOptionsThatMakeNoSense fail the test, or are an error of Start.
func TestOptionsThatMakeNoSense(t *testing.T) {
	fake := new(fakeTest)
	opts := &issuertest.Options{RedirectURIs: []string{"callback"}}
	if issuertest.NewWith(fake, opts); !strings.Contains(fake.fatal, "callback") {
		t.Errorf("the test heard %q", fake.fatal)
	}
	if _, err := issuertest.Start(opts); err == nil {
		t.Error("Start takes them")
	}
}

// TestOpenEndsWithItsContext: soon, though the person may finish reading.
func TestOpenEndsWithItsContext(t *testing.T) {
	iss := issuertest.NewWith(t, &issuertest.Options{Delay: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begin := time.Now()
	if err := iss.Open(ctx, iss.URL); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
