package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// A protocol is a log as it is written, in both forms that Go has.
type protocol struct {
	mu         sync.Mutex
	text, json bytes.Buffer
}

func (p *protocol) logger(level slog.Level) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	return slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(locked{&p.mu, &p.text}, opts), slog.NewJSONHandler(locked{&p.mu, &p.json}, opts)))
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// lines returns the level and message of each line.
func (p *protocol) lines(t *testing.T) (lines []string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range strings.Lines(p.json.String()) {
		var l struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l.Level+" "+l.Msg)
	}
	return lines
}

func (p *protocol) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String() + p.json.String()
}

// An eavesdropper sees all that the client sends, and remembers what is secret.
type eavesdropper struct {
	mu      sync.Mutex
	secrets []string
}

func (e *eavesdropper) RoundTrip(req *http.Request) (*http.Response, error) {
	_, credentials, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	found := []string{credentials, req.Header.Get("DPoP")}
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(data))
		if err != nil {
			return nil, err
		}
		for _, name := range []string{"code", "code_verifier", "state", "nonce", "refresh_token", "token", "client_secret", "client_assertion"} {
			found = append(found, form.Get(name))
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var pushed struct {
		RequestURI string `json:"request_uri"`
	}
	_ = json.Unmarshal(data, &pushed) // most answers are something else
	found = append(found, resp.Header.Get("DPoP-Nonce"), pushed.RequestURI)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.secrets = append(e.secrets, found...)
	return resp, nil
}

// all returns what was sent, what was given out, and what never left: parts of a JWT
// are as bad as the whole.
func (e *eavesdropper) all(t *testing.T, iss *issuertest.Issuer, token *grant.Token) []string {
	t.Helper()
	asked := iss.LastAuthorization()
	secrets := append(iss.Secrets(), asked.Get("state"), asked.Get("nonce"), token.IDToken.Subject)
	e.mu.Lock()
	secrets = append(secrets, e.secrets...)
	e.mu.Unlock()
	for _, secret := range secrets {
		if parts := strings.Split(secret, "."); len(parts) == 3 {
			secrets = append(secrets, parts[1], parts[2])
		}
	}
	if token.DPoP != nil {
		data, err := token.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		_, private, _ := strings.Cut(string(data), `"d":"`)
		private, _, found := strings.Cut(private, `"`)
		if !found {
			t.Fatal("the private key was not found")
		}
		secrets = append(secrets, private)
	}
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return s == "" })
	if len(secrets) < 20 {
		t.Fatalf("only %d secrets were found", len(secrets))
	}
	return secrets
}

// useAll signs in, calls an API, refreshes, asks who it is and signs out.
func useAll(ctx context.Context, t *testing.T, iss *issuertest.Issuer, client *grant.Client) (*grant.Token, *store.Source) {
	t.Helper()
	source := &store.Source{
		Client: client,
		Store:  new(store.Memory),
		Login: func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return loopback.Login(ctx, client, &loopback.Options{Save: save, Open: iss.Open})
		},
	}
	resp, err := source.HTTPClient().Get(iss.API(issuertest.Demand{}))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	token, err := source.Refresh(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Userinfo(ctx, token); err != nil {
		t.Fatal(err)
	}
	err = source.SignOut(ctx, func(ctx context.Context, record *store.Record) error {
		client.Logger.DebugContext(ctx, "mine", "record", record, "token", record.Token, "id_token", record.Token.IDToken, "dpop", record.Token.DPoP,
			"client", client, "source", source, "access", record.Token.AccessToken, "copy", *record.Token)
		return client.Revoke(ctx, record.Token.RefreshToken, "refresh_token")
	})
	if err != nil {
		t.Fatal(err)
	}
	return token, source
}

// TestLogHoldsNoSecret: of a whole life of a login, at the level Debug, with the
// lines that the program writes of the same values.
func TestLogHoldsNoSecret(t *testing.T) {
	tests := map[string]struct {
		opts  issuertest.Options
		apply func(*grant.Client)
	}{
		"public":       {},
		"DPoP":         {issuertest.Options{RequireDPoP: true, DPoPNonce: true}, func(c *grant.Client) { c.DPoPBoundAccessTokens = true }},
		"PAR":          {issuertest.Options{RequirePAR: true}, nil},
		"confidential": {issuertest.Options{ClientSecret: "a secret of the client"}, func(c *grant.Client) { c.ClientSecret = "a secret of the client" }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			iss := issuertest.NewWith(t, &test.opts)
			log, ear := new(protocol), new(eavesdropper)
			client := &grant.Client{
				Issuer: iss.URL, ClientID: iss.ClientID, AllowInsecureRequests: true, Scopes: []string{"openid", "profile", "offline_access"},
				HTTPClient: &http.Client{Transport: ear}, Logger: log.logger(slog.LevelDebug),
			}
			if test.apply != nil {
				test.apply(client)
			}
			token, source := useAll(ctx, t, iss, client)
			secrets := ear.all(t, iss, token)
			iss.Refuse(true)
			if _, err := source.SignIn(ctx); err == nil {
				t.Error("the person has refused")
			}
			secrets = append(secrets, ear.all(t, iss, token)...)
			checkLog(t, log, secrets)
		})
	}
}

func checkLog(t *testing.T, log *protocol, secrets []string) {
	t.Helper()
	text := log.String()
	for _, secret := range slices.Concat(secrets, []string{"a secret of the client", "ada"}) {
		for _, form := range []string{secret, url.QueryEscape(secret)} {
			if strings.Contains(text, form) {
				t.Errorf("a secret is in the log:\n%s", text)
				return
			}
		}
	}
	counts := map[string]int{}
	for _, line := range log.lines(t) {
		counts[line]++
	}
	for line, least := range map[string]int{
		"DEBUG request": 6, "DEBUG authorization request": 2, "DEBUG listening for the redirect": 2, "DEBUG the redirect is here": 2,
		"INFO token received": 2, "INFO login stored": 2, "INFO login deleted": 1, "WARN refused": 1, "DEBUG mine": 1,
	} {
		if counts[line] < least {
			t.Errorf("%d lines %q, want %d or more:\n%s", counts[line], line, least, text)
		}
	}
}

// TestLogLevels: at Info a program hears of tokens and of what is stored, and of
// nothing else that goes well.
func TestLogLevels(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	iss, log := issuertest.New(t), new(protocol)
	client := &grant.Client{
		Issuer: iss.URL, ClientID: iss.ClientID, AllowInsecureRequests: true, Scopes: []string{"openid", "offline_access"},
		Logger: log.logger(slog.LevelInfo),
	}
	t.Cleanup(client.CloseIdleConnections)
	useAll(ctx, t, iss, client)
	want := []string{"INFO token received", "INFO login stored", "INFO token received", "INFO login stored", "INFO login deleted"}
	if got := log.lines(t); !slices.Equal(got, want) {
		t.Errorf("the lines are %q", got)
	}
	if text := log.String(); !strings.Contains(text, "client.client_id="+iss.ClientID) || !strings.Contains(text, "token.refreshable=true") {
		t.Errorf("the log does not say who got what:\n%s", text)
	}
}
