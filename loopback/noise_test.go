package loopback_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/loopback"
)

// TestNoise sends all that a loopback port may get. Each is refused, counted and
// without effect, and none of them is told anything.
func TestNoise(t *testing.T) {
	s := startToy(t, nil)
	l := start(t.Context(), t, s.client, nil)
	state := l.state(t)
	ok := "/callback?code=secret-code&state=" + state
	tests := []struct {
		name   string
		method string // default: GET
		target string // default: the redirect itself
		host   string
		header http.Header
		status int
		reason string
	}{
		{name: "HEAD", method: http.MethodHead, status: 405, reason: "wrong method"},
		{name: "POST", method: http.MethodPost, status: 405, reason: "wrong method"},
		{name: "PUT", method: http.MethodPut, status: 405, reason: "wrong method"},
		{name: "unknown method", method: "BREW", status: 405, reason: "wrong method"},
		{name: "preflight", method: http.MethodOptions, status: 405, reason: "wrong method", header: http.Header{
			"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"GET"},
			"Access-Control-Request-Private-Network": {"true"},
		}},
		{name: "OPTIONS of everything", method: http.MethodOptions, target: "*", status: 405, reason: "wrong method"},
		{name: "foreign host", host: "evil.example", status: 421, reason: "wrong host"},
		{name: "other name", host: "localhost" + l.RedirectURI[strings.LastIndexByte(l.RedirectURI, ':'):strings.LastIndexByte(l.RedirectURI, '/')],
			status: 421, reason: "wrong host"},
		{name: "other port", host: "127.0.0.1:1", status: 421, reason: "wrong host"},
		{name: "favicon", target: "/favicon.ico", status: 404, reason: "wrong path",
			header: http.Header{"Sec-Fetch-Dest": {"image"}, "Sec-Fetch-Mode": {"no-cors"}}},
		{name: "root", target: "/", status: 404, reason: "wrong path"},
		{name: "slash", target: "/callback/?" + ok[len("/callback?"):], status: 404, reason: "wrong path"},
		{name: "two slashes", target: "/" + ok, status: 404, reason: "wrong path"},
		{name: "encoded path", target: "/%63allback?" + ok[len("/callback?"):], status: 404, reason: "wrong path"},
		{name: "upper case", target: "/CALLBACK?" + ok[len("/callback?"):], status: 404, reason: "wrong path"},
		{name: "last page too early", target: "/callback/done", status: 404, reason: "nothing has ended yet"},
		{name: "foreign origin", header: http.Header{"Origin": {"https://evil.example"}}, status: 403, reason: "foreign origin"},
		{name: "second origin", header: http.Header{"Origin": {"null", "https://evil.example"}}, status: 403, reason: "foreign origin"},
		{name: "prefetch", header: http.Header{"Sec-Purpose": {"prefetch"}}, status: 403, reason: "prefetch"},
		{name: "prerender", header: http.Header{"Sec-Purpose": {"prefetch;prerender"}}, status: 403, reason: "prefetch"},
		{name: "old prefetch", header: http.Header{"Purpose": {"prefetch"}}, status: 403, reason: "prefetch"},
		{name: "Firefox prefetch", header: http.Header{"X-Moz": {"prefetch"}}, status: 403, reason: "prefetch"},
		{name: "Safari preview", header: http.Header{"X-Purpose": {"preview"}}, status: 403, reason: "prefetch"},
		{name: "image", header: http.Header{"Sec-Fetch-Dest": {"image"}, "Sec-Fetch-Mode": {"no-cors"}}, status: 403, reason: "not a page load"},
		{name: "frame", header: http.Header{"Sec-Fetch-Dest": {"iframe"}, "Sec-Fetch-Mode": {"navigate"}}, status: 403, reason: "not a page load"},
		{name: "fetch", header: http.Header{"Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Mode": {"cors"}}, status: 403, reason: "not a page load"},
		{name: "mode alone", header: http.Header{"Sec-Fetch-Mode": {"same-origin"}}, status: 403, reason: "not a page load"},
		{name: "long query", target: ok + "&x=" + strings.Repeat("x", 16<<10), status: 414, reason: "query too long"},
		{name: "semicolon", target: ok + ";x=y", status: 400, reason: "malformed query"},
		{name: "bad encoding", target: ok + "&x=%zz", status: 400, reason: "malformed query"},
		{name: "no query", target: "/callback", status: 400, reason: "wrong or missing state"},
		{name: "no state", target: "/callback?code=secret-code", status: 400, reason: "wrong or missing state"},
		{name: "wrong state", target: "/callback?code=secret-code&state=x" + state, status: 400, reason: "wrong or missing state"},
		{name: "empty state", target: "/callback?code=secret-code&state=", status: 400, reason: "wrong or missing state"},
		{name: "two states", target: ok + "&state=x", status: 400, reason: "wrong or missing state"},
		{name: "state twice", target: ok + "&state=" + state, status: 400, reason: "wrong or missing state"},
		{name: "error without state", target: "/callback?error=access_denied", status: 400, reason: "wrong or missing state"},
		{name: "error with wrong state", target: "/callback?error=access_denied&state=x", status: 400, reason: "wrong or missing state"},
		{name: "state in another case", target: "/callback?code=secret-code&State=" + state, status: 400, reason: "wrong or missing state"},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := raw{method: test.method, target: test.target, host: test.host, header: test.header}
			if r.target == "" {
				r.target = ok
			}
			resp, body := r.send(t, l.RedirectURI)
			if resp.StatusCode != test.status {
				t.Errorf("the status is %d, want %d", resp.StatusCode, test.status)
			}
			checkSecure(t, resp.Header)
			checkSilent(t, l, body, fmt.Sprint(resp.Header))
			if !resp.Close {
				t.Error("the connection is kept alive")
			}
			ignored := l.seen(loopback.Ignored)
			if len(ignored) != i+1 || ignored[i].Reason != test.reason {
				t.Errorf("%d requests were ignored, the last as %v; want %s", len(ignored), ignored, test.reason)
			}
		})
	}

	if got := s.tokens.Load(); got != 0 {
		t.Fatalf("noise has led to %d token requests", got)
	}
	if got := browse(t, l.callback(t)); got.status != http.StatusOK {
		t.Errorf("the last page is %d", got.status)
	}
	l.succeed(t)
}

// TestBrowserHeaders: what real browsers send is taken.
func TestBrowserHeaders(t *testing.T) {
	for name, header := range map[string]http.Header{
		"Chromium":    {"Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-User": {"?1"}},
		"old":         {},
		"null origin": {"Origin": {"null"}},
		"cookies":     {"Cookie": {strings.Repeat("other=server; ", 2000)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := startToy(t, nil)
			l := start(t.Context(), t, s.client, nil)
			r := raw{target: l.callback(t)[len("http://"+hostOf(t, l.RedirectURI)):], header: header}
			resp, body := r.send(t, l.RedirectURI)
			if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/callback/done" || body != "" {
				t.Errorf("the answer is %d %s", resp.StatusCode, body)
			}
			checkSecure(t, resp.Header)
			browse(t, l.RedirectURI+"/done")
			l.succeed(t)
		})
	}
}

// TestEarlyRedirect: a redirect may come before Login has begun to wait.
func TestEarlyRedirect(t *testing.T) {
	s := startToy(t, nil)
	var conn net.Conn
	l := start(t.Context(), t, s.client, &loopback.Options{
		NoBrowser: true,
		Notify: func(e loopback.Event) {
			if e.Kind != loopback.AuthorizationURL {
				return
			}
			request, err := http.NewRequest(http.MethodGet, e.RedirectURI+"?code=secret-code&state="+stateOf(e.URL), nil)
			if err == nil {
				conn, err = net.Dial("tcp", request.Host)
			}
			if err == nil {
				err = request.Write(conn)
			}
			if err != nil {
				t.Error(err)
			}
		},
	})
	defer conn.Close()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("the answer is %v, %v", resp, err)
	}
	browse(t, l.RedirectURI+"/done")
	l.succeed(t)
}

// TestReplay: 50 copies of the redirect at once are one login, and all of them
// see what came of it.
func TestReplay(t *testing.T) {
	s := startToy(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(100 * time.Millisecond) // so that they all come during the exchange
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"secret-token","token_type":"bearer"}`)
	})
	l := start(t.Context(), t, s.client, nil)
	callback := l.callback(t)
	var browsers sync.WaitGroup
	for range 50 {
		browsers.Go(func() {
			got, err := load(t.Context(), callback)
			if err != nil || got.status != http.StatusOK || !strings.Contains(got.body, "Signed in") {
				t.Errorf("a browser got %d, %v", got.status, err)
			}
		})
	}
	browsers.Wait()
	l.succeed(t)
	if got := s.tokens.Load(); got != 1 {
		t.Errorf("%d token requests, want 1", got)
	}
	if received := l.seen(loopback.Received); len(received) != 1 {
		t.Errorf("the redirect was received %d times", len(received))
	}
}

// TestSlowConnections: 500 connections that send a byte a second keep nobody
// out, neither when they are there nor while they come.
func TestSlowConnections(t *testing.T) {
	for _, wait := range []bool{true, false} {
		t.Run(fmt.Sprintf("wait=%t", wait), func(t *testing.T) {
			s := startToy(t, nil)
			l := start(t.Context(), t, s.client, nil)
			ctx, stop := context.WithCancel(t.Context())
			var opened, slow sync.WaitGroup
			defer slow.Wait()
			defer stop()
			opened.Add(500)
			host := hostOf(t, l.RedirectURI)
			for range 500 {
				slow.Go(func() { drip(ctx, host, opened.Done) })
			}
			if wait {
				opened.Wait()
			}
			begin := time.Now()
			for range 10 {
				if got := browse(t, l.RedirectURI); got.status != http.StatusBadRequest {
					t.Errorf("noise gets %d", got.status)
				}
			}
			if got := browse(t, l.callback(t)); got.status != http.StatusOK {
				t.Errorf("the last page is %d", got.status)
			}
			l.succeed(t)
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("the login took %v", took)
			}
		})
	}
}

// drip sends a request that never ends, a byte a second.
func drip(ctx context.Context, host string, opened func()) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		opened()
		return
	}
	defer conn.Close()
	for i, b := range []byte("GET /callback?code=" + strings.Repeat("x", 100)) {
		_, err := conn.Write([]byte{b})
		if i == 0 {
			opened()
		}
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// A raw is a request as it is on the wire, which an http.Client would not send.
type raw struct {
	method, target, host string
	header               http.Header
}

func (r *raw) send(t *testing.T, redirectURI string) (*http.Response, string) {
	t.Helper()
	method, host := r.method, r.host
	if method == "" {
		method = http.MethodGet
	}
	if host == "" {
		host = hostOf(t, redirectURI)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, r.target, host)
	_ = r.header.Write(&b)
	b.WriteString("\r\n")
	conn := dial(t, redirectURI)
	if _, err := io.WriteString(conn, b.String()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
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

func dial(t *testing.T, redirectURI string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", hostOf(t, redirectURI))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func hostOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
