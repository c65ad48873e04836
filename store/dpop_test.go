package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// A proofAPI takes tokens with a proof that has its nonce, and keeps the bodies
// that it got. Its nonce changes with every answer.
type proofAPI struct {
	t       *testing.T
	always  bool // demands another nonce whatever comes
	answers int
	bodies  []string
	jtis    map[any]bool
}

func (a *proofAPI) answer(req *http.Request) *http.Response {
	body := ""
	if req.Body != nil {
		data, err := io.ReadAll(req.Body)
		if err != nil {
			a.t.Error(err)
		}
		body = string(data)
	}
	nonce := fmt.Sprint("nonce-", a.answers)
	a.answers++
	a.bodies = append(a.bodies, body)
	claims := claimsOf(a.t, req.Header.Get("DPoP"))
	if req.Header.Get("Authorization") != "DPoP access" || claims["htu"] != "https://"+req.URL.Host+req.URL.Path || claims["htm"] != req.Method || claims["ath"] != hashOf("access") {
		a.t.Errorf("%s %s: %v, proof %v", req.Method, req.URL, req.Header, claims)
	}
	if a.jtis[claims["jti"]] {
		a.t.Error("a proof was used twice")
	}
	a.jtis[claims["jti"]] = true
	resp := response(req, http.StatusOK, nil)
	resp.Header.Set("DPoP-Nonce", fmt.Sprint("nonce-", a.answers))
	if claims["nonce"] != nonce || a.answers == 1 || a.always {
		resp.StatusCode = http.StatusUnauthorized
		resp.Header.Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
	}
	return resp
}

func claimsOf(t *testing.T, proof string) (claims map[string]any) {
	t.Helper()
	parts := strings.Split(proof, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no proof", proof)
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// bound is a scene with a login whose token is bound to a key.
func boundLogin(t *testing.T) (*scene, *grant.DPoP, *proofAPI) {
	t.Helper()
	key, err := grant.GenerateDPoP()
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{&provider{good: "refresh"}, &shelf{}}
	s.signIn(t, &grant.Token{AccessToken: "access", TokenType: "dpop", DPoP: key, RefreshToken: "refresh", Expiry: time.Now().Add(time.Hour)})
	api := &proofAPI{t: t, jtis: map[any]bool{}}
	s.api = api.answer
	return s, key, api
}

// A request goes out with a proof, once more for a nonce, with the same body, and
// only then.
func TestHTTPClientProves(t *testing.T) {
	for _, test := range []struct {
		name   string
		body   io.Reader
		always bool
		status int
		bodies []string // that the API got, all requests of the case
	}{
		{"no body", nil, false, 200, []string{"", "", ""}},
		{"a body that can be had again", strings.NewReader("text"), false, 200, []string{"text", "text", ""}},
		{"a body that cannot", struct{ io.Reader }{strings.NewReader("text")}, false, 401, []string{"text", ""}},
		{"an API that never has enough", strings.NewReader("text"), true, 401, []string{"text", "text", "", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _, api := boundLogin(t)
			api.always = test.always
			client := s.source().HTTPClient()
			resp, err := client.Post("https://api.example/me?a=b", "text/plain", test.body)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != test.status || resp.Request.Header.Get("Authorization")+resp.Request.Header.Get("DPoP") != "" {
				t.Errorf("status %d, header %v", resp.StatusCode, resp.Request.Header)
			}
			// The nonce is known now.
			resp, err = client.Get("https://api.example/")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got, want := fmt.Sprintf("%q", api.bodies), fmt.Sprintf("%q", test.bodies); got != want {
				t.Errorf("the API got %s, want %s", got, want)
			}
		})
	}
}

// The key is stored with the login, and another process proves with it.
func TestDPoPKeyIsStored(t *testing.T) {
	s, key, _ := boundLogin(t)
	if got := s.stored(t).Token.DPoP.Thumbprint(); got != key.Thumbprint() {
		t.Errorf("stored %s, want %s", got, key.Thumbprint())
	}
	resp, err := s.source().HTTPClient().Get("https://api.example/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
	token, err := s.source().Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if token.DPoP.Thumbprint() != key.Thumbprint() || s.stored(t).Token.DPoP.Thumbprint() != key.Thumbprint() {
		t.Error("the key changed with a refresh")
	}
}

// A key that cannot be stored is an error of the login, and not a login that is
// of no use later.
func TestDPoPKeyThatCannotBeStored(t *testing.T) {
	s := &scene{&provider{}, &shelf{}}
	source := s.source()
	source.Login = func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
		token := &grant.Token{AccessToken: "access", TokenType: "dpop", DPoP: &grant.DPoP{}}
		return token, save(ctx, token)
	}
	if _, err := source.SignIn(t.Context()); err == nil {
		t.Error("signed in")
	}
}
