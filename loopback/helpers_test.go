package loopback_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/internal/issuer"
	"github.com/oauth-login/oauth-login/loopback"
)

// A toy is an authorization server that has a token endpoint and nothing else:
// tests write the redirect themselves.
type toy struct {
	client *grant.Client
	tokens atomic.Int32 // token requests
}

// startToy starts a toy whose token endpoint is answer; nil gives out a token.
func startToy(t *testing.T, answer http.HandlerFunc) *toy {
	t.Helper()
	if answer == nil {
		answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"secret-token","token_type":"bearer","expires_in":3600}`)
		}
	}
	s := new(toy)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.tokens.Add(1)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	s.client = &grant.Client{
		ClientID: "toy", AllowInsecureRequests: true,
		Server: &grant.AuthorizationServer{
			Issuer: server.URL, AuthorizationEndpoint: server.URL + "/authorize", TokenEndpoint: server.URL + "/token",
		},
	}
	t.Cleanup(s.client.CloseIdleConnections)
	return s
}

// startIssuer starts a whole provider, and a client of it.
func startIssuer(t *testing.T, opts *issuer.Options) (*issuer.Issuer, *grant.Client) {
	t.Helper()
	iss, err := issuer.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := iss.Close(); err != nil {
			t.Error(err)
		}
	})
	client := &grant.Client{
		Issuer: iss.URL(), ClientID: "demo", Scopes: []string{"openid", "profile"}, AllowInsecureRequests: true,
	}
	t.Cleanup(client.CloseIdleConnections)
	return iss, client
}

// A login is a Login that runs.
type login struct {
	URL         string // where the person signs in
	RedirectURI string

	mu     sync.Mutex
	events []loopback.Event
	ended  chan struct{}
	token  *grant.Token
	err    error
}

// start runs Login, and returns when the person could sign in. Without opts no
// browser is opened.
func start(ctx context.Context, t *testing.T, client *grant.Client, opts *loopback.Options) *login {
	t.Helper()
	if opts == nil {
		opts = &loopback.Options{NoBrowser: true}
	}
	l := &login{ended: make(chan struct{})}
	ready := make(chan loopback.Event, 1)
	notify := opts.Notify
	opts.Notify = func(e loopback.Event) {
		l.mu.Lock()
		l.events = append(l.events, e)
		l.mu.Unlock()
		if notify != nil {
			notify(e)
		}
		if e.Kind == loopback.AuthorizationURL {
			ready <- e
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	t.Cleanup(func() {
		cancel()
		<-l.ended
	})
	go func() {
		defer close(l.ended)
		l.token, l.err = loopback.Login(ctx, client, opts)
	}()
	select {
	case e := <-ready:
		l.URL, l.RedirectURI = e.URL, e.RedirectURI
	case <-l.ended:
		t.Fatalf("the login ended early: %v", l.err)
	}
	return l
}

// wait returns what Login has returned.
func (l *login) wait(t *testing.T) (*grant.Token, error) {
	t.Helper()
	select {
	case <-l.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the login does not end")
	}
	return l.token, l.err
}

// succeed checks that Login has returned a token.
func (l *login) succeed(t *testing.T) {
	t.Helper()
	token, err := l.wait(t)
	if err != nil {
		t.Fatal(err)
	}
	if token.AccessToken == "" {
		t.Error("the token is empty")
	}
}

func (l *login) seen(kind loopback.EventKind) []loopback.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var seen []loopback.Event
	for _, e := range l.events {
		if e.Kind == kind {
			seen = append(seen, e)
		}
	}
	return seen
}

func (l *login) state(t *testing.T) string {
	t.Helper()
	state := stateOf(l.URL)
	if state == "" {
		t.Fatal("the authorization URL has no state")
	}
	return state
}

// stateOf returns the state of an authorization URL.
func stateOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Query().Get("state")
}

// callback is the redirect that completes the login.
func (l *login) callback(t *testing.T) string {
	return l.RedirectURI + "?code=secret-code&state=" + l.state(t)
}

// A page is what a browser has got.
type page struct {
	url    string // of the last response
	status int
	header http.Header
	body   string
}

// browse follows redirects as a browser does, on connections of its own.
func browse(t *testing.T, address string) page {
	t.Helper()
	got, err := load(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func load(ctx context.Context, address string) (page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return page{}, err
	}
	return send(req, nil)
}

func send(req *http.Request, policy func(*http.Request, []*http.Request) error) (page, error) {
	client := &http.Client{Transport: new(http.Transport), Timeout: 15 * time.Second, CheckRedirect: policy}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return page{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return page{resp.Request.URL.String(), resp.StatusCode, resp.Header, string(body)}, err
}

// checkSecure checks the headers that every answer has.
func checkSecure(t *testing.T, h http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control":                "no-store",
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	policy := h.Get("Content-Security-Policy")
	for _, want := range []string{
		"default-src 'none'", "style-src 'sha256-", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
	} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("the answer has %s", name)
		}
	}
}

// checkSilent checks that no secret of a login is in the texts that it gave out.
func checkSilent(t *testing.T, l *login, texts ...string) {
	t.Helper()
	secrets := []string{"secret-code", "secret-token", l.state(t)}
	if l.err != nil {
		texts = append(texts, l.err.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		texts = append(texts, e.Reason)
		if e.Err != nil {
			texts = append(texts, e.Err.Error())
		}
	}
	for _, text := range texts {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is in %q", text)
			}
		}
	}
}

var errDisk = errors.New("the disk is full")

// refuse is a token endpoint that refuses.
func refuse(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.Copy(w, bytes.NewBufferString(`{"error":"invalid_grant","error_description":"no such code"}`))
}

// startHanging starts a server that never answers, and returns its URL.
func startHanging(t *testing.T) string {
	t.Helper()
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-done:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() {
		close(done)
		server.Close()
	})
	return server.URL
}
