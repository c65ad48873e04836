package issuer_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

func TestTokenResponse(t *testing.T) {
	iss := start(t, &issuer.Options{AccessTokenTTL: 90 * time.Second})
	r := signedIn(t, iss)
	if r.body["token_type"] != "Bearer" || r.body["expires_in"] != 90.0 ||
		r.body["scope"] != "openid profile email offline_access" || r.string("refresh_token") == "" {
		t.Errorf("token response: %v", r.body)
	}
	if r.header.Get("Cache-Control") != "no-store" || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers: %v", r.header)
	}
	if r := signedIn(t, iss, "scope", "openid other"); r.body["scope"] != "openid" || r.body["refresh_token"] != nil {
		t.Errorf("without offline_access: %v", r.body)
	}
	if r := signedIn(t, iss, "scope", "-"); r.body["scope"] != "profile" || r.body["id_token"] != nil {
		t.Errorf("without a scope: %v", r.body)
	}
}

func TestCodeGrantRefuses(t *testing.T) {
	iss := start(t, &issuer.Options{Clients: []issuer.Client{{ID: "demo"}, {ID: "other"}}})
	uri := receiver(t)
	for _, test := range []struct {
		name, code string
		changes    []string
	}{
		{"wrong verifier", "invalid_grant", []string{"code_verifier", strings.Repeat("x", 43)}},
		{"the challenge as verifier", "invalid_grant", []string{"code_verifier", challenge}},
		{"no verifier", "invalid_request", []string{"code_verifier", "-"}},
		{"verifier of 42", "invalid_request", []string{"code_verifier", strings.Repeat("x", 42)}},
		{"verifier of 129", "invalid_request", []string{"code_verifier", strings.Repeat("x", 129)}},
		{"verifier with a plus", "invalid_request", []string{"code_verifier", verifier + "+"}},
		{"redirect URI with another path", "invalid_grant", []string{"redirect_uri", uri + "2"}},
		{"redirect URI with another port", "invalid_grant", []string{"redirect_uri", callback}},
		{"no redirect URI", "invalid_request", []string{"redirect_uri", "-"}},
		{"unknown code", "invalid_grant", []string{"code", strings.Repeat("x", 43)}},
		{"no code", "invalid_request", []string{"code", "-"}},
		{"other client", "invalid_grant", []string{"client_id", "other"}},
		{"unknown client", "invalid_client", []string{"client_id", "unknown"}},
		{"no client", "invalid_client", []string{"client_id", "-"}},
		{"no grant type", "invalid_request", []string{"grant_type", "-"}},
		{"password grant", "unsupported_grant_type", []string{"grant_type", "password"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := answer(t, iss, new(issuer.Visitor), request(uri))
			refused(t, post(t, iss.URL()+"/token", codeGrant(uri, got, test.changes...)), http.StatusBadRequest, test.code)
		})
	}
}

func TestTokenRefusesOtherForms(t *testing.T) {
	iss := start(t, nil)
	uri := receiver(t)
	form := codeGrant(uri, answer(t, iss, new(issuer.Visitor), request(uri)))
	token := iss.URL() + "/token"
	refused(t, send(t, http.MethodPost, token, form.Encode(), "Content-Type", "text/plain"), 400, "invalid_request")
	refused(t, send(t, http.MethodPost, token, form.Encode()), 400, "invalid_request")
	refused(t, post(t, token+"?"+form.Encode(), nil), 400, "invalid_client")
	refused(t, send(t, http.MethodPost, token, form.Encode()+"&code=x", "Content-Type", "application/x-www-form-urlencoded"), 400, "invalid_request")
	form.Set("padding", strings.Repeat("x", 1<<20))
	refused(t, post(t, token, form), 400, "invalid_request")
	form.Del("padding")
	if r := get(t, token+"?"+form.Encode()); r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "POST" {
		t.Errorf("GET: %d, Allow %q", r.status, r.header.Get("Allow"))
	}
	if r := post(t, token, form, "Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"); r.status != http.StatusOK {
		t.Errorf("none of these may use up the code: %d %v", r.status, r.body)
	}
}

func TestCodeIsUsedOnce(t *testing.T) {
	iss := start(t, nil)
	uri := receiver(t)
	form := codeGrant(uri, answer(t, iss, new(issuer.Visitor), request(uri)))
	first := post(t, iss.URL()+"/token", form)
	if r := get(t, iss.URL()+"/userinfo", "Authorization", "Bearer "+first.string("access_token")); r.status != http.StatusOK {
		t.Fatalf("userinfo before the replay: %d", r.status)
	}
	refused(t, post(t, iss.URL()+"/token", form), http.StatusBadRequest, "invalid_grant")
	if r := get(t, iss.URL()+"/userinfo", "Authorization", "Bearer "+first.string("access_token")); r.status != http.StatusUnauthorized {
		t.Errorf("userinfo after the replay: %d", r.status)
	}
	refused(t, post(t, iss.URL()+"/token", refreshGrant(first.string("refresh_token"))), http.StatusBadRequest, "invalid_grant")
}

func TestFailureUsesUpCode(t *testing.T) {
	iss := start(t, nil)
	uri := receiver(t)
	got := answer(t, iss, new(issuer.Visitor), request(uri))
	wrong := codeGrant(uri, got, "code_verifier", strings.Repeat("x", 43))
	refused(t, post(t, iss.URL()+"/token", wrong), http.StatusBadRequest, "invalid_grant")
	refused(t, post(t, iss.URL()+"/token", codeGrant(uri, got)), http.StatusBadRequest, "invalid_grant")
}

func TestCodeExpires(t *testing.T) {
	clock := newClock()
	iss := start(t, &issuer.Options{Now: clock.now})
	uri := receiver(t)
	late := codeGrant(uri, answer(t, iss, new(issuer.Visitor), request(uri)))
	clock.advance(60 * time.Second)
	refused(t, post(t, iss.URL()+"/token", late), http.StatusBadRequest, "invalid_grant")
	inTime := codeGrant(uri, answer(t, iss, new(issuer.Visitor), request(uri)))
	clock.advance(59 * time.Second)
	if r := post(t, iss.URL()+"/token", inTime); r.status != http.StatusOK {
		t.Errorf("after 59 s: %d %v", r.status, r.body)
	}
}

func TestRefresh(t *testing.T) {
	iss := start(t, nil)
	token := iss.URL() + "/token"
	first := signedIn(t, iss)
	second := post(t, token, refreshGrant(first.string("refresh_token")))
	if second.status != http.StatusOK {
		t.Fatalf("refresh: %d %v", second.status, second.body)
	}
	for _, name := range []string{"access_token", "refresh_token", "id_token"} {
		if second.string(name) == "" || second.string(name) == first.string(name) {
			t.Errorf("%s is missing or the same after the refresh", name)
		}
	}
	before, after := part(t, first.string("id_token"), 1), part(t, second.string("id_token"), 1)
	for _, name := range []string{"iss", "sub", "aud", "auth_time"} { // OIDC Core, section 12.2
		if before[name] != after[name] {
			t.Errorf("%s: %v before the refresh, %v after it", name, before[name], after[name])
		}
	}
	if _, ok := after["nonce"]; ok {
		t.Error("the refreshed ID token has a nonce")
	}
}

func TestRefreshTokenReuseEndsFamily(t *testing.T) {
	iss := start(t, nil)
	token := iss.URL() + "/token"
	first := signedIn(t, iss)
	second := post(t, token, refreshGrant(first.string("refresh_token")))
	third := post(t, token, refreshGrant(second.string("refresh_token")))
	unrelated := signedIn(t, iss)
	refused(t, post(t, token, refreshGrant(first.string("refresh_token"))), http.StatusBadRequest, "invalid_grant")
	refused(t, post(t, token, refreshGrant(third.string("refresh_token"))), http.StatusBadRequest, "invalid_grant")
	for _, r := range []*reply{first, second, third} {
		if got := get(t, iss.URL()+"/userinfo", "Authorization", "Bearer "+r.string("access_token")); got.status != http.StatusUnauthorized {
			t.Errorf("an access token of the family is still valid: %d", got.status)
		}
	}
	if r := post(t, token, refreshGrant(unrelated.string("refresh_token"))); r.status != http.StatusOK {
		t.Errorf("another family has ended too: %d %v", r.status, r.body)
	}
}

func TestRefreshScope(t *testing.T) {
	iss := start(t, nil)
	token := iss.URL() + "/token"
	first := signedIn(t, iss, "scope", "openid profile offline_access")
	refresh := first.string("refresh_token")
	for _, scope := range []string{"openid email", " ", "other"} {
		refused(t, post(t, token, refreshGrant(refresh, "scope", scope)), http.StatusBadRequest, "invalid_scope")
	}
	narrow := post(t, token, refreshGrant(refresh, "scope", "profile"))
	if narrow.body["scope"] != "profile" || narrow.body["id_token"] != nil {
		t.Errorf("narrowed: %v", narrow.body)
	}
	full := post(t, token, refreshGrant(narrow.string("refresh_token"))) // RFC 6749, section 6: the scope of the grant
	if full.body["scope"] != "openid profile offline_access" || full.body["id_token"] == nil {
		t.Errorf("widened again: %v", full.body)
	}
}

func TestRefreshRefuses(t *testing.T) {
	iss := start(t, &issuer.Options{Clients: []issuer.Client{{ID: "demo"}, {ID: "other"}}})
	token := iss.URL() + "/token"
	first := signedIn(t, iss)
	refresh := first.string("refresh_token")
	refused(t, post(t, token, refreshGrant(refresh, "client_id", "other")), http.StatusBadRequest, "invalid_grant")
	refused(t, post(t, token, refreshGrant("unknown")), http.StatusBadRequest, "invalid_grant")
	refused(t, post(t, token, refreshGrant(first.string("access_token"))), http.StatusBadRequest, "invalid_grant")
	refused(t, post(t, token, refreshGrant("-", "refresh_token", "-")), http.StatusBadRequest, "invalid_request")
	if r := post(t, token, refreshGrant(refresh)); r.status != http.StatusOK {
		t.Errorf("none of these may use up the refresh token: %d %v", r.status, r.body)
	}
}

func TestAccessTokensExpire(t *testing.T) {
	clock := newClock()
	iss := start(t, &issuer.Options{Now: clock.now, AccessTokenTTL: time.Minute})
	status := func(r *reply) int {
		return get(t, iss.URL()+"/userinfo", "Authorization", "Bearer "+r.string("access_token")).status
	}
	first := signedIn(t, iss)
	clock.advance(59 * time.Second)
	if got := status(first); got != http.StatusOK {
		t.Errorf("after 59 s: %d", got)
	}
	clock.advance(time.Second)
	if got := status(first); got != http.StatusUnauthorized {
		t.Errorf("after 60 s: %d", got)
	}
	second := post(t, iss.URL()+"/token", refreshGrant(first.string("refresh_token")))
	if got := status(second); got != http.StatusOK {
		t.Errorf("refreshed: %d", got)
	}
	iss.ExpireAccessTokens()
	if got := status(second); got != http.StatusUnauthorized {
		t.Errorf("after ExpireAccessTokens: %d", got)
	}
	if r := post(t, iss.URL()+"/token", refreshGrant(second.string("refresh_token"))); r.status != http.StatusOK {
		t.Errorf("refresh after ExpireAccessTokens: %d", r.status)
	}
}
