package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// signedUserinfo is a provider whose client gets its userinfo signed.
func signedUserinfo(t *testing.T) *provider {
	t.Helper()
	metadata := nativeClient()
	metadata["userinfo_signed_response_alg"] = "RS256"
	return startProvider(t, providerConfig{Configuration: object{
		"clients": []object{metadata}, "features": object{"jwtUserinfo": object{"enabled": true}},
	}})
}

// TestUserinfo asks who is signed in, where the answer is plain and where it is signed.
func TestUserinfo(t *testing.T) {
	for name, p := range map[string]*provider{"plain": startProvider(t, providerConfig{}), "signed": signedUserinfo(t)} {
		t.Run(name, func(t *testing.T) {
			c := newCommand(t, startKeyring(t))
			running := c.start(t, login(p, "--no-browser")...)
			get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
			running.wait(t).expect(t, exitDone)
			r := c.run(t, "userinfo", "--output", "json")
			r.expect(t, exitDone)
			var claims struct{ Sub, Email string }
			if err := json.Unmarshal([]byte(r.stdout), &claims); err != nil || claims.Sub != "alice" || claims.Email != "alice@example.test" {
				t.Errorf("%v, %v", claims, err)
			}
		})
	}
}

// TestPackageUserinfo is TestUserinfo without the command. A client that is registered for signed answers takes no others.
func TestPackageUserinfo(t *testing.T) {
	plain, signed := startProvider(t, providerConfig{}), signedUserinfo(t)
	for _, tt := range []struct {
		p        *provider
		alg      string
		accepted bool
	}{{plain, "", true}, {plain, "RS256", false}, {signed, "RS256", true}, {signed, "", true}, {signed, "ES256", false}} {
		client := &grant.Client{Issuer: tt.p.Issuer, ClientID: "native", Scopes: []string{"openid"}, UserinfoSignedResponseAlg: tt.alg, AllowInsecureRequests: true}
		token := loginBy(t, client, func(address string) { get(t, signInByHand(t, address, person{Login: "alice"})) })
		userinfo, err := client.Userinfo(t.Context(), token)
		if _, refused := errors.AsType[*grant.CheckError](err); refused == tt.accepted || err == nil && userinfo.Subject != "alice" {
			t.Errorf("alg %q: %v", tt.alg, err)
		}
	}
}

// TestPackageRevocation ends a refresh token, and with it all that came of it.
func TestPackageRevocation(t *testing.T) {
	p := startProvider(t, providerConfig{AlwaysRefresh: true})
	client := &grant.Client{Issuer: p.Issuer, ClientID: "native", Scopes: []string{"openid"}, AllowInsecureRequests: true}
	token := loginBy(t, client, func(address string) { get(t, signInByHand(t, address, person{Login: "alice"})) })
	if err := client.Revoke(t.Context(), token.RefreshToken, "refresh_token"); err != nil {
		t.Fatal(err)
	}
	if left := p.usable(t, "RefreshToken"); len(left) != 0 {
		t.Errorf("still good at the provider: %+v", left)
	}
	if _, err := client.Refresh(t.Context(), token); !grant.LoginRequired(err) {
		t.Errorf("a refresh: %v", err)
	}
}

// TestEndSession signs out at the provider with a real browser: the next person has to sign in, and is somebody else.
func TestEndSession(t *testing.T) {
	p := startProvider(t, providerConfig{})
	c := newCommand(t, startKeyring(t))
	program, handed := newOpener(t)
	w := startBrowser(t).window(t)
	signIn := func(who string) {
		t.Helper()
		running := c.start(t, login(p, "--no-browser", "--prompt", "consent")...)
		w.visit(t, running.url(t), person{Login: who})
		if r := running.wait(t); !r.says("signed in as " + who) {
			t.Fatalf("exit %d, stderr:\n%s", r.code, r.stderr)
		}
	}
	signIn("alice")

	running := c.start(t, "logout", "--end-session", "--browser", program)
	address := receiveURL(t, handed)
	if u, err := url.Parse(address); err != nil || u.Hostname() != "127.0.0.1" || u.RawQuery != "" {
		t.Errorf("the browser is started with %q", address)
	}
	if v := w.visit(t, address, person{}); v.Title != "Sign-out Success" {
		t.Errorf("last page: %q, %q", v.Title, v.Text)
	}
	running.wait(t).expect(t, exitDone)
	hinted := false
	for _, r := range p.requests(t) {
		hinted = hinted || r.Path == "/session/end" && r.Parameters["id_token_hint"] != nil && r.Parameters["client_id"] == "native"
	}
	if !hinted {
		t.Error("the provider was not told who signs out")
	}
	signIn("bob") // alice would still be signed in
}

// TestPackageEndSession comes back to the application after signing out, if the address is registered.
func TestPackageEndSession(t *testing.T) {
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<title>Back</title>")
	}))
	t.Cleanup(back.Close)
	metadata := nativeClient()
	metadata["post_logout_redirect_uris"] = []string{back.URL + "/signed-out"}
	p := startProvider(t, providerConfig{Configuration: object{"clients": []object{metadata}}})
	w := startBrowser(t).window(t)
	client := &grant.Client{Issuer: p.Issuer, ClientID: "native", Scopes: []string{"openid"}, AllowInsecureRequests: true}
	token := loginBy(t, client, func(address string) { w.visit(t, address, person{Login: "alice"}) })
	for _, tt := range []struct{ redirect, state, url, title string }{
		{back.URL + "/elsewhere", "", p.Issuer, "oops! something went wrong"},
		{back.URL + "/signed-out", "some state", back.URL + "/signed-out?state=some", "Back"},
		{"", "", p.Issuer, "Sign-out Success"},
	} {
		address, err := client.EndSessionURL(t.Context(), token, tt.redirect, tt.state)
		if err != nil {
			t.Fatal(err)
		}
		if v := w.visit(t, string(address), person{}); v.Title != tt.title || !strings.HasPrefix(v.URL, tt.url) {
			t.Errorf("to %q: last page %q at %s", tt.redirect, v.Title, v.URL)
		}
	}
}
