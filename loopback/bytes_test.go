package loopback

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// FuzzBytes: whatever bytes come over a connection, every answer is one of ours:
// 4xx with the headers and the page that all refusals have, counted once, and the
// last on its connection.
func FuzzBytes(f *testing.F) {
	const host = "Host: 127.0.0.1:8080\r\n"
	for _, request := range []string{
		"GET /callback?state=s HTTP/1.1\r\n" + host + "\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n" + host + host + "\r\n",
		"POST /callback HTTP/1.1\r\n" + host + "Content-Length: 7\r\nExpect: 100-continue\r\n\r\nstate=s", "GET / HTTP/3.0\r\n" + host + "\r\n",
		"GET / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", "GET / HTTP/1.1\r\n" + host + "Expect: miracles\r\n\r\n",
		"GET http://evil.example/callback HTTP/1.1\r\n" + host + "\r\n", "CONNECT x:1 HTTP/1.1\r\n" + host + "\r\n", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /callback/done HTTP/1.0\r\nConnection: keep-alive\r\n" + host + "\r\nGET / HTTP/1.1\r\n" + host + "\r\n",
		"GET /%zz HTTP/1.1\r\n" + host + "\r\n", "\x16\x03\x01\x02", "GET /" + strings.Repeat("x", 80<<10) + " HTTP/1.1\r\n" + host + "\r\n", "\r\n\r\n\r\n",
		"GET / HTTP/1.1\r\n" + host + "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n\r\n", "HEAD / HTTP/1.1\r\n" + host + "\r\n",
		"GET / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", "GET / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nabcdeGET / HTTP/1.1\r\n",
	} {
		f.Add([]byte(request))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			ignored := 0
			s, p := newPipeServer(t, &Options{Timeout: -1, Notify: func(e Event) {
				if e.Kind == Ignored {
					ignored++
				}
			}})
			ctx, cancel := context.WithCancel(t.Context())
			var answers []byte
			go func() {
				defer cancel()
				conn := p.dial()
				defer conn.Close()
				go conn.Write(data) // until it is refused
				answers, _ = io.ReadAll(conn)
			}()
			never := func(url.Values) bool { return false }
			err := s.Receive(ctx, never, func(context.Context, url.Values) error { return nil })
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("ended with %v", err)
			}
			if len(answers) == 0 {
				if ignored > 0 {
					t.Errorf("%d requests were ignored and none answered", ignored)
				}
				return
			}
			checkRefusal(t, s.receiver.pages, data, answers)
			if ignored != 1 {
				t.Errorf("%d requests were ignored, 1 was answered", ignored)
			}
		})
	})
}

// checkRefusal checks that there is one answer, and that it is a refusal.
func checkRefusal(t *testing.T, p *pages, request, answer []byte) {
	t.Helper()
	method := http.MethodGet
	if bytes.HasPrefix(request, []byte("HEAD ")) && bytes.HasSuffix(answer, []byte("\r\n\r\n")) {
		method = http.MethodHead // and net/http has understood it
	}
	r := bufio.NewReader(bytes.NewReader(answer))
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || method != http.MethodHead && string(body) != string(p[Unknown].body) {
		t.Errorf("the body is %q, %v", body, err)
	}
	if resp.StatusCode < 400 || resp.StatusCode > 499 || !resp.Close {
		t.Errorf("the status is %d, and the connection is closed: %t", resp.StatusCode, resp.Close)
	}
	want := http.Header{}
	p.header(want, Unknown)
	for name := range want {
		if resp.Header.Get(name) != want.Get(name) {
			t.Errorf("%s is %q, want %q", name, resp.Header.Get(name), want.Get(name))
		}
	}
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("%q follows", rest)
	}
}

// TestOneRefusal: however net/http writes its answer, ours is written once.
func TestOneRefusal(t *testing.T) {
	var reasons []noise
	c := &conn{conns: &conns{refuse: func(_ io.Writer, n noise) error {
		reasons = append(reasons, n)
		return nil
	}}}
	for _, part := range []string{"HTTP/1.1 431 Request Header Fields Too Large\r\n", "Connection: close\r\n\r\n", "too large"} {
		if n, err := c.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("wrote %d of %d bytes: %v", n, len(part), err)
		}
	}
	if !slices.Equal(reasons, []noise{malformed}) { // the status alone is no answer
		t.Errorf("refused for %q", reasons)
	}
}
