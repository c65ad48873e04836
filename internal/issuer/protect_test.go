package issuer_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// startAPI starts an API of ada's that answers "hello" when a demand is met.
func startAPI(t *testing.T, iss *issuer.Issuer, demand issuer.Demand) (url string) {
	t.Helper()
	server := httptest.NewServer(iss.Protect(demand, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if issuer.User(r) != "ada" {
			t.Errorf("the request is of %q", issuer.User(r))
		}
		_, _ = io.WriteString(w, "hello")
	})))
	t.Cleanup(server.Close)
	return server.URL + "/orders"
}

func bearer(r *reply) []string {
	return []string{"Authorization", "Bearer " + r.string("access_token")}
}

func TestProtect(t *testing.T) {
	clock := newClock()
	iss := start(t, &issuer.Options{Scopes: []string{"orders"}, ACRValues: []string{"mfa"}, Now: clock.now})
	plain := signedIn(t, iss)
	full := signedIn(t, iss, "scope", "openid orders", "acr_values", "mfa")
	gone := signedIn(t, iss)
	post(t, iss.URL()+"/revoke", change(refreshGrant(gone.string("refresh_token")), "token", gone.string("refresh_token")))
	clock.advance(time.Minute)
	for name, test := range map[string]struct {
		demand    issuer.Demand
		header    []string
		status    int
		challenge string
	}{
		"no token":         {issuer.Demand{}, nil, 401, `Bearer realm="api"`},
		"another scheme":   {issuer.Demand{}, []string{"Authorization", "Basic x"}, 401, `Bearer realm="api"`},
		"unknown token":    {issuer.Demand{}, []string{"Authorization", "Bearer x"}, 401, `Bearer realm="api", error="invalid_token"`},
		"revoked":          {issuer.Demand{}, bearer(gone), 401, `Bearer realm="api", error="invalid_token"`},
		"good":             {issuer.Demand{}, bearer(plain), 200, ""},
		"scope is missing": {issuer.Demand{Scopes: []string{"openid", "orders"}}, bearer(plain), 403, `Bearer realm="api", error="insufficient_scope", scope="openid orders"`},
		"scope":            {issuer.Demand{Scopes: []string{"orders"}}, bearer(full), 200, ""},
		"other way":        {issuer.Demand{ACRValues: []string{"phr", "mfa"}}, bearer(plain), 401, `Bearer realm="api", error="insufficient_user_authentication", acr_values="phr mfa"`},
		"way":              {issuer.Demand{ACRValues: []string{"phr", "mfa"}}, bearer(full), 200, ""},
		"too long ago":     {issuer.Demand{MaxAge: 59 * time.Second}, bearer(full), 401, `Bearer realm="api", error="insufficient_user_authentication", max_age="59"`},
		"not too long ago": {issuer.Demand{MaxAge: time.Minute}, bearer(full), 200, ""},
		"not bound":        {issuer.Demand{DPoP: true}, bearer(full), 401, `DPoP realm="api", error="invalid_token", algs="RS256 ES256 PS256 EdDSA"`},
		"bound without":    {issuer.Demand{}, []string{"Authorization", "DPoP " + full.string("access_token")}, 401, `DPoP realm="api", error="invalid_dpop_proof", algs="RS256 ES256 PS256 EdDSA"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := get(t, startAPI(t, iss, test.demand), test.header...)
			if r.status != test.status || r.header.Get("WWW-Authenticate") != test.challenge {
				t.Errorf("got %d %s, want %d %s", r.status, r.header.Get("WWW-Authenticate"), test.status, test.challenge)
			}
		})
	}
}

// A bound token needs a proof for the API, with the nonce where one is wanted.
func TestProtectWithDPoP(t *testing.T) {
	iss := start(t, &issuer.Options{DPoPNonce: true})
	uri, key, token := receiver(t), keys(t)["ES256"], iss.URL()+"/token"
	form := codeGrant(uri, answer(t, iss, new(issuer.Visitor), request(uri)))
	nonce := post(t, token, form, "DPoP", proof(t, key, "ES256", "POST", token, nil)).header.Get("DPoP-Nonce")
	access := post(t, token, form, "DPoP", proof(t, key, "ES256", "POST", token, fields{"nonce": nonce})).string("access_token")
	api := startAPI(t, iss, issuer.Demand{DPoP: true})
	ask := func(scheme, target string, changes fields) *reply {
		return get(t, api, "Authorization", scheme+" "+access, "DPoP", proof(t, key, "ES256", "GET", target, fields{"ath": ath(access)}.with(changes)))
	}
	r := ask("DPoP", api, nil)
	if r.status != http.StatusUnauthorized || r.header.Get("WWW-Authenticate") != `DPoP realm="api", error="use_dpop_nonce", algs="RS256 ES256 PS256 EdDSA"` {
		t.Fatalf("without a nonce: %d %v", r.status, r.header)
	}
	good := fields{"nonce": r.header.Get("DPoP-Nonce")}
	if r := ask("DPoP", api, good); r.status != http.StatusOK {
		t.Errorf("with the nonce: %d %v", r.status, r.header)
	}
	for name, r := range map[string]*reply{
		"as a bearer token":      ask("Bearer", api, good),
		"proof for the issuer":   ask("DPoP", iss.URL()+"/orders", good),
		"proof without the hash": ask("DPoP", api, good.with(fields{"ath": ath("x")})),
	} {
		if r.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, r.status)
		}
	}
}
