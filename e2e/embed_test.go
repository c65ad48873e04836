package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// newProgram returns the program of embed, as somebody else would build it, with k as its keychain.
func newProgram(t *testing.T, k *keyring, env ...string) *command {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notes")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = "embed"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	return &command{path: path, env: append(k.env(), env...)}
}

// startAPI starts an API whose notes under /private are for those alone who let it see their mail address. What a token is good for it
// learns from the provider.
func startAPI(t *testing.T, p *provider, ca *authority) (address string) {
	t.Helper()
	asks := &http.Client{Transport: ca.transport(t)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, p.Issuer+"/me", nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Authorization", r.Header.Get("Authorization"))
		resp, err := asks.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		var claims struct{ Sub, Email string }
		switch {
		case resp.StatusCode != http.StatusOK || json.NewDecoder(resp.Body).Decode(&claims) != nil:
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/private" && claims.Email == "":
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="openid email"`)
			w.WriteHeader(http.StatusForbidden)
		default:
			w.Write([]byte("notes of " + claims.Sub + " " + claims.Email))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestProgram is a day in the life of a program that embeds the packages: over https and with a real keychain.
func TestProgram(t *testing.T) {
	ca := newAuthority(t)
	p := startProvider(t, providerConfig{AlwaysRefresh: true, TLS: ca, Behavior: behavior{AccessTokenTTL: 4}})
	api := startAPI(t, p, ca)
	k := startKeyring(t)
	c := newProgram(t, k, "SSL_CERT_FILE="+ca.file(t))
	notes := func(args ...string) *process {
		t.Helper()
		return c.start(t, append([]string{"-issuer", p.Issuer, "-pending", filepath.Join(k.dir, "pending")}, args...)...)
	}
	prints := func(running *process, want string) {
		t.Helper()
		r := running.wait(t)
		r.expect(t, exitDone)
		if strings.TrimSpace(r.stdout) != want {
			t.Errorf("printed %q, want %q", r.stdout, want)
		}
	}
	byHand := func(address string) (callback string) {
		t.Helper()
		return signInWith(t, ca.transport(t), address, person{Login: "alice"})
	}

	// The first run signs in.
	running := notes("get", api+"/")
	get(t, byHand(running.url(t)))
	prints(running, "notes of alice")
	prints(notes("whoami"), "alice")
	if got := p.grants(t); !slices.Equal(got, []string{"authorization_code"}) {
		t.Errorf("token requests: %q", got)
	}

	// A later one asks nobody.
	time.Sleep(4 * time.Second)
	prints(notes("get", api+"/"), "notes of alice")
	if got := p.grants(t); !slices.Equal(got, []string{"authorization_code", "refresh_token"}) {
		t.Errorf("token requests: %q", got)
	}

	// The API wants more than that login comes of.
	running = notes("get", api+"/private")
	address := running.url(t)
	if u, err := url.Parse(address); err != nil || u.Query().Get("scope") != "openid email" {
		t.Errorf("asks for the scopes %q, %v", u.Query().Get("scope"), err)
	}
	get(t, byHand(address))
	prints(running, "notes of alice alice@example.test")
	prints(notes("get", api+"/private"), "notes of alice alice@example.test")

	// One run starts a login, another one completes it.
	running = notes("logout")
	prints(running, "")
	if k.items(t) != 0 || len(p.usable(t, "RefreshToken")) != 1 { // that of the first login, which the second has replaced
		t.Errorf("%d items are left in the keychain, %d refresh tokens are good", k.items(t), len(p.usable(t, "RefreshToken")))
	}
	started := notes("start").wait(t)
	started.expect(t, exitDone)
	callback := byHand(strings.TrimSpace(started.stdout))
	prints(notes("complete", callback), "")
	prints(notes("whoami"), "alice")
	if r := notes("complete", callback).wait(t); r.code == exitDone {
		t.Error("a login was completed twice")
	}
}

// TestProgramWithBrowser signs in with a real browser, and again for what the API demands.
func TestProgramWithBrowser(t *testing.T) {
	p := startProvider(t, providerConfig{})
	ca := newAuthority(t)
	api := startAPI(t, p, ca)
	c := newProgram(t, startKeyring(t))
	w := startBrowser(t).window(t)
	running := c.start(t, "-here", "-issuer", p.Issuer, "get", api+"/private")
	for range 2 {
		if v := w.visit(t, running.url(t), person{Login: "alice"}); !saysSignedIn(v) {
			t.Errorf("last page: %q, %q", v.Title, v.Text)
		}
	}
	if r := running.wait(t); r.code != exitDone || !strings.Contains(r.stdout, "alice@example.test") {
		t.Errorf("exit %d, printed %q; stderr:\n%s", r.code, r.stdout, r.stderr)
	}
}
