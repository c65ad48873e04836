package store_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// A real API does not take the token any more: it is refreshed, once for all.
func TestRenewalLogin(t *testing.T) {
	for name, dpop := range map[string]bool{"bearer": false, "DPoP with nonces": true} {
		t.Run(name, func(t *testing.T) {
			iss := issuertest.NewWith(t, &issuertest.Options{RequireDPoP: dpop, DPoPNonce: dpop})
			log := new(protocol)
			client := &grant.Client{
				Issuer: iss.URL, ClientID: iss.ClientID, AllowInsecureRequests: true, DPoPBoundAccessTokens: dpop,
				Scopes: []string{"openid", "offline_access"}, Logger: log.logger(slog.LevelInfo),
			}
			t.Cleanup(client.CloseIdleConnections)
			var logins atomic.Int32
			source := &store.Source{Client: client, Store: new(store.Memory), Login: func(ctx context.Context, save save) (*grant.Token, error) {
				logins.Add(1)
				return loopback.Login(ctx, client, &loopback.Options{Save: save, Open: iss.Open})
			}}
			api := iss.API(issuertest.Demand{DPoP: dpop})
			get := func() *grant.Token {
				t.Helper()
				var all sync.WaitGroup
				for range 10 {
					all.Go(func() {
						if status, body := ask(t, source, api, strings.NewReader("text")); status != 200 || body != "{\"user\":\"ada\"}\n" {
							t.Errorf("status %d, %q", status, body)
						}
					})
				}
				all.Wait()
				token, err := source.Token(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return token
			}
			first := get()
			iss.ExpireAccessTokens()
			second := get()
			if got := strings.Count(strings.Join(log.lines(t), "\n"), "INFO token received"); got != 2 || logins.Load() != 1 {
				t.Errorf("%d tokens, %d logins", got, logins.Load())
			}
			if second.AccessToken == first.AccessToken || second.DPoP.Thumbprint() != first.DPoP.Thumbprint() {
				t.Error("the token is the same, or its key is another one")
			}
			if lines := log.lines(t); !slices.Contains(lines, "INFO token refused by an API") || slices.Contains(lines, "WARN no token in place of the refused one") {
				t.Errorf("the log says %q", lines)
			}
			if text := log.String(); strings.Contains(text, string(first.AccessToken)) || strings.Contains(text, string(second.AccessToken)) {
				t.Error("a token is in the log")
			}
		})
	}
}

// The provider has ended the login, and its tokens with it.
func TestRenewalSignsInAgain(t *testing.T) {
	iss := issuertest.New(t)
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, AllowInsecureRequests: true, Scopes: []string{"openid", "offline_access"}}
	t.Cleanup(client.CloseIdleConnections)
	source := &store.Source{Client: client, Store: new(store.Memory), Login: func(ctx context.Context, save save) (*grant.Token, error) {
		return loopback.Login(ctx, client, &loopback.Options{Save: save, Open: iss.Open})
	}}
	api := iss.API(issuertest.Demand{})
	for logins := 1; logins <= 3; logins++ {
		if status, _ := ask(t, source, api, nil); status != 200 || iss.Requests("authorize") != logins {
			t.Errorf("status %d after %d logins", status, iss.Requests("authorize"))
		}
		iss.EndLogins()
	}
	source.Login = nil
	if status, _ := ask(t, source, api, nil); status != 401 || iss.Requests("authorize") != 3 {
		t.Errorf("status %d after %d logins", status, iss.Requests("authorize"))
	}
}
