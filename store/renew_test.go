package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

const invalidToken = `Bearer realm="api", error="invalid_token", error_description="The access token was revoked"`

// ask sends a request, and returns the status and the body.
func ask(t *testing.T, source *store.Source, address string, body io.Reader) (int, string) {
	t.Helper()
	resp, err := source.HTTPClient().Post(address, "text/plain", body)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	if resp.Request.Header.Get("Authorization") != "" {
		t.Error("the response holds the token")
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(text)
}

// One refresh for a token that is refused, and one more request with what it brings;
// and the refusal as it came wherever that does not help.
func TestRenewal(t *testing.T) {
	const url = "https://api.example/me"
	offline := errors.New("network is unreachable")
	full := &store.UnavailableError{Reason: store.Full, Backend: "test"}
	dead := func(p *provider) { p.good = "none" }
	for name, test := range map[string]struct {
		challenge string // invalidToken unless it says otherwise
		status    int    // 401 unless it says otherwise
		takes     string
		body      io.Reader
		alone     bool // there is no refresh token
		set       func(*provider)
		saveErr   error
		login     bool // there is a Login
		refreshes int
		logins    int32
		want      int
		sent      []string // to the API
		stored    grant.Secret
	}{
		"refreshed":            {takes: "Bearer access-1", refreshes: 1, want: 200, sent: []string{"access ", "access-1 "}, stored: "access-1"},
		"nobody is asked":      {takes: "Bearer access-1", login: true, refreshes: 1, want: 200, sent: []string{"access ", "access-1 "}, stored: "access-1"},
		"a body":               {takes: "Bearer access-1", body: strings.NewReader("text"), refreshes: 1, want: 200, sent: []string{"access text", "access-1 text"}, stored: "access-1"},
		"a body that is gone":  {takes: "Bearer access-1", body: struct{ io.Reader }{strings.NewReader("text")}, login: true, want: 401, sent: []string{"access text"}, stored: "access"},
		"never enough":         {refreshes: 1, login: true, want: 401, sent: []string{"access ", "access-1 "}, stored: "access-1"},
		"another status":       {takes: "Bearer access-1", status: 403, login: true, want: 403, sent: []string{"access "}, stored: "access"},
		"without an error":     {takes: "Bearer access-1", challenge: "Bearer", login: true, want: 401, sent: []string{"access "}, stored: "access"},
		"another error":        {takes: "Bearer access-1", challenge: `Bearer error="invalid_request"`, login: true, want: 401, sent: []string{"access "}, stored: "access"},
		"the proof":            {takes: "Bearer access-1", challenge: `DPoP error="invalid_dpop_proof"`, login: true, want: 401, sent: []string{"access "}, stored: "access"},
		"offline":              {takes: "Bearer access-1", set: func(p *provider) { p.fail = offline }, login: true, refreshes: 1, want: 401, sent: []string{"access "}, stored: "access"},
		"provider in trouble":  {takes: "Bearer access-1", set: func(p *provider) { p.answer = unavailable }, login: true, refreshes: 1, want: 401, sent: []string{"access "}, stored: "access"},
		"not saved":            {takes: "Bearer access-1", saveErr: full, login: true, refreshes: 1, want: 401, sent: []string{"access "}, stored: "access"},
		"dead":                 {takes: "Bearer new", set: dead, login: true, refreshes: 1, logins: 1, want: 200, sent: []string{"access ", "new "}, stored: "new"},
		"dead, and nobody":     {takes: "Bearer new", set: dead, refreshes: 1, want: 401, sent: []string{"access "}, stored: "access"},
		"no refresh token":     {takes: "Bearer new", alone: true, login: true, logins: 1, want: 200, sent: []string{"access ", "new "}, stored: "new"},
		"no login":             {takes: "Bearer new", alone: true, want: 401, sent: []string{"access "}, stored: "access"},
		"no login that helps":  {alone: true, login: true, logins: 1, want: 401, sent: []string{"access ", "new "}, stored: "new"},
		"dead, never enough":   {set: dead, login: true, refreshes: 1, logins: 1, want: 401, sent: []string{"access ", "new "}, stored: "new"},
		"the same token again": {set: func(p *provider) { p.answer = sameToken }, login: true, refreshes: 1, want: 401, sent: []string{"access "}, stored: "access"},
	} {
		t.Run(name, func(t *testing.T) {
			s := after(t, time.Hour, "refresh")
			if test.alone {
				s = after(t, time.Hour, "")
			}
			if test.set != nil {
				test.set(s.provider)
			}
			s.failSaves(test.saveErr)
			api := &strictAPI{t: t, takes: test.takes, challenge: invalidToken, status: 401}
			if test.challenge != "" {
				api.challenge = test.challenge
			}
			if test.status != 0 {
				api.status = test.status
			}
			s.api = api.answer
			source := s.source()
			var logins atomic.Int32
			if test.login {
				source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
					logins.Add(1)
					token := &grant.Token{AccessToken: "new", TokenType: "bearer"}
					return token, save(ctx, token)
				}
			}
			status, body := ask(t, source, url, test.body)
			if status != test.want || status != 200 && body != refusal {
				t.Errorf("status %d, %d bytes", status, len(body))
			}
			var sent []string
			for i, token := range api.tokens {
				sent = append(sent, strings.TrimPrefix(token, "Bearer ")+" "+api.bodies[i])
			}
			if fmt.Sprintf("%q", sent) != fmt.Sprintf("%q", test.sent) || s.requests() != test.refreshes || logins.Load() != test.logins {
				t.Errorf("the API got %q, with %d refreshes and %d logins", sent, s.requests(), logins.Load())
			}
			if got := s.stored(t).Token.AccessToken; got != test.stored {
				t.Errorf("stored is %q", string(got))
			}
		})
	}
}

func unavailable(url.Values) (int, any) { return http.StatusServiceUnavailable, "down" }

// sameToken is the answer of a provider that keeps its access tokens.
func sameToken(url.Values) (int, any) {
	return http.StatusOK, map[string]any{"access_token": "access", "token_type": "Bearer", "refresh_token": "refresh", "expires_in": 3600}
}

// Many requests with a token that is refused, one refresh, whether it works or not;
// those whose refusal is late take what came of it.
func TestRenewalIsShared(t *testing.T) {
	for name, test := range map[string]struct {
		fail  error
		good  string
		login bool
		want  int
	}{
		"refreshed": {good: "refresh", want: 200},
		"offline":   {fail: errors.New("network is unreachable"), good: "refresh", login: true, want: 401},
		"dead":      {good: "none", want: 401},
		"login":     {good: "none", login: true, want: 200},
	} {
		t.Run(name, func(t *testing.T) {
			s := after(t, time.Hour, "refresh")
			s.fail, s.good = test.fail, test.good
			const requests = 50
			var refused, done sync.WaitGroup
			refused.Add(requests)
			var count, logins atomic.Int32
			s.api = func(req *http.Request) *http.Response {
				if req.Header.Get("Authorization") != "Bearer access" {
					return response(req, http.StatusOK, nil)
				}
				refused.Done()
				refused.Wait() // until all are
				time.Sleep(time.Duration(count.Add(1)%3) * 10 * time.Millisecond)
				resp := response(req, http.StatusUnauthorized, nil)
				resp.Header.Set("WWW-Authenticate", invalidToken)
				return resp
			}
			source := s.source()
			if test.login {
				source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
					logins.Add(1)
					time.Sleep(50 * time.Millisecond)
					token := &grant.Token{AccessToken: "new", TokenType: "bearer"}
					return token, save(ctx, token)
				}
			}
			for range requests {
				done.Go(func() {
					if status, _ := ask(t, source, "https://api.example/", nil); status != test.want {
						t.Errorf("status %d", status)
					}
				})
			}
			done.Wait()
			if wanted := test.login && test.fail == nil; s.requests() != 1 || (logins.Load() == 1) != wanted || logins.Load() > 1 {
				t.Errorf("%d refreshes, %d logins", s.requests(), logins.Load())
			}
		})
	}
}

// The same holds among processes: one refresh for all, or one login.
func TestRenewalIsSharedAmongProcesses(t *testing.T) {
	for name, good := range map[string]string{"refreshed": "refresh", "login": "none"} {
		t.Run(name, func(t *testing.T) {
			s := after(t, time.Hour, "refresh")
			s.good, s.delay = good, 50*time.Millisecond
			const processes, requests = 5, 4
			var refused, done sync.WaitGroup
			refused.Add(processes * requests)
			s.api = func(req *http.Request) *http.Response {
				if req.Header.Get("Authorization") != "Bearer access" {
					return response(req, http.StatusOK, nil)
				}
				refused.Done()
				refused.Wait() // until all are
				resp := response(req, http.StatusUnauthorized, nil)
				resp.Header.Set("WWW-Authenticate", invalidToken)
				return resp
			}
			var logins atomic.Int32
			dir := t.TempDir()
			for range processes {
				source := s.process(dir)
				source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
					logins.Add(1)
					token := &grant.Token{AccessToken: "new", TokenType: "bearer"}
					return token, save(ctx, token)
				}
				for range requests {
					done.Go(func() {
						if status, _ := ask(t, source, "https://api.example/", nil); status != 200 {
							t.Errorf("status %d", status)
						}
					})
				}
			}
			done.Wait()
			if s.requests() != 1 || (logins.Load() == 1) != (good == "none") || logins.Load() > 1 {
				t.Errorf("%d refreshes, %d logins", s.requests(), logins.Load())
			}
		})
	}
}

// What another process has got is used without a refresh, even while the API rests.
func TestRenewalByAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		api := &strictAPI{t: t, takes: "Bearer other", challenge: invalidToken, status: 401}
		s.api = api.answer
		source := s.source()
		if status, _ := ask(t, source, "https://api.example/", nil); status != 401 || s.requests() != 1 {
			t.Errorf("status %d, %d refreshes", status, s.requests())
		}
		s.signIn(t, &grant.Token{AccessToken: "over", RefreshToken: "other", Expiry: time.Now()})
		if status, _ := ask(t, source, "https://api.example/", nil); status != 401 || s.requests() != 1 {
			t.Errorf("status %d, %d refreshes", status, s.requests())
		}
		s.signIn(t, &grant.Token{AccessToken: "other", RefreshToken: "other", Expiry: time.Now().Add(time.Hour)})
		for range 2 {
			if status, _ := ask(t, source, "https://api.example/", nil); status != 200 || s.requests() != 1 {
				t.Errorf("status %d, %d refreshes", status, s.requests())
			}
		}
		if got := strings.Join(api.tokens, ", "); got != "Bearer access, Bearer access-1, Bearer access-1, Bearer access-1, Bearer other, Bearer other" {
			t.Errorf("the API got %s", got)
		}
	})
}

// An API that takes no token gets two requests at most for one, and the provider is
// asked less and less. Another API is not kept waiting, nor is the same one after it
// has taken a token.
func TestRenewalIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, 1000*time.Hour, "refresh")
		takes := map[string]string{}
		s.answer = func(url.Values) (int, any) {
			return http.StatusOK, map[string]any{"access_token": fmt.Sprint("access-", s.requests()), "token_type": "Bearer", "expires_in": 1_000_000}
		}
		var asked int
		s.api = func(req *http.Request) *http.Response {
			asked++
			if req.Header.Get("Authorization") == takes[req.URL.Host] {
				return response(req, http.StatusOK, nil)
			}
			resp := response(req, http.StatusUnauthorized, nil)
			resp.Header.Set("WWW-Authenticate", invalidToken)
			return resp
		}
		source := s.source()
		source.Login = never(t)
		want := func(host string, status, requests, refreshes int) {
			t.Helper()
			asked = 0
			if got, _ := ask(t, source, "https://"+host+"/", nil); got != status || asked != requests || s.requests() != refreshes {
				t.Errorf("%s: status %d after %d requests, %d refreshes; want %d, %d, %d", host, got, asked, s.requests(), status, requests, refreshes)
			}
		}
		want("a.example", 401, 2, 1)
		want("a.example", 401, 1, 1)
		want("b.example", 401, 1, 1) // the token is new
		time.Sleep(11 * time.Second)
		want("a.example", 401, 2, 2)
		time.Sleep(11 * time.Second)
		want("a.example", 401, 1, 2)
		takes["b.example"] = "Bearer access-3"
		want("b.example", 200, 2, 3) // it has not waited for longer than before
		for range 8 * 60 * 60 / 30 {
			ask(t, source, "https://a.example/", nil)
			time.Sleep(30 * time.Second)
		}
		if n := s.requests(); n < 40 || n > 60 {
			t.Errorf("%d refreshes in eight hours", n)
		}
		time.Sleep(time.Hour)
		before := s.requests()
		takes["a.example"] = fmt.Sprint("Bearer access-", before+1)
		want("a.example", 200, 2, before+1)
		time.Sleep(11 * time.Second)
		takes["a.example"] = ""
		want("a.example", 401, 2, before+2)
		time.Sleep(11 * time.Second)
		takes["a.example"] = fmt.Sprint("Bearer access-", before+3)
		want("a.example", 200, 2, before+3)
	})
}

// The refusal of where a redirect leads is none of this login's business, nor is that
// of a token of the caller's.
func TestRenewalIsForOneOrigin(t *testing.T) {
	s := after(t, time.Hour, "refresh")
	api := &strictAPI{t: t, challenge: invalidToken, status: 401}
	s.api = func(req *http.Request) *http.Response {
		if req.URL.Host == "api.example" && req.Header.Get("Authorization") != "Bearer mine" {
			resp := response(req, http.StatusTemporaryRedirect, nil)
			resp.Header.Set("Location", "https://evil.example/")
			return resp
		}
		return api.answer(req)
	}
	source := s.source()
	source.Login = never(t)
	if status, _ := ask(t, source, "https://api.example/", nil); status != 401 {
		t.Errorf("status %d", status)
	}
	req, err := http.NewRequest(http.MethodGet, "https://api.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer mine")
	resp, err := source.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := fmt.Sprintf("%q", api.tokens); got != `["" "Bearer mine"]` || s.requests() != 0 {
		t.Errorf("got %s, %d refreshes", got, s.requests())
	}
}

// A token that is refused, and what replaces it has too few scopes: one refresh and
// one login.
func TestRenewalBeforeStepUp(t *testing.T) {
	s := &scene{&provider{good: "refresh"}, &shelf{}}
	s.signIn(t, withClaims(t, "access", nil, nil))
	var tokens []string
	s.api = func(req *http.Request) *http.Response {
		tokens = append(tokens, req.Header.Get("Authorization"))
		challenge := map[string]string{"Bearer access": invalidToken, "Bearer access-1": wantsScope}[tokens[len(tokens)-1]]
		if challenge == "" {
			return response(req, http.StatusOK, nil)
		}
		resp := response(req, http.StatusUnauthorized, nil)
		resp.Header.Set("WWW-Authenticate", challenge)
		return resp
	}
	source := s.source()
	source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
		token := withClaims(t, "better", []string{"admin"}, nil)
		return token, save(ctx, token)
	}
	if status, _ := ask(t, source, "https://api.example/", nil); status != 200 || strings.Join(tokens, ", ") != "Bearer access, Bearer access-1, Bearer better" {
		t.Errorf("status %d, tokens %q", status, tokens)
	}
}

// Who signs in as somebody else has done so, and the request of the first person is
// not sent as theirs.
func TestRenewalByAnotherPerson(t *testing.T) {
	s := &scene{&provider{good: "none"}, &shelf{}}
	s.signIn(t, withClaims(t, "access", nil, nil))
	api := &strictAPI{t: t, takes: "Bearer eve", challenge: invalidToken, status: 401}
	s.api = api.answer
	source := s.source()
	source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
		token := withClaims(t, "eve", nil, map[string]any{"sub": "eve"})
		return token, save(ctx, token)
	}
	for _, want := range []int{401, 200} {
		if status, _ := ask(t, source, "https://api.example/", nil); status != want {
			t.Errorf("status %d, want %d", status, want)
		}
	}
	if got := strings.Join(api.tokens, ", "); got != "Bearer access, Bearer eve" {
		t.Errorf("the API got %s", got)
	}
}

// The end of the context ends the wait, and a refresh that was sent is saved all the
// same. The API does not rest for it.
func TestRenewalEnds(t *testing.T) {
	for _, refreshToken := range []grant.Secret{"refresh", ""} {
		synctest.Test(t, func(t *testing.T) {
			s := after(t, time.Hour, refreshToken)
			s.delay = 10 * time.Second
			api := &strictAPI{t: t, challenge: invalidToken, status: 401}
			s.api = api.answer
			source := s.source()
			logins := 0
			source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
				if logins++; logins == 1 {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				token := &grant.Token{AccessToken: "access-1"}
				return token, save(ctx, token)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := source.HTTPClient().Do(req); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			synctest.Wait()
			api.takes = "Bearer access-1"
			if status, _ := ask(t, source, "https://api.example/", nil); status != 200 || s.requests() > 1 || s.requests()+logins/2 != 1 {
				t.Errorf("status %d, %d refreshes, %d logins", status, s.requests(), logins)
			}
		})
	}
}

// A clock that was set back makes no token new.
func TestRenewAfterTheClockWasSetBack(t *testing.T) {
	s := after(t, time.Hour, "refresh")
	token, err := s.source().Refresh(t.Context())
	check(t, token, err, "access-1", nil)
	synctest.Test(t, func(t *testing.T) { // it is the year 2000 there
		token, err := s.source().Renew(t.Context(), token)
		check(t, token, err, "access-2", nil)
	})
}

// Those who send their requests themselves have the same.
func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "refresh")
		source := s.source()
		source.Login = never(t)
		first, err := source.Token(t.Context())
		check(t, first, err, "access", nil)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				token, err := source.Renew(t.Context(), first)
				check(t, token, err, "access-1", nil)
			})
		}
		wg.Wait()
		token, err := s.source().Renew(t.Context(), first) // in another process
		check(t, token, err, "access-1", nil)
		if n := s.requests(); n != 1 {
			t.Errorf("%d requests", n)
		}
		same, err := s.source().Renew(t.Context(), token)
		check(t, same, err, "access-1", nil) // as it is new
		time.Sleep(10 * time.Second)
		token, err = source.Renew(t.Context(), token)
		check(t, token, err, "access-2", nil)

		time.Sleep(10 * time.Second)
		s.fail = errors.New("offline")
		_, err = source.Renew(t.Context(), token)
		check(t, nil, err, "", s.fail)
		s.fail, s.good = nil, "none"
		source.Login = nil
		_, err = source.Renew(t.Context(), token)
		check(t, nil, err, "", store.ErrLoginRequired)
		_, err = source.Renew(t.Context(), nil)
		check(t, nil, err, "", grant.ErrArgument)
	})
}

// Nobody is asked to sign in again who has just done so.
func TestRenewAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := after(t, time.Hour, "")
		time.Sleep(time.Minute)
		logins := 0
		source := s.source()
		source.Login = func(context.Context, save) (*grant.Token, error) {
			logins++
			return &grant.Token{AccessToken: grant.Secret(fmt.Sprint("new-", logins))}, nil
		}
		first, err := source.Token(t.Context())
		check(t, first, err, "access", nil)
		token, err := source.Renew(t.Context(), first)
		check(t, token, err, "new-1", nil)
		token, err = source.Renew(t.Context(), token)
		check(t, token, err, "new-1", nil)
		time.Sleep(10 * time.Second)
		token, err = source.Renew(t.Context(), token)
		check(t, token, err, "new-2", nil)
	})
}
