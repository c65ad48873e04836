package loopback_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
)

// startPosting starts a login whose redirect is to be posted.
func startPosting(t *testing.T, opts *loopback.Options) (*toy, *login) {
	t.Helper()
	s := startToy(t, nil)
	s.client.ResponseMode = "form_post"
	return s, start(t.Context(), t, s.client, opts)
}

// A form is a POST as it is on the wire.
type form struct {
	target string // default: the redirect URI
	body   string
	header http.Header
}

func (f form) send(t *testing.T, l *login) (*http.Response, string) {
	t.Helper()
	u, err := url.Parse(l.RedirectURI)
	if err != nil {
		t.Fatal(err)
	}
	target := u.RequestURI()
	if f.target != "" {
		target = f.target
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {"null"},
		"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}
	for name, values := range f.header {
		if header[name] = values; values == nil {
			delete(header, name)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", target, u.Host, len(f.body))
	_ = header.Write(&b)
	b.WriteString("\r\n")
	conn := dial(t, l.RedirectURI)
	go func() { _, _ = io.WriteString(conn, b.String()+f.body) }() // it may be refused before its end
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodPost})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestFormPost(t *testing.T) {
	for name, header := range map[string]http.Header{
		"from https":        {},
		"from another host": {"Origin": {"http://login.example"}},
		"no Origin":         {"Origin": nil},
		"an old browser":    {"Origin": nil, "Sec-Fetch-Site": nil, "Sec-Fetch-Mode": nil, "Sec-Fetch-Dest": nil},
		"with a charset":    {"Content-Type": {"application/x-www-form-urlencoded; charset=UTF-8"}},
		"in upper case":     {"Content-Type": {"Application/X-WWW-Form-URLEncoded"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, l := startPosting(t, nil)
			resp, body := form{body: "code=secret-code&state=" + l.state(t), header: header}.send(t, l)
			if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/callback/done" || body != "" {
				t.Errorf("the answer is %d %s", resp.StatusCode, body)
			}
			checkSecure(t, resp.Header)
			if got := browse(t, l.RedirectURI+"/done"); got.status != http.StatusOK || !strings.Contains(got.body, "Signed in") {
				t.Errorf("the last page is %d", got.status)
			}
			l.succeed(t)
			checkSilent(t, l, body, fmt.Sprint(resp.Header))
			if n := s.tokens.Load(); n != 1 {
				t.Errorf("%d token requests", n)
			}
		})
	}
}

// What may not be taken for the redirect where forms are taken.
func TestFormPostNoise(t *testing.T) {
	s, l := startPosting(t, nil)
	state := l.state(t)
	ok := "code=secret-code&state=" + state
	tests := []struct {
		name   string
		form   form
		status int
		reason string
	}{
		{"no state", form{body: "code=secret-code"}, 400, "wrong or missing state"},
		{"wrong state", form{body: "code=secret-code&state=x" + state}, 400, "wrong or missing state"},
		{"two states", form{body: ok + "&state=" + state}, 400, "wrong or missing state"},
		{"error without state", form{body: "error=access_denied"}, 400, "wrong or missing state"},
		{"nothing", form{}, 400, "wrong or missing state"},
		{"state in the address", form{target: "/callback?state=" + state, body: "code=secret-code"}, 400, "wrong or missing state"},
		{"everything in the address", form{target: "/callback?" + ok}, 400, "wrong or missing state"},
		{"state in both", form{target: "/callback?state=" + state, body: ok}, 400, "malformed form"},
		{"code in both", form{target: "/callback?code=x", body: ok}, 400, "malformed form"},
		{"malformed address", form{target: "/callback?x=%zz", body: ok}, 400, "malformed query"},
		{"semicolon", form{body: ok + ";x=y"}, 400, "malformed form"},
		{"bad encoding", form{body: ok + "&x=%zz"}, 400, "malformed form"},
		{"not UTF-8", form{body: ok + "&x=%ff"}, 400, "malformed form"},
		{"large", form{body: ok + "&x=" + strings.Repeat("x", 64<<10)}, 413, "form too large"},
		{"JSON", form{body: ok, header: http.Header{"Content-Type": {"application/json"}}}, 415, "not a form"},
		{"text", form{body: ok, header: http.Header{"Content-Type": {"text/plain"}}}, 415, "not a form"},
		{"multipart", form{body: ok, header: http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}}, 415, "not a form"},
		{"no content type", form{body: ok, header: http.Header{"Content-Type": nil}}, 415, "not a form"},
		{"two content types", form{body: ok, header: http.Header{"Content-Type": {"application/x-www-form-urlencoded", "text/plain"}}}, 415, "not a form"},
		{"fetch", form{body: ok, header: http.Header{"Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"empty"}}}, 403, "not a page load"},
		{"frame", form{body: ok, header: http.Header{"Sec-Fetch-Dest": {"iframe"}}}, 403, "not a page load"},
		{"prerender", form{body: ok, header: http.Header{"Sec-Purpose": {"prefetch;prerender"}}}, 403, "prefetch"},
		{"other path", form{target: "/other", body: ok}, 404, "wrong path"},
		{"last page", form{target: "/callback/done", body: ok}, 405, "wrong method"},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			resp, body := test.form.send(t, l)
			if resp.StatusCode != test.status {
				t.Errorf("the status is %d, want %d", resp.StatusCode, test.status)
			}
			checkSecure(t, resp.Header)
			checkSilent(t, l, body, fmt.Sprint(resp.Header))
			if ignored := l.seen(loopback.Ignored); len(ignored) != i+1 || ignored[i].Reason != test.reason {
				t.Errorf("ignored %d requests, the last as %v; want %s", len(ignored), ignored, test.reason)
			}
		})
	}
	for _, r := range []raw{
		{method: http.MethodPut, target: "/callback"},
		{method: http.MethodOptions, target: "/callback", header: http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"POST"}}},
		{method: http.MethodHead, target: "/callback?" + ok},
		{target: "/callback"},
		{target: "/callback?code=secret-code&state=x"},
		{target: "/callback?x=%zz"},
		{target: "/callback?" + ok, header: http.Header{"Origin": {"https://evil.example"}}},
	} {
		resp, _ := r.send(t, l.RedirectURI)
		if resp.StatusCode < 400 || resp.StatusCode > 499 {
			t.Errorf("%s %s is answered with %d", r.method, r.target, resp.StatusCode)
		}
		if allow := resp.Header.Get("Allow"); resp.StatusCode == http.StatusMethodNotAllowed && allow != http.MethodPost {
			t.Errorf("%s: allowed is %q", r.method, allow)
		}
		checkSecure(t, resp.Header)
	}
	if n := s.tokens.Load(); n != 0 {
		t.Fatalf("noise has led to %d token requests", n)
	}
	form{body: ok}.send(t, l)
	browse(t, l.RedirectURI+"/done")
	l.succeed(t)
}

// A redirect in an address is no answer to a request for a posted one: its code is
// in the history of the browser, and is not used.
func TestFormPostRefusesAddress(t *testing.T) {
	s, l := startPosting(t, nil)
	if got := browse(t, l.callback(t)); got.status != http.StatusInternalServerError || !strings.Contains(got.body, "Sign-in failed") {
		t.Errorf("the last page is %d", got.status)
	}
	_, err := l.wait(t)
	refusal, ok := errors.AsType[*grant.CheckError](err)
	if !ok || refusal.Check != "authorization_response.mode" {
		t.Errorf("got %v", err)
	}
	checkSilent(t, l)
	if n := s.tokens.Load(); n != 0 {
		t.Errorf("%d token requests", n)
	}
	if done := l.seen(loopback.Done); len(done) != 1 || done[0].Err == nil {
		t.Errorf("events %v", done)
	}
}

// A redirect URI may have a query of its own.
func TestFormPostKeepsQuery(t *testing.T) {
	server, err := loopback.Listen(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	uri := server.RedirectURI()
	if err := server.Close(); err != nil { // so that its port is free
		t.Fatal(err)
	}
	_, l := startPosting(t, &loopback.Options{NoBrowser: true, RedirectURI: uri + "?tenant=a"})
	resp, _ := form{body: "code=secret-code&state=" + l.state(t)}.send(t, l)
	if resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the answer is %d", resp.StatusCode)
	}
	browse(t, uri+"/done")
	l.succeed(t)
}

// A body that does not come ends with the time for reading, and nobody waits for it.
func TestFormPostSlowBody(t *testing.T) {
	_, l := startPosting(t, nil)
	for range 100 {
		conn := dial(t, l.RedirectURI)
		_, err := io.WriteString(conn, "POST /callback HTTP/1.1\r\nHost: "+hostOf(t, l.RedirectURI)+
			"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ncode=")
		if err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	form{body: "code=secret-code&state=" + l.state(t)}.send(t, l)
	browse(t, l.RedirectURI+"/done")
	l.succeed(t)
	if took := time.Since(begin); took > 5*time.Second { // half of what a body may take
		t.Errorf("the login took %v", took)
	}
}

// Without form_post nothing that is posted is looked at.
func TestFormPostOnlyWhereAsked(t *testing.T) {
	s := startToy(t, nil)
	l := start(t.Context(), t, s.client, &loopback.Options{NoBrowser: true, FormPost: true}) // the client decides
	resp, _ := form{body: "code=secret-code&state=" + l.state(t)}.send(t, l)
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != http.MethodGet {
		t.Errorf("the answer is %d, allowed is %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
	browse(t, l.callback(t))
	l.succeed(t)
}

// A signed response may be posted as well; one that is not signed is refused.
func TestFormPostSigned(t *testing.T) {
	s := startToy(t, nil)
	s.client.ResponseMode, s.client.Server.JWKSURI = "form_post.jwt", startHanging(t)+"/jwks"
	l := start(t.Context(), t, s.client, nil)
	form{body: "code=secret-code&state=" + l.state(t)}.send(t, l)
	browse(t, l.RedirectURI+"/done")
	_, err := l.wait(t)
	if refusal, ok := errors.AsType[*grant.CheckError](err); !ok || refusal.Check != "authorization_response.response" {
		t.Errorf("got %v", err)
	}
	if n := s.tokens.Load(); n != 0 {
		t.Errorf("%d token requests", n)
	}
}
