package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// toy is the least that a client can be: a receiver of redirects and a code grant without any check. With it, these tests prove the
// provider and the browser without the command.
type toy struct {
	t        *testing.T
	p        *provider
	receiver *httptest.Server
	verifier string
	callback url.Values // what the receiver got
}

func newToy(t *testing.T, p *provider) *toy {
	c := &toy{t: t, p: p, verifier: rand.Text() + rand.Text()}
	c.receiver = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/callback":
			c.callback = r.URL.Query()
			w.Header().Set("Referrer-Policy", "no-referrer")
			http.Redirect(w, r, "/done", http.StatusSeeOther)
		case "/done":
			w.Header().Set("Content-Type", "text/html")
			w.Write([]byte("<!doctype html><title>toy</title><p>you can close this page"))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(c.receiver.Close)
	return c
}

func (c *toy) redirectURI() string { return c.receiver.URL + "/callback" }

func (c *toy) authorizationURL() string {
	challenge := sha256.Sum256([]byte(c.verifier))
	return c.p.Issuer + "/auth?" + url.Values{
		"response_type":         {"code"},
		"client_id":             {"native"},
		"redirect_uri":          {c.redirectURI()},
		"scope":                 {"openid offline_access"},
		"prompt":                {"consent"},
		"state":                 {"toy-state"},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"code_challenge_method": {"S256"},
	}.Encode()
}

type toyTokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int    `json:"expires_in"`
	Error        string
}

func (c *toy) post(path string, form url.Values) (status int, answer toyTokens) {
	c.t.Helper()
	form.Set("client_id", "native")
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.p.Issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ContentLength != 0 {
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			c.t.Fatal(err)
		}
	}
	return resp.StatusCode, answer
}

func (c *toy) exchange(code string) (int, toyTokens) {
	return c.post("/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.redirectURI()}, "code_verifier": {c.verifier},
	})
}

func (c *toy) refresh(token string) (int, toyTokens) {
	return c.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// TestBrowser proves that Chromium signs in, and that a visit tells what it has seen.
func TestBrowser(t *testing.T) {
	p := startProvider(t, providerConfig{})
	b := startBrowser(t)

	c := newToy(t, p)
	v := b.visit(t, c.authorizationURL(), person{Login: "alice"})
	if v.URL != c.receiver.URL+"/done" || v.Title != "toy" || v.Text != "you can close this page" {
		t.Errorf("last page is %s, %q, %q", v.URL, v.Title, v.Text)
	}
	if c.callback.Get("state") != "toy-state" || c.callback.Get("iss") != p.Issuer {
		t.Errorf("callback has state %q and iss %q", c.callback.Get("state"), c.callback.Get("iss"))
	}
	if status, _ := c.exchange(c.callback.Get("code")); status != http.StatusOK {
		t.Errorf("exchange answered %d", status)
	}
	seen := v.from(strings.TrimPrefix(c.receiver.URL, "http://"))
	if len(seen) < 2 || seen[0].Status != http.StatusSeeOther || seen[1].Status != http.StatusOK ||
		seen[0].Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("responses of the receiver: %+v, want a redirect with its header and a page first", seen)
	}
	if len(v.History) == 0 || v.History[len(v.History)-2] != v.URL {
		t.Errorf("history %q does not end with the last page", v.History)
	}

	c = newToy(t, p)
	b.visit(t, c.authorizationURL(), person{Login: "alice", Denies: true})
	if c.callback.Get("error") != "access_denied" || c.callback.Get("state") != "toy-state" {
		t.Errorf("denied: callback has error %q and state %q", c.callback.Get("error"), c.callback.Get("state"))
	}
}

// TestProvider proves that the provider does what the other tests count on: short tokens, rotation, revocation, its account of what it
// was asked, and the answers that are put in its mouth.
func TestProvider(t *testing.T) {
	p := startProvider(t, providerConfig{Behavior: behavior{AccessTokenTTL: 7}})
	c := newToy(t, p)
	callback, err := url.Parse(signInByHand(t, c.authorizationURL(), person{Login: "alice"}))
	if err != nil {
		t.Fatal(err)
	}

	p.behave(t, behavior{Answers: []cannedAnswer{
		{Path: "/token", Times: 1, Status: http.StatusBadRequest, Body: object{"error": "invalid_grant"}},
	}})
	code := callback.Query().Get("code")
	if status, answer := c.exchange(code); status != http.StatusBadRequest || answer.Error != "invalid_grant" {
		t.Fatalf("canned answer: got %d, %q", status, answer.Error)
	}
	status, first := c.exchange(code)
	if status != http.StatusOK || first.ExpiresIn != 7 || first.RefreshToken == "" {
		t.Fatalf("exchange answered %d, expires_in %d, refresh token: %t", status, first.ExpiresIn, first.RefreshToken != "")
	}
	if status, sub := p.userinfo(t, first.AccessToken); status != http.StatusOK || sub != "alice" {
		t.Fatalf("userinfo answered %d, %q", status, sub)
	}

	p.behave(t, behavior{AccessTokenTTL: 900})
	status, second := c.refresh(first.RefreshToken)
	if status != http.StatusOK || second.ExpiresIn != 900 || second.RefreshToken == first.RefreshToken {
		t.Fatalf("refresh answered %d, expires_in %d, rotated: %t", status, second.ExpiresIn, second.RefreshToken != first.RefreshToken)
	}
	if n := len(p.usable(t, "RefreshToken")); n != 1 {
		t.Fatalf("%d refresh tokens are usable after the rotation, want 1", n)
	}
	if status, _ := c.post("/token/revocation", url.Values{"token": {second.RefreshToken}}); status != http.StatusOK {
		t.Fatalf("revocation answered %d", status)
	}
	if n := len(p.usable(t, "RefreshToken")); n != 0 {
		t.Fatalf("%d refresh tokens are usable after the revocation", n)
	}
	if got, want := strings.Join(p.grants(t), " "), "authorization_code authorization_code refresh_token"; got != want {
		t.Fatalf("provider counts the grants %q, want %q", got, want)
	}

	p.behave(t, behavior{Delay: 200})
	start := time.Now()
	c.refresh(second.RefreshToken)
	if took := time.Since(start); took < 200*time.Millisecond {
		t.Fatalf("delayed answer came after %v", took)
	}
}
