package store_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/internal/issuer"
	"github.com/oauth-login/oauth-login/store"
)

// TestProvider follows one login at a provider that rotates refresh tokens,
// from process to process.
func TestProvider(t *testing.T) {
	provider, err := issuer.Start(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	shelf := &store.Memory{}
	newSource := func() *store.Source { // a process
		client := &grant.Client{
			Issuer: provider.URL(), ClientID: "demo", Scopes: []string{"openid", "offline_access"}, AllowInsecureRequests: true,
		}
		t.Cleanup(client.CloseIdleConnections)
		return &store.Source{Client: client, Store: shelf}
	}

	source := newSource()
	source.Login = func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
		return visit(t, ctx, source.Client, save)
	}
	first, err := source.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	record, err := newSource().Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if record.Token.IDToken == nil || record.Token.IDToken.Subject != first.IDToken.Subject {
		t.Errorf("stored with the ID token %v", record.Token.IDToken)
	}

	last := first
	for range 3 {
		token, err := newSource().Refresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if token.AccessToken == last.AccessToken || token.RefreshToken == last.RefreshToken {
			t.Error("the provider did not rotate")
		}
		if token.IDToken == nil || token.IDToken.Subject != first.IDToken.Subject {
			t.Error("the refresh lost the person")
		}
		last = token
	}
	token, err := newSource().Token(t.Context())
	check(t, token, err, last.AccessToken, nil)

	// The client as it was is enough to end the login.
	client := record.Client()
	if err := client.Revoke(t.Context(), last.RefreshToken, "refresh_token"); err != nil {
		t.Fatal(err)
	}
	client.CloseIdleConnections()
	token, err = newSource().Refresh(t.Context())
	check(t, token, err, "", store.ErrLoginRequired)
	if refusal, ok := errors.AsType[*grant.Error](err); !ok || refusal.Code != "invalid_grant" {
		t.Errorf("error %v", err)
	}
	if n := provider.Requests("token"); n != 5 {
		t.Errorf("%d token requests, want one for the code and four refreshes", n)
	}
}

// visit signs in with a browser and a person that are played.
func visit(t *testing.T, ctx context.Context, client *grant.Client, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
	t.Helper()
	redirects := make(chan url.Values, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { redirects <- r.URL.Query() }))
	defer receiver.Close()
	flow, err := client.Authorize(ctx, receiver.URL+"/callback")
	if err != nil {
		return nil, err
	}
	if _, err := new(issuer.Visitor).Visit(ctx, flow.URL); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	select {
	case params := <-redirects:
		token, err := flow.Exchange(ctx, params)
		if err != nil {
			return nil, err
		}
		return token, save(ctx, token)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
