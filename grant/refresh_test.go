package grant_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

func TestRefreshTokenGrantRequestOrder(t *testing.T) {
	noToken := newServer()
	noToken.TokenEndpoint = ""
	tests := []struct {
		name    string
		as      *grant.AuthorizationServer
		client  *grant.Client
		refresh grant.Secret
		want    string
	}{
		{"RT-01 no token_endpoint", noToken, newClient(nil), "refresh_token", noEndpoint},
		{"RT-02 no refresh token, no token_endpoint", noToken, newClient(nil), "", "argument"},
		{"R001 no server", nil, newClient(nil), "refresh_token", "argument"},
		{"R002 no client", newServer(), nil, "refresh_token", "argument"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := grant.RefreshTokenGrantRequest(t.Context(), test.as, test.client, test.refresh, nil)
			wantOutcome(t, err, test.want)
		})
	}
}

// R170: what a refreshed ID token need not have, and H10: what it must share
// with the one of the login.
func TestRefreshedIDToken(t *testing.T) {
	now := time.Now().Unix()
	es := func(changes members) string { return mint("ES256", idClaims(changes)) }
	tests := []struct {
		name          string
		previous      members // nil: no previous ID token
		next          string
		defaultMaxAge *int
		want          string
	}{
		{"RT-25 no ID token", members{}, "", nil, "ok"},
		{"RT-25 no ID token before", nil, es(nil), nil, "ok"},
		{"R170 same person", members{}, es(nil), nil, "ok"},
		{"R170 a nonce is not looked at", members{"nonce": "n"}, es(members{"nonce": "other"}), nil, "ok"},
		{"R170 a nonce need not be there", members{"nonce": "n"}, es(nil), nil, "ok"},
		{"R170 DefaultMaxAge demands auth_time", members{}, es(nil), new(5), badClaim + "auth_time"},
		{"R170 DefaultMaxAge does not compare auth_time", members{}, es(members{"auth_time": now - 600}), new(5), "ok"},
		{"H10 another person", members{}, es(members{"sub": "other"}), nil, compared + "sub"},
		{"H10 another issuer before", members{"iss": "https://old.example"}, es(nil), nil, compared + "iss"},
		{"H10 an audience less", members{"aud": []string{clientID, "api"}, "azp": clientID}, es(nil), nil, compared + "aud"},
		{"H10 an audience more", members{}, es(members{"aud": []string{"api", clientID}, "azp": clientID}), nil, "ok"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			as, client := newServer(), newClient(newProvider(""))
			client.DefaultMaxAge = test.defaultMaxAge
			opts := &grant.ProcessRefreshTokenOptions{}
			if test.previous != nil {
				opts.PreviousIDToken = previousIDToken(t, test.previous)
			}
			_, err := grant.ProcessRefreshTokenResponse(t.Context(), as, client, response(200, tokenBody(test.next)), opts)
			wantOutcome(t, err, test.want)
		})
	}
}

// previousIDToken is one that was verified at a login and comes from a store.
func previousIDToken(t *testing.T, claims members) *grant.IDToken {
	t.Helper()
	stored := members{"access_token": "old", "token_type": "bearer", "id_token": mint("ES256", idClaims(claims))}
	var token grant.Token
	if err := token.UnmarshalBinary([]byte(stored.json())); err != nil {
		t.Fatal(err)
	}
	return token.IDToken
}

func TestClientRefresh(t *testing.T) {
	old := &grant.Token{AccessToken: "old", TokenType: "bearer", RefreshToken: "old refresh token",
		IDToken: previousIDToken(t, nil), Scopes: []string{"openid", "api"}, Expiry: time.Now().Add(-time.Hour)}
	raw := mint("ES256", idClaims(members{"amr": []string{"pwd"}}))
	tests := []struct {
		name string
		body members
		want func(token *grant.Token)
	}{
		{"everything new", members{"access_token": "new", "token_type": "Bearer", "refresh_token": "new refresh token", "scope": "api", "id_token": raw},
			func(want *grant.Token) {
				want.RefreshToken, want.Scopes = "new refresh token", []string{"api"}
			}},
		{"nothing but an access token", members{"access_token": "new"}, func(want *grant.Token) {
			want.RefreshToken, want.IDToken, want.Scopes = old.RefreshToken, old.IDToken, old.Scopes
		}},
		{"empty scope", members{"access_token": "new", "token_type": "BEARER", "scope": ""}, func(want *grant.Token) {
			want.RefreshToken, want.IDToken, want.Scopes = old.RefreshToken, old.IDToken, []string{}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(test.body.json())
			client := newClient(p)
			client.Server = newServer()
			client.Resources = []string{"https://b.example", "https://a.example"}
			client.TokenParameters = map[string][]string{"audience": {"x"}, "refresh_token": {"smuggled"}}
			token, err := client.Refresh(t.Context(), old)
			if err != nil {
				t.Fatal(err)
			}
			want := &grant.Token{AccessToken: "new", TokenType: "bearer", IDToken: token.IDToken}
			test.want(want)
			if !reflect.DeepEqual(token, want) {
				t.Errorf("got %#v, want %#v", *token, *want)
			}
			if _, fresh := test.body["id_token"]; fresh && token.IDToken.Raw != grant.Secret(raw) {
				t.Error("the old ID token stayed")
			}
			form := p.one(t, "/token").form
			if form.Get("refresh_token") != "old refresh token" || len(form["refresh_token"]) != 1 || form.Get("audience") != "x" ||
				!reflect.DeepEqual(form["resource"], client.Resources) {
				t.Errorf("form %v", form)
			}
		})
	}
}

// H10: the person of the login is remembered without being asked.
func TestClientRefreshOfAnotherPerson(t *testing.T) {
	client := newClient(newProvider(tokenBody(mint("ES256", idClaims(members{"sub": "other"})))))
	client.Server = newServer()
	_, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: "r", IDToken: previousIDToken(t, nil)})
	wantOutcome(t, err, compared+"sub")
	if grant.LoginRequired(err) {
		t.Error("that is no refusal")
	}
}

func TestClientRefreshArguments(t *testing.T) {
	client := newClient(newProvider(""))
	client.Server = newServer()
	for _, old := range []*grant.Token{nil, {}, {AccessToken: "a"}} {
		_, err := client.Refresh(t.Context(), old)
		wantOutcome(t, err, "argument")
	}
	_, err := (*grant.Client)(nil).Refresh(t.Context(), &grant.Token{RefreshToken: "r"})
	wantOutcome(t, err, "argument")
	client.Server.TokenEndpoint = "http://127.0.0.1/token"
	_, err = client.Refresh(t.Context(), &grant.Token{RefreshToken: "r"})
	wantOutcome(t, err, notHTTPS)
}

// What providers answer to a refresh token that is of no more use, and what
// they answer when only the moment is wrong.
func TestLoginRequired(t *testing.T) {
	html := []string{"Content-Type", "text/html"}
	tests := []struct {
		name   string
		status int
		body   string
		header []string
		want   bool
	}{
		{"RFC 6749", 400, `{"error":"invalid_grant"}`, nil, true},
		{"Dex", 400, `{"error":"invalid_request"}`, nil, true},
		{"Gitea", 400, `{"error":"unauthorized_client"}`, nil, true},
		{"Glewlwyd, empty body", 400, ``, []string{"Content-Type", ""}, true},
		{"go-oauth2", 401, `{"error":"invalid_grant"}`, nil, true},
		{"401 without a body", 401, ``, nil, true},
		{"401 with a challenge", 401, ``, []string{"WWW-Authenticate", `Bearer error="invalid_token"`}, true},
		{"401 with a challenge that names no error", 401, ``, []string{"WWW-Authenticate", `Basic realm="x"`}, true},
		{"403", 403, `{"error":"access_denied"}`, nil, true},
		{"GitHub, with the status of success", 200, `{"error":"bad_refresh_token"}`, nil, true},

		{"the client is wrong, not the token", 401, `{"error":"invalid_client"}`, nil, false},
		{"403 of a gateway", 403, `<html>`, html, false},
		{"403 with a challenge", 403, ``, []string{"WWW-Authenticate", `Basic realm="x"`}, false},
		{"404 of a moved endpoint", 404, `<html>`, html, false},
		{"405", 405, ``, nil, false},
		{"408", 408, `{"error":"invalid_request"}`, nil, false},
		{"429", 429, `{"error":"invalid_request"}`, nil, false},
		{"429 without a body", 429, ``, nil, false},
		{"slow_down", 400, `{"error":"slow_down"}`, nil, false},
		{"temporarily_unavailable", 400, `{"error":"temporarily_unavailable"}`, nil, false},
		{"server_error", 400, `{"error":"server_error"}`, nil, false},
		{"500 HTML", 500, `<html>`, html, false},
		{"503 with an error", 503, `{"error":"invalid_grant"}`, nil, false},
		{"503 with a challenge", 503, ``, []string{"WWW-Authenticate", `Bearer error="invalid_grant"`}, false},
		{"302", 302, ``, []string{"Location", "https://login.example/"}, false},
		{"302 with a challenge", 302, ``, []string{"WWW-Authenticate", `Bearer error="invalid_grant"`}, false},
		{"499", 499, `{"error":"invalid_grant"}`, nil, true},
		{"good", 200, `{"access_token":"a"}`, nil, false},
		{"not JSON", 200, `<html>`, html, false},
		{"no token", 200, `{}`, nil, false},
		{"no token, and an error that is none", 200, `{"error":5}`, nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider("")
			p.token = always(test.status, test.body, test.header...)
			client := newClient(p)
			client.Server = newServer()
			_, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: "refresh token"})
			if got := grant.LoginRequired(err); got != test.want {
				t.Errorf("%t for %v", got, err)
			}
		})
	}
	for _, err := range []error{nil, errors.New("x"), context.Canceled, grant.ErrArgument, &grant.Error{Endpoint: "authorization", Code: "access_denied"},
		&grant.Error{Endpoint: "revocation", Code: "invalid_grant", Status: 400}, &grant.CheckError{Check: "revocation_response.status", Status: 400}} {
		if grant.LoginRequired(err) {
			t.Errorf("a new login does not help against %v", err)
		}
	}
}
