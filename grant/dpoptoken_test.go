package grant_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// R135, R136, H15: the types of an answer, with and without DPoP.
func TestDPoPTokenType(t *testing.T) {
	d := newDPoP(t, keyES)
	body := func(tokenType string) string {
		return members{"access_token": "token", "token_type": tokenType}.json()
	}
	for _, test := range []struct {
		name, answer string
		dpop         *grant.DPoP
		types        []string
		want, kind   string
	}{
		{"bound", "DPoP", d, nil, "ok", "dpop"},
		{"H15 bearer", "Bearer", d, nil, "ok", "bearer"},
		{"another", "mac", d, nil, badType, ""},
		{"bound without a key", "DPoP", nil, nil, badType, ""},
		{"bound to a key of the caller's", "dpop", nil, []string{"dpop"}, "ok", "dpop"},
		{"bearer", "bearer", nil, nil, "ok", "bearer"},
	} {
		for _, process := range []func() (*grant.Token, error){
			func() (*grant.Token, error) {
				return grant.ProcessAuthorizationCodeResponse(t.Context(), newServer(), newClient(nil), response(200, body(test.answer)),
					&grant.ProcessAuthorizationCodeOptions{DPoP: test.dpop, RecognizedTokenTypes: test.types})
			},
			func() (*grant.Token, error) {
				return grant.ProcessRefreshTokenResponse(t.Context(), newServer(), newClient(nil), response(200, body(test.answer)),
					&grant.ProcessRefreshTokenOptions{DPoP: test.dpop, RecognizedTokenTypes: test.types})
			},
		} {
			token, err := process()
			if wantOutcome(t, err, test.want); err == nil && (token.TokenType != test.kind || token.DPoP != test.dpop) {
				t.Errorf("%s: type %q, key %v", test.name, token.TokenType, token.DPoP)
			}
		}
	}
}

// The key stays with the login from one refresh to the next, also where only the
// refresh token is bound to it (RFC 9449, section 5).
func TestDPoPRefresh(t *testing.T) {
	for _, tokenType := range []string{"DPoP", "Bearer"} {
		p := newProvider(members{"access_token": "new", "token_type": tokenType}.json())
		client := newClient(p)
		client.Server = newServer()
		d := newDPoP(t, keyES)
		old := &grant.Token{AccessToken: "old", TokenType: "bearer", RefreshToken: "refresh token", DPoP: d}
		token, err := client.Refresh(t.Context(), old)
		if err != nil {
			t.Fatal(err)
		}
		if token.DPoP != d || token.TokenType != strings.ToLower(tokenType) {
			t.Errorf("type %q, key %v", token.TokenType, token.DPoP)
		}
		if _, thumbprint := openProof(t, p.one(t, "/token").header.Get("DPoP")); thumbprint != d.Thumbprint() {
			t.Error("another key was used")
		}
	}
	// A login from before the client bound its tokens gets a key.
	p := newProvider(`{"access_token":"new","token_type":"DPoP"}`)
	client := newClient(p)
	client.Server, client.DPoPBoundAccessTokens = newServer(), true
	token, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: "refresh token"})
	if err != nil {
		t.Fatal(err)
	}
	if _, thumbprint := openProof(t, p.one(t, "/token").header.Get("DPoP")); thumbprint != token.DPoP.Thumbprint() {
		t.Error("another key was used")
	}
}

// RFC 8628, section 3.5, O31: a device flow asks again with the nonce after the
// interval, once in a row.
func TestDPoPDeviceFlow(t *testing.T) {
	demand := always(400, `{"error":"use_dpop_nonce"}`, "DPoP-Nonce", "n-1")
	done := always(200, members{"access_token": "token", "token_type": "DPoP"}.json())
	for _, test := range []struct {
		name    string
		dpop    bool
		answers []endpoint
		asked   int
		want    string
	}{
		{"one demand", true, []endpoint{demand, done}, 2, "ok"},
		{"again after a while", true, []endpoint{demand, pending("authorization_pending"), demand, done}, 4, "ok"},
		{"two in a row", true, []endpoint{demand, demand, done}, 2, "refused use_dpop_nonce"},
		{"no nonce", true, []endpoint{always(400, `{"error":"use_dpop_nonce"}`), done}, 1, "refused use_dpop_nonce"},
		{"no key", false, []endpoint{demand, done}, 1, "refused use_dpop_nonce"},
	} {
		t.Run(test.name, inBubble(func(t *testing.T) {
			p, client := newDevice(nil)
			client.Scopes, client.DPoPBoundAccessTokens = nil, test.dpop
			s := &pollScript{start: time.Now(), answers: test.answers}
			p.token = s.answer
			flow, err := client.AuthorizeDevice(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			token, err := flow.Wait(t.Context())
			wantOutcome(t, err, test.want)
			if len(s.asked) != test.asked || s.asked[len(s.asked)-1] != time.Duration(test.asked)*5*time.Second {
				t.Errorf("asked at %v", s.asked)
			}
			if p.one(t, "/device").header.Get("DPoP") != "" {
				t.Error("a proof was sent for the codes") // R179
			}
			if err == nil && token.DPoP.Thumbprint() == "" {
				t.Error("the token has no key")
			}
			for i, r := range p.requests("/token") {
				if !test.dpop {
					continue
				}
				claims, thumbprint := openProof(t, r.header.Get("DPoP"))
				if (claims["nonce"] == nil) != (i == 0 || test.name == "no nonce") || err == nil && thumbprint != token.DPoP.Thumbprint() {
					t.Errorf("request %d: %v", i, claims)
				}
			}
		}))
	}
}

// What could not work later is found before the person is told to go to another
// device.
func TestDeviceFlowMistakes(t *testing.T) {
	for want, change := range map[string]func(c *grant.Client){
		"argument": func(c *grant.Client) { c.Auth = grant.TLSClientAuth(); c.HTTPClient = &http.Client{} },
		"OAUTH_UNSUPPORTED_OPERATION metadata.dpop_signing_alg_values_supported": func(c *grant.Client) {
			c.DPoPBoundAccessTokens, c.Server.DPoPSigningAlgValuesSupported = true, []string{"HS256"}
		},
	} {
		p, client := newDevice(nil)
		change(client)
		_, err := client.AuthorizeDevice(t.Context())
		if wantOutcome(t, err, want); len(p.seen) != 0 {
			t.Error("a request was sent")
		}
	}
}
