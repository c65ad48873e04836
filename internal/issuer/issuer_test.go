package issuer_test

import (
	"net/http"
	"testing"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

func TestSignIn(t *testing.T) {
	iss := start(t, nil)
	uri := receiver(t)
	got := answer(t, iss, new(issuer.Visitor), request(uri))
	if got.Get("state") != "the state" || got.Get("iss") != iss.URL() || got.Get("code") == "" || len(got) != 3 {
		t.Fatalf("authorization response: %v", got)
	}
	r := post(t, iss.URL()+"/token", codeGrant(uri, got))
	if r.status != http.StatusOK {
		t.Fatalf("token endpoint: %d %v", r.status, r.body)
	}
	claims := part(t, r.string("id_token"), 1)
	if claims["nonce"] != "the nonce" || claims["iss"] != iss.URL() || claims["aud"] != "demo" {
		t.Errorf("claims: %v", claims)
	}
	info := get(t, iss.URL()+"/userinfo", "Authorization", "Bearer "+r.string("access_token"))
	if info.status != http.StatusOK || info.body["sub"] != claims["sub"] || info.body["preferred_username"] != "ada" {
		t.Errorf("userinfo: %d %v", info.status, info.body)
	}
}
