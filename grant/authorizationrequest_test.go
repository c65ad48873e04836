package grant_test

import (
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// What a program may ask for reaches the server as it was given.
func TestAuthorizationParameters(t *testing.T) {
	tests := []struct {
		name  string
		setup func(c *grant.Client)
		param string
		want  []string
	}{
		{"ui_locales", func(c *grant.Client) { c.UILocales = "de-CH en" }, "ui_locales", []string{"de-CH en"}},
		{"claims", func(c *grant.Client) { c.Claims = json.RawMessage(` {"id_token": {"email":null}}`) }, "claims", []string{` {"id_token": {"email":null}}`}},
		{"authorization_details", func(c *grant.Client) { c.AuthorizationDetails = json.RawMessage(`[{"type":"a"}]`) }, "authorization_details", []string{`[{"type":"a"}]`}},
		{"resource, not normalised", func(c *grant.Client) { c.Resources = []string{"HTTPS://A.example:443", "https://a.example/../"} }, "resource", []string{"HTTPS://A.example:443", "https://a.example/../"}},
		{"by name", func(c *grant.Client) { c.AuthorizationParameters = url.Values{"claims": {"{}"}} }, "claims", []string{"{}"}},
		{"the field wins", func(c *grant.Client) {
			c.Claims, c.AuthorizationParameters = json.RawMessage(`{"a":1}`), url.Values{"claims": {"{}", "[]"}}
		}, "claims", []string{`{"a":1}`}},
		{"resources win", func(c *grant.Client) {
			c.Resources, c.AuthorizationParameters = []string{"https://a.example"}, url.Values{"resource": {"https://b.example"}}
		}, "resource", []string{"https://a.example"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, client := newOIDC()
			test.setup(client)
			flow, err := client.Authorize(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			if got := query(t, flow)[test.param]; !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Nobody but this package decides what these parameters are, whether they are sent
// or not.
func TestAuthorizationParametersOfOurs(t *testing.T) {
	names := []string{"response_type", "client_id", "redirect_uri", "state", "nonce", "code_challenge", "code_challenge_method",
		"response_mode", "request", "request_uri", "dpop_jkt", "client_secret", "client_assertion", "client_assertion_type"}
	for _, name := range names {
		for where, setup := range map[string]func(c *grant.Client){
			"additional": func(c *grant.Client) {
				c.AuthorizationParameters = url.Values{name: {"smuggled", "twice"}, "kept": {"1"}}
			},
			"endpoint": func(c *grant.Client) { c.Server.AuthorizationEndpoint += "?kept=1&" + name + "=smuggled" },
		} {
			t.Run(where+" "+name, func(t *testing.T) {
				_, client := newOIDC()
				client.Scopes = nil // so that no nonce is sent
				setup(client)
				flow, err := client.Authorize(t.Context(), redirect)
				if err != nil {
					t.Fatal(err)
				}
				got := query(t, flow)
				if slices.Contains(got[name], "smuggled") || len(got[name]) > 1 || got.Get("kept") != "1" {
					t.Errorf("%s is %q", name, got[name])
				}
			})
		}
	}
}

func TestAuthorizationParametersAreChecked(t *testing.T) {
	for name, setup := range map[string]func(c *grant.Client){
		"claims is empty":                      func(c *grant.Client) { c.Claims = json.RawMessage("") },
		"claims is no JSON":                    func(c *grant.Client) { c.Claims = json.RawMessage("{") },
		"claims is an array":                   func(c *grant.Client) { c.Claims = json.RawMessage("[]") },
		"claims is null":                       func(c *grant.Client) { c.Claims = json.RawMessage("null") },
		"authorization_details is no JSON":     func(c *grant.Client) { c.AuthorizationDetails = json.RawMessage("[}") },
		"authorization_details is an object":   func(c *grant.Client) { c.AuthorizationDetails = json.RawMessage(`{"type":"a"}`) },
		"authorization_details goes on behind": func(c *grant.Client) { c.AuthorizationDetails = json.RawMessage(`[] []`) },
	} {
		_, client := newOIDC()
		setup(client)
		_, err := client.Authorize(t.Context(), redirect)
		if got := outcome(err); got != "argument" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// RFC 9396, section 7: what was granted, which may be more or less than was asked
// for. It survives the store, and a refresh that does not repeat it.
func TestAuthorizationDetailsGranted(t *testing.T) {
	const granted = `[{"type":"account","é":"<&>"}]`
	for body, want := range map[string]string{
		granted: granted, "[]": "[]", "null": "", `{"type":"a"}`: "", `"[]"`: "", "": "",
	} {
		answer := members{"access_token": "t", "token_type": "bearer", "refresh_token": "r"}
		if body != "" {
			answer["authorization_details"] = json.RawMessage(body)
		}
		p := newProvider(answer.json())
		client := newClient(p)
		client.Server = newServer()
		token, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: "r0"})
		if err != nil {
			t.Fatal(err)
		}
		same := func(got json.RawMessage) bool {
			var a, b any
			if want == "" {
				return got == nil
			}
			return json.Unmarshal(got, &a) == nil && json.Unmarshal([]byte(want), &b) == nil && reflect.DeepEqual(a, b)
		}
		if !same(token.AuthorizationDetails) {
			t.Errorf("%s: got %s", body, token.AuthorizationDetails)
		}
		if (token.OAuth2().Extra("authorization_details") != nil) != (want != "") {
			t.Errorf("%s: as an extra of x/oauth2: %v", body, token.OAuth2().Extra("authorization_details"))
		}
		data, err := token.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		again := new(grant.Token)
		if err := again.UnmarshalBinary(data); err != nil || !same(again.AuthorizationDetails) {
			t.Errorf("%s: stored as %s, %v", body, data, err)
		}
		p.token = always(200, `{"access_token":"t2","token_type":"bearer"}`)
		if token, err = client.Refresh(t.Context(), token); err != nil || !same(token.AuthorizationDetails) {
			t.Errorf("%s: after a refresh %s, %v", body, token.AuthorizationDetails, err)
		}
	}
}

// RFC 6749, section 5.1: no scope means what was asked for, and any other is what
// counts.
func TestScopesGranted(t *testing.T) {
	for body, want := range map[string][]string{
		`{"access_token":"t"}`: {"api:read", "api:write"}, `{"access_token":"t","scope":"api:read"}`: {"api:read"}, `{"access_token":"t","scope":""}`: {},
	} {
		p := newProvider(body)
		client := newClient(p)
		client.Server, client.Scopes = newServer(), []string{"api:read", "api:write"}
		flow, err := client.Authorize(t.Context(), redirect)
		if err != nil {
			t.Fatal(err)
		}
		token, err := flow.Exchange(t.Context(), redirectOf(t, flow))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(token.Scopes, want) {
			t.Errorf("%s: scopes %q, want %q", body, token.Scopes, want)
		}
	}
}
