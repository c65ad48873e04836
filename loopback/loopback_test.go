package loopback_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/internal/issuer"
	"github.com/oauth-login/oauth-login/loopback"
)

func TestLogin(t *testing.T) {
	_, client := startIssuer(t, nil)
	var saved *grant.Token
	var traced url.Values
	l := start(t.Context(), t, client, &loopback.Options{
		NoBrowser: true,
		Trace: func(params url.Values) {
			traced = maps.Clone(params)
			clear(params) // which nobody else uses
		},
		Save: func(_ context.Context, token *grant.Token) error {
			saved = token
			return nil
		},
	})
	visit, err := new(issuer.Visitor).Visit(t.Context(), l.URL)
	if err != nil {
		t.Fatal(err)
	}
	token, err := l.wait(t)
	if err != nil {
		t.Fatal(err)
	}
	if token != saved {
		t.Error("the token was not saved")
	}
	if traced.Get("code") == "" || traced.Get("iss") != client.Issuer {
		t.Error("the redirect was not told")
	}
	if token.IDToken == nil || token.IDToken.Subject == "" {
		t.Error("nobody knows who has signed in")
	}
	if !regexp.MustCompile(`^http://127\.0\.0\.1:[0-9]+/callback$`).MatchString(l.RedirectURI) {
		t.Errorf("the redirect URI is %s", l.RedirectURI)
	}
	if visit.Status != http.StatusOK || !strings.Contains(string(visit.Body), "<h1 class=\"good\">Signed in</h1>") {
		t.Errorf("the last page is %d %s", visit.Status, visit.Body)
	}
	if visit.URL != l.RedirectURI+"/done" {
		t.Error("the address of the last page has more than its path")
	}
	checkSecure(t, visit.Header)
	checkSilent(t, l)
	kinds := []loopback.EventKind{loopback.Listening, loopback.AuthorizationURL, loopback.Received, loopback.Done}
	if len(l.events) != len(kinds) {
		t.Fatalf("%d events, want %d", len(l.events), len(kinds))
	}
	if got, want := l.events[0].Addresses, strings.TrimSuffix(strings.TrimPrefix(l.RedirectURI, "http://"), "/callback"); len(got) != 1 || got[0] != want {
		t.Errorf("listening on %q, want %s", got, want)
	}
	for i, e := range l.events {
		if e.Kind != kinds[i] || e.RedirectURI != l.RedirectURI || e.Err != nil {
			t.Errorf("event %d is of kind %d, want %d", i, e.Kind, kinds[i])
		}
	}
}

// TestLoginTellsTheTruth: the page says what came of the login, in words and in
// its status.
func TestLoginTellsTheTruth(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		save   func(context.Context, *grant.Token) error
		query  string // of the redirect, in place of a code
		status int
		title  string
		check  func(error) bool
	}{
		{name: "signed in", status: http.StatusOK, title: "Signed in",
			check: func(err error) bool { return err == nil }},
		{name: "denied", query: "error=access_denied&error_description=Ada+said+no", status: http.StatusForbidden, title: "Sign-in refused",
			check: func(err error) bool {
				e, ok := errors.AsType[*grant.Error](err)
				return ok && e.Code == "access_denied" && e.Description == "Ada said no"
			}},
		{name: "code refused", answer: refuse, status: http.StatusInternalServerError, title: "Sign-in failed",
			check: func(err error) bool {
				e, ok := errors.AsType[*grant.Error](err)
				return ok && e.Code == "invalid_grant"
			}},
		{name: "not saved", save: func(context.Context, *grant.Token) error { return errDisk },
			status: http.StatusInternalServerError, title: "Sign-in failed",
			check: func(err error) bool { return errors.Is(err, errDisk) }},
		{name: "no code", query: "scope=openid", status: http.StatusInternalServerError, title: "Sign-in failed",
			check: func(err error) bool {
				_, ok := errors.AsType[*grant.CheckError](err)
				return ok
			}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := startToy(t, test.answer)
			l := start(t.Context(), t, s.client, &loopback.Options{NoBrowser: true, Save: test.save})
			callback := l.callback(t)
			if test.query != "" {
				callback = l.RedirectURI + "?" + test.query + "&state=" + l.state(t)
			}
			got := browse(t, callback)
			token, err := l.wait(t)
			if !test.check(err) {
				t.Errorf("the error is %v", err)
			}
			if (token != nil) != (err == nil) {
				t.Error("there is a token and an error, or neither")
			}
			if got.status != test.status || !strings.Contains(got.body, "<title>"+test.title+"</title>") {
				t.Errorf("the page is %d %s", got.status, got.body)
			}
			if got.url != l.RedirectURI+"/done" {
				t.Error("the address of the last page is not free of the code")
			}
			checkSecure(t, got.header)
			checkSilent(t, l, got.body)
			if done := l.seen(loopback.Done); len(done) != 1 || !errors.Is(done[0].Err, err) {
				t.Errorf("the program was told %v", done)
			}
		})
	}
}

// TestSaveComesBeforeThePage: the browser is told nothing as long as the token is
// not saved.
func TestSaveComesBeforeThePage(t *testing.T) {
	s := startToy(t, nil)
	saving, goOn := make(chan struct{}), make(chan struct{})
	l := start(t.Context(), t, s.client, &loopback.Options{
		NoBrowser: true,
		Save: func(context.Context, *grant.Token) error {
			close(saving)
			<-goOn
			return nil
		},
	})
	pages := make(chan page, 1)
	go func() {
		got, _ := load(t.Context(), l.callback(t))
		pages <- got
	}()
	<-saving
	select {
	case got := <-pages:
		t.Fatalf("the browser got %d %s before the token was saved", got.status, got.body)
	case <-time.After(100 * time.Millisecond):
	}
	if got := browse(t, l.RedirectURI+"/done"); got.status != http.StatusNotFound {
		t.Errorf("the last page says %d before there is an outcome", got.status)
	}
	close(goOn)
	if got := <-pages; got.status != http.StatusOK {
		t.Errorf("the browser got %d", got.status)
	}
	l.succeed(t)
}

// TestBrowserLeaves: a browser that drops the connection does not cancel the
// exchange.
func TestBrowserLeaves(t *testing.T) {
	asked, goOn := make(chan struct{}), make(chan struct{})
	s := startToy(t, func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-goOn
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token":"secret-token","token_type":"bearer"}`))
	})
	l := start(t.Context(), t, s.client, nil)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		_, _ = load(ctx, l.callback(t))
	}()
	<-asked
	leave()
	<-left
	time.Sleep(50 * time.Millisecond) // for the receiver to notice
	close(goOn)
	begin := time.Now()
	l.succeed(t)
	if took := time.Since(begin); took > 500*time.Millisecond {
		t.Errorf("waited %v for a browser that has left", took)
	}
}

// TestOneRoundTrip measures from the redirect to the saved token with a provider
// that takes its time: one answer is on the way, not two. Of three logins, the
// fastest counts, as a busy machine can only add to it.
func TestOneRoundTrip(t *testing.T) {
	const delay = 50 * time.Millisecond
	iss, client := startIssuer(t, &issuer.Options{Delay: delay})
	best := time.Hour
	for range 3 {
		// Without what the login before has left, such as keys.
		fresh := &grant.Client{Issuer: iss.URL(), ClientID: client.ClientID, Scopes: client.Scopes, AllowInsecureRequests: true}
		best = min(best, callbackToSaved(t, fresh))
		fresh.CloseIdleConnections()
	}
	if best < delay || best > delay*3/2 {
		t.Errorf("from the redirect to the saved token: %v, want less than 1.5 times %v", best, delay)
	}
}

// TestConnectionWaits: the connection for the token request is there before the
// redirect is, and the request takes it.
func TestConnectionWaits(t *testing.T) {
	s := startToy(t, nil)
	var dials atomic.Int32
	s.client.HTTPClient = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			dials.Add(1)
			return conn, err
		},
	}}
	l := start(t.Context(), t, s.client, nil)
	for deadline := time.Now().Add(10 * time.Second); dials.Load() == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // from the dial to the connection that is ready
	if n := dials.Load(); n != 1 {
		t.Fatalf("%d connections before the redirect", n)
	}
	browse(t, l.callback(t))
	l.succeed(t)
	if n := dials.Load(); n != 1 || s.tokens.Load() != 1 {
		t.Errorf("%d connections, %d token requests", n, s.tokens.Load())
	}
}

func callbackToSaved(t *testing.T, client *grant.Client) time.Duration {
	t.Helper()
	var received, saved time.Time
	l := start(t.Context(), t, client, &loopback.Options{
		NoBrowser: true,
		Notify: func(e loopback.Event) {
			if e.Kind == loopback.Received {
				received = time.Now()
			}
		},
		Save: func(context.Context, *grant.Token) error {
			saved = time.Now()
			return nil
		},
	})
	if _, err := new(issuer.Visitor).Visit(t.Context(), l.URL); err != nil {
		t.Fatal(err)
	}
	l.succeed(t)
	return saved.Sub(received)
}

// TestCancel: at each step, the error of the context comes at once, and the port
// is free again.
func TestCancel(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client leaves
		<-r.Context().Done()
	}
	tests := []struct {
		name string
		on   loopback.EventKind // what to cancel at; 0: while saving
	}{
		{name: "listening", on: loopback.Listening},
		{name: "waiting", on: loopback.AuthorizationURL},
		{name: "exchanging", on: loopback.Received},
		{name: "saving"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer := hang
			if test.on == 0 {
				answer = nil
			}
			s := startToy(t, answer)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var canceled time.Time
			var redirectURI string
			opts := &loopback.Options{
				NoBrowser: true,
				Save: func(ctx context.Context, _ *grant.Token) error {
					canceled = time.Now()
					cancel()
					<-ctx.Done()
					return ctx.Err()
				},
				Notify: func(e loopback.Event) {
					redirectURI = e.RedirectURI
					if e.Kind == loopback.AuthorizationURL && test.on != e.Kind {
						callback := e.RedirectURI + "?code=secret-code&state=" + stateOf(e.URL)
						go func() { _, _ = load(t.Context(), callback) }()
					}
					if e.Kind == test.on {
						canceled = time.Now()
						time.AfterFunc(20*time.Millisecond, cancel)
					}
				},
			}
			if test.on == loopback.Listening {
				s.client.Server = nil
				s.client.Issuer = startHanging(t)
			}
			_, err := loopback.Login(ctx, s.client, opts)
			if took := time.Since(canceled); took > 300*time.Millisecond {
				t.Errorf("took %v to end", took)
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the error is %v", err)
			}
			if _, err := load(t.Context(), redirectURI); err == nil {
				t.Error("the port is still open")
			}
		})
	}
}

// TestDeadline: the deadline of the context is the caller's, not a timeout of
// ours.
func TestDeadline(t *testing.T) {
	s := startToy(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := loopback.Login(ctx, s.client, &loopback.Options{NoBrowser: true, Timeout: -1})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}

// TestLoginRefusesArguments: a mistake of the caller is said before a port is
// open or a browser is.
func TestLoginRefusesArguments(t *testing.T) {
	s := startToy(t, nil)
	for name, opts := range map[string]*loopback.Options{
		"host":                {RedirectHost: "0.0.0.0"},
		"empty host":          {RedirectHost: "[::]"},
		"foreign host":        {RedirectHost: "192.0.2.1"},
		"port":                {Ports: []int{70000}},
		"path":                {CallbackPath: "callback"},
		"query":               {CallbackPath: "/callback?x=y"},
		"pattern":             {CallbackPath: "/{x}"},
		"dots":                {CallbackPath: "/a/../b"},
		"space":               {CallbackPath: "/a b"},
		"https":               {RedirectURI: "https://127.0.0.1:8000/callback"},
		"private scheme":      {RedirectURI: "com.example:/callback"},
		"URI on foreign host": {RedirectURI: "http://192.0.2.1:8000/callback"},
		"wildcard":            {RedirectURI: "http://0.0.0.0:8000/callback"},
		"no host":             {RedirectURI: "http://:8000/callback"},
		"port 0":              {RedirectURI: "http://127.0.0.1:0/callback"},
		"credentials":         {RedirectURI: "http://me@127.0.0.1:38417/callback"},
		"fragment":            {RedirectURI: "http://127.0.0.1:38417/callback#x"},
	} {
		t.Run(name, func(t *testing.T) {
			opts.Open = func(context.Context, string) error {
				t.Error("a browser was opened")
				return nil
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := loopback.Login(ctx, s.client, opts); !errors.Is(err, grant.ErrArgument) {
				t.Errorf("the error is %v", err)
			}
			if err := opts.Check(); !errors.Is(err, grant.ErrArgument) {
				t.Errorf("Check: %v", err)
			}
		})
	}
	for _, opts := range []*loopback.Options{nil, {}, {RedirectHost: "[::1]", Ports: []int{0, 8000}, CallbackPath: "/x"}, {RedirectURI: "http://localhost/"}} {
		if err := opts.Check(); err != nil {
			t.Errorf("%+v: %v", opts, err)
		}
	}
	if _, err := loopback.Login(t.Context(), nil, nil); !errors.Is(err, grant.ErrArgument) {
		t.Errorf("without a client: %v", err)
	}
}

// TestExchangeBudget: what follows the redirect has its own time, which does not
// depend on how long the person took, but on what one request may take.
func TestExchangeBudget(t *testing.T) {
	for _, test := range []struct{ request, want time.Duration }{
		{0, 30 * time.Second},
		{10 * time.Second, 30 * time.Second},
		{2 * time.Minute, 4 * time.Minute},
	} {
		s := startToy(t, nil)
		s.client.HTTPClient = &http.Client{Transport: new(http.Transport), Timeout: test.request}
		var left time.Duration
		l := start(t.Context(), t, s.client, &loopback.Options{NoBrowser: true, Timeout: time.Hour, Save: func(ctx context.Context, _ *grant.Token) error {
			deadline, ok := ctx.Deadline()
			if !ok {
				t.Error("there is no limit")
			}
			left = time.Until(deadline)
			return nil
		}})
		browse(t, l.callback(t))
		l.succeed(t)
		if late := test.want - left; late < 0 || late > 5*time.Second {
			t.Errorf("with requests that may take %v, %v are left; want %v", test.request, left, test.want)
		}
	}
}
