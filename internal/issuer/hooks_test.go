package issuer_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

func TestHooks(t *testing.T) {
	var iss *issuer.Issuer
	iss = start(t, &issuer.Options{
		Metadata: func(doc map[string]any) { doc["issuer"] = "https://evil.example"; delete(doc, "token_endpoint") },
		Redirect: func(params url.Values) { params.Set("state", "changed"); params.Del("iss") },
		IDToken: func(header, claims map[string]any) {
			header["kid"] = "other"
			claims["aud"] = []string{"a", "b"}
			if err := iss.RotateKeys(); err != nil { // hooks may call the issuer
				t.Error(err)
			}
		},
		Token: func(r *http.Request, status int, body map[string]any) (int, map[string]any) {
			body["grant"] = r.PostForm.Get("grant_type")
			return status + 1, body
		},
		JWKS: func(set map[string]any) { set["keys"] = append(set["keys"].([]any), map[string]any{"kty": "x"}) },
	})
	doc := get(t, iss.URL()+"/.well-known/openid-configuration")
	if doc.string("issuer") != "https://evil.example" || doc.body["token_endpoint"] != nil {
		t.Errorf("Metadata: %v", doc.body)
	}
	uri := receiver(t)
	got := answer(t, iss, new(issuer.Visitor), request(uri))
	if got.Get("state") != "changed" || got.Has("iss") || !got.Has("code") {
		t.Errorf("Redirect: %v", got)
	}
	r := post(t, iss.URL()+"/token", codeGrant(uri, got))
	if r.status != http.StatusCreated || r.body["grant"] != "authorization_code" {
		t.Errorf("Token: %d %v", r.status, r.body)
	}
	header, claims := part(t, r.string("id_token"), 0), part(t, r.string("id_token"), 1)
	if audience, _ := claims["aud"].([]any); header["kid"] != "other" || len(audience) != 2 {
		t.Errorf("IDToken: %v %v", header, claims)
	}
	set := get(t, iss.URL()+"/jwks")
	if keys, _ := set.body["keys"].([]any); len(keys) != 3 { // two after the rotation, and one that is none
		t.Errorf("JWKS: %v", set.body)
	}
	failed := answer(t, iss, &issuer.Visitor{Deny: true}, request(uri))
	if failed.Get("error") != "access_denied" || failed.Get("state") != "changed" {
		t.Errorf("Redirect, error: %v", failed)
	}
}

func TestTokenHookOnErrors(t *testing.T) {
	iss := start(t, &issuer.Options{
		Token: func(r *http.Request, status int, body map[string]any) (int, map[string]any) {
			if status != http.StatusBadRequest || body["error"] != "invalid_client" || r.PostForm.Get("a") != "b" {
				t.Errorf("the hook got %d %v", status, body)
			}
			return http.StatusServiceUnavailable, nil
		},
	})
	r := post(t, iss.URL()+"/token", url.Values{"a": {"b"}})
	if r.status != http.StatusServiceUnavailable || r.body != nil || r.header.Get("Content-Type") != "" {
		t.Errorf("got %d %v %v", r.status, r.header, r.body)
	}
}

func TestTokenHookWithUnencodableBody(t *testing.T) {
	iss := start(t, &issuer.Options{
		Token: func(*http.Request, int, map[string]any) (int, map[string]any) {
			return http.StatusOK, map[string]any{"expires_in": make(chan int)}
		},
	})
	if r := post(t, iss.URL()+"/token", nil); r.status != http.StatusInternalServerError {
		t.Errorf("got %d", r.status)
	}
}

func TestWrap(t *testing.T) {
	iss := start(t, &issuer.Options{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/jwks":
				panic(http.ErrAbortHandler)
			case "/moved":
				http.Redirect(w, r, "/elsewhere", http.StatusMovedPermanently)
			default:
				next.ServeHTTP(w, r)
			}
		})
	}})
	if r := get(t, iss.URL()+"/moved"); r.status != http.StatusMovedPermanently {
		t.Errorf("/moved: %d", r.status)
	}
	if r := get(t, iss.URL()+"/.well-known/openid-configuration"); r.status != http.StatusOK {
		t.Errorf("metadata: %d", r.status)
	}
	b := newBrowser(t)
	if resp, err := b.client.Get(iss.URL() + "/jwks"); !errors.Is(err, io.EOF) {
		if err == nil {
			_ = resp.Body.Close()
		}
		t.Errorf("cut connection: %v", err)
	}
	for endpoint, want := range map[string]int{"other": 1, "discovery": 1, "token": 0, "nonsense": 0} {
		if got := iss.Requests(endpoint); got != want {
			t.Errorf("%s: %d requests counted, want %d", endpoint, got, want)
		}
	}
	if iss.Requests("jwks") == 0 {
		t.Error("a request that Wrap answered was not counted")
	}
}

func TestDelay(t *testing.T) {
	const delay = 50 * time.Millisecond
	iss := start(t, &issuer.Options{Delay: delay})
	before := time.Now()
	get(t, iss.URL()+"/jwks")
	get(t, iss.URL()+"/nowhere")
	if passed := time.Since(before); passed < 2*delay {
		t.Errorf("two answers in %v", passed)
	}
}

func TestRequests(t *testing.T) {
	iss := start(t, nil)
	r := signedIn(t, iss)
	get(t, iss.URL()+"/userinfo", "Authorization", "Bearer "+r.string("access_token"))
	post(t, iss.URL()+"/revoke", nil)
	get(t, iss.URL()+"/oauth2/sign-out")
	get(t, iss.URL()+strings.Repeat("/x", 3))
	for endpoint, want := range map[string]int{
		"authorize": 1, "signin": 2, "consent": 2, "token": 1, "userinfo": 1, "revoke": 1, "signout": 1, "other": 1, "jwks": 0, "discovery": 0,
	} {
		if got := iss.Requests(endpoint); got != want {
			t.Errorf("%s: %d, want %d", endpoint, got, want)
		}
	}
}
