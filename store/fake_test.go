package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

const issuerURL = "https://issuer.example"

// A provider is a token endpoint without a network. It rotates refresh tokens:
// each is good for one request, and the next token is named after its number.
type provider struct {
	delay  time.Duration
	answer func(form url.Values) (status int, body any) // nil, or 0 for the honest answer
	fail   error                                        // of the network
	api    func(*http.Request) *http.Response           // everything but the token endpoint

	mu    sync.Mutex
	forms []url.Values
	good  string // the refresh token that is accepted
}

// client returns a client that reaches this provider only.
func (p *provider) client() *grant.Client {
	return &grant.Client{
		ClientID:   "cli",
		Server:     &grant.AuthorizationServer{Issuer: issuerURL, TokenEndpoint: issuerURL + "/token"},
		HTTPClient: &http.Client{Transport: p},
	}
}

func (p *provider) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != "issuer.example" {
		return p.api(req), nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.forms = append(p.forms, form)
	p.mu.Unlock()
	select {
	case <-time.After(p.delay):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	if p.fail != nil {
		return nil, p.fail
	}
	status, answer := p.respond(form)
	return response(req, status, answer), nil
}

func (p *provider) respond(form url.Values) (int, any) {
	if p.answer != nil {
		if status, body := p.answer(form); status != 0 {
			return status, body
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if form.Get("refresh_token") != p.good {
		return http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": "it was used before"}
	}
	p.good = fmt.Sprintf("refresh-%d", len(p.forms))
	return http.StatusOK, map[string]any{
		"access_token": fmt.Sprintf("access-%d", len(p.forms)), "token_type": "Bearer",
		"refresh_token": p.good, "expires_in": 3600,
	}
}

// requests is how often the token endpoint was asked.
func (p *provider) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.forms)
}

func response(req *http.Request, status int, body any) *http.Response {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Request: req,
		Body: io.NopCloser(strings.NewReader(string(text))),
	}
}

// shelf is a Store that counts, and that fails on request.
type shelf struct {
	store.Memory
	mu                     sync.Mutex
	log                    []string
	loadErr, saveErr, sick error
	slow                   time.Duration // how long a save or a deletion takes
	slowLoad               time.Duration // how long the way back from a load takes
}

func (s *shelf) note(what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, what)
	return map[string]error{"load": s.loadErr, "save": s.saveErr, "probe": s.sick}[what]
}

// failSaves makes saves fail from now on, or succeed again.
func (s *shelf) failSaves(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saveErr = err
}

// took returns what was done since the last call.
func (s *shelf) took() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := strings.Join(s.log, " ")
	s.log = nil
	return log
}

func (s *shelf) Load(ctx context.Context, key string) ([]byte, error) {
	if err := s.note("load"); err != nil {
		return nil, err
	}
	defer time.Sleep(s.slowLoad)
	return s.Memory.Load(ctx, key)
}

func (s *shelf) Save(ctx context.Context, key string, record []byte) error {
	time.Sleep(s.slow)
	if err := errors.Join(s.note("save"), ctx.Err()); err != nil {
		return err
	}
	return s.Memory.Save(ctx, key, record)
}

func (s *shelf) Delete(ctx context.Context, key string) error {
	s.note("delete")
	time.Sleep(s.slow)
	return s.Memory.Delete(ctx, key)
}

func (s *shelf) Probe(context.Context) error { return s.note("probe") }

// A scene is a person who signed in, in a process that ended since.
type scene struct {
	*provider
	*shelf
}

// after returns a scene whose token has the given time to live, and the refresh
// token "refresh" unless that is to be missing.
func after(t *testing.T, ttl time.Duration, refreshToken grant.Secret) *scene {
	t.Helper()
	s := &scene{&provider{good: "refresh"}, &shelf{}}
	token := &grant.Token{AccessToken: "access", TokenType: "bearer", RefreshToken: refreshToken, Expiry: time.Now().Add(ttl)}
	s.signIn(t, token)
	return s
}

// nearEnd returns a scene whose token has 20 seconds of its hour left, fewer than
// are asked for. It is for use in a bubble.
func nearEnd(t *testing.T, refreshToken grant.Secret) *scene {
	t.Helper()
	s := after(t, time.Hour, refreshToken)
	time.Sleep(time.Hour - 20*time.Second)
	return s
}

// signIn is what another process does, one that shares no lock with ours.
func (s *scene) signIn(t *testing.T, token *grant.Token) {
	t.Helper()
	source := s.source()
	source.Store = unlocked{s.shelf}
	source.Login = func(context.Context, func(context.Context, *grant.Token) error) (*grant.Token, error) {
		return token, nil
	}
	if _, err := source.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.took()
}

// unlocked is a store whose locks keep nobody out.
type unlocked struct{ store.Store }

func (unlocked) Lock(context.Context, string) (unlock func(), err error) { return func() {}, nil }

// source is a new process.
func (s *scene) source() *store.Source {
	return &store.Source{Client: s.client(), Store: s.shelf}
}

// stored is the login as it is at rest.
func (s *scene) stored(t *testing.T) *store.Record {
	t.Helper()
	record, err := (&store.Source{Client: s.client(), Store: &s.Memory}).Load(t.Context())
	if err != nil {
		t.Fatalf("what is stored: %v", err)
	}
	return record
}

// check compares the outcome of a call with the token and the error wanted, ""
// and nil for none.
func check(t *testing.T, token *grant.Token, err error, want grant.Secret, wantErr error) {
	t.Helper()
	got := grant.Secret("")
	if token != nil {
		got = token.AccessToken
	}
	if got != want {
		t.Errorf("token %q, want %q", string(got), string(want))
	}
	if !errors.Is(err, wantErr) {
		t.Errorf("error %v, want %v", err, wantErr)
	}
}

// never is a Login that must not be called.
func never(t *testing.T) func(context.Context, func(context.Context, *grant.Token) error) (*grant.Token, error) {
	return func(context.Context, func(context.Context, *grant.Token) error) (*grant.Token, error) {
		t.Error("Login was called")
		return nil, errors.New("no")
	}
}
