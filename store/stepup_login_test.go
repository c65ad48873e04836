package store_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// A whole login for what a real handler demands, by a Login that knows nothing of
// it; and none for the next request.
func TestStepUpLogin(t *testing.T) {
	for name, test := range map[string]struct {
		demand issuertest.Demand
		pushed bool
		client func(*grant.Client)
		wait   time.Duration // between the first login and the request
		want   url.Values    // of the second authorization request
	}{
		"scope":            {demand: issuertest.Demand{Scopes: []string{"admin"}}, want: url.Values{"scope": {"openid offline_access admin"}}},
		"acr":              {demand: issuertest.Demand{ACRValues: []string{"gold", "silver"}}, want: url.Values{"acr_values": {"gold silver"}, "scope": {"openid offline_access"}}},
		"max_age":          {demand: issuertest.Demand{MaxAge: 3 * time.Second}, wait: 4 * time.Second, want: url.Values{"max_age": {"3"}}},
		"scope, with DPoP": {demand: issuertest.Demand{Scopes: []string{"admin"}, DPoP: true}, client: func(c *grant.Client) { c.DPoPBoundAccessTokens = true }, want: url.Values{"scope": {"openid offline_access admin"}}},
		"acr, with DPoP":   {demand: issuertest.Demand{ACRValues: []string{"silver"}, DPoP: true}, client: func(c *grant.Client) { c.DPoPBoundAccessTokens = true }, want: url.Values{"acr_values": {"silver"}}},
		"pushed":           {demand: issuertest.Demand{ACRValues: []string{"gold"}}, pushed: true, want: url.Values{"acr_values": {"gold"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			iss := issuertest.NewWith(t, &issuertest.Options{Scopes: []string{"admin"}, ACRValues: []string{"silver", "gold"}, DPoPNonce: true, RequirePAR: test.pushed})
			client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid", "offline_access"}, AllowInsecureRequests: true}
			t.Cleanup(client.CloseIdleConnections)
			if test.client != nil {
				test.client(client)
			}
			var logins atomic.Int32
			source := &store.Source{Client: client, Store: new(store.Memory), Login: func(ctx context.Context, save save) (*grant.Token, error) {
				logins.Add(1)
				return loopback.Login(ctx, client, &loopback.Options{Save: save, Open: iss.Open})
			}}
			if _, err := source.Token(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(test.wait)
			for i := range 2 {
				resp, err := source.HTTPClient().Post(iss.API(test.demand), "text/plain", strings.NewReader("text"))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK || logins.Load() != 2 {
					t.Errorf("request %d: status %d, %d logins", i, resp.StatusCode, logins.Load())
				}
			}
			asked := iss.LastAuthorization()
			for parameter, want := range test.want {
				if asked.Get(parameter) != want[0] {
					t.Errorf("asked for %s %q, want %q", parameter, asked.Get(parameter), want[0])
				}
			}
		})
	}
}

// A person who says no gets the refusal of the API; and who comes back as somebody
// else, too.
func TestStepUpLoginThatFails(t *testing.T) {
	for name, change := range map[string]func(*issuertest.Issuer){
		"refused":        func(iss *issuertest.Issuer) { iss.Refuse(true) },
		"another person": func(iss *issuertest.Issuer) { iss.SignInAs("grace") },
	} {
		t.Run(name, func(t *testing.T) {
			iss := issuertest.NewWith(t, &issuertest.Options{Scopes: []string{"admin"}})
			client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid"}, AllowInsecureRequests: true}
			t.Cleanup(client.CloseIdleConnections)
			source := &store.Source{Client: client, Store: new(store.Memory), Login: func(ctx context.Context, save save) (*grant.Token, error) {
				return loopback.Login(ctx, client, &loopback.Options{Save: save, Open: iss.Open})
			}}
			before, err := source.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			change(iss)
			log := new(protocol)
			client.Logger = log.logger(slog.LevelInfo)
			resp, err := source.HTTPClient().Get(iss.API(issuertest.Demand{Scopes: []string{"admin"}}))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusForbidden || iss.LastPage().Status == http.StatusOK {
				t.Errorf("status %d; the last page has %d", resp.StatusCode, iss.LastPage().Status)
			}
			if after, err := source.Token(t.Context()); err != nil || after.AccessToken != before.AccessToken {
				t.Errorf("the login has changed, %v", err)
			}
			lines := log.lines(t)
			if first, last := lines[0], lines[len(lines)-1]; first != "INFO another login demanded" || last != "WARN no login as it was demanded" {
				t.Errorf("the log says %q", lines)
			}
			if !strings.Contains(log.text.String(), "demand.scopes=[admin]") {
				t.Errorf("the log does not say what is demanded: %s", &log.text)
			}
		})
	}
}

// The refusal is there in the end, although the API has ended the connection while
// the person was thinking.
func TestStepUpKeepsTheRefusal(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", wantsScope)
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, strings.Repeat("why ", 10_000))
	}))
	defer api.Close()
	source := &store.Source{Client: &grant.Client{Issuer: issuerURL, ClientID: "cli"}, Store: new(store.Memory)}
	if err := source.Save(t.Context(), &grant.Token{AccessToken: "access"}); err != nil {
		t.Fatal(err)
	}
	source.Login = func(context.Context, save) (*grant.Token, error) {
		api.CloseClientConnections()
		time.Sleep(50 * time.Millisecond)
		return nil, errors.New("the person said no")
	}
	resp, err := source.HTTPClient().Get(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || len(body) != 40_000 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}
