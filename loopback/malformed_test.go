package loopback_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/loopback"
)

// TestMalformedRequests sends bytes that no browser sends. Most of them are no
// request to net/http either, which answers before there is anything to handle:
// those answers are like all the others.
func TestMalformedRequests(t *testing.T) {
	s := startToy(t, nil)
	l := start(t.Context(), t, s.client, nil)
	host := "Host: " + hostOf(t, l.RedirectURI) + "\r\n"
	path := l.callback(t)[len("http://"+hostOf(t, l.RedirectURI)):]
	const (
		malformed = "malformed request"
		tooLarge  = "request too large"
	)
	tests := []struct {
		name    string
		request string
		status  int
		reason  string
	}{
		{"query of 1 MiB", "GET " + path + "&x=" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\n" + host + "\r\n", 431, tooLarge},
		{"header of 1 MiB", "GET " + path + " HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", 431, tooLarge},
		{"many headers", "GET " + path + " HTTP/1.1\r\n" + host + strings.Repeat("X: y\r\n", 1<<16) + "\r\n", 431, tooLarge},
		{"no host", "GET " + path + " HTTP/1.1\r\n\r\n", 400, malformed},
		{"malformed host", "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1 \x01\r\n\r\n", 400, malformed},
		{"two hosts", "GET " + path + " HTTP/1.1\r\n" + host + "Host: evil.example\r\n\r\n", 400, malformed},
		{"host twice", "GET " + path + " HTTP/1.1\r\n" + host + host + "\r\n", 400, malformed},
		{"HTTP/2.0 without its preface", "GET " + path + " HTTP/2.0\r\n" + host + "\r\n", 400, malformed},
		{"HTTP/9.9", "GET " + path + " HTTP/9.9\r\n" + host + "\r\n", 400, malformed},
		{"no version", "GET " + path + "\r\n\r\n", 400, malformed},
		{"two blanks", "GET  " + path + " HTTP/1.1\r\n" + host + "\r\n", 400, malformed},
		{"bad encoding of the path", "GET /%zz HTTP/1.1\r\n" + host + "\r\n", 400, malformed},
		{"unknown transfer coding", "GET " + path + " HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", 400, malformed},
		{"two lengths", "GET " + path + " HTTP/1.1\r\n" + host + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n", 400, malformed},
		{"negative length", "GET " + path + " HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", 400, malformed},
		{"unknown expectation", "GET " + path + " HTTP/1.1\r\n" + host + "Expect: miracles\r\n\r\n", 400, malformed},
		{"blank before the colon", "GET " + path + " HTTP/1.1\r\n" + host + "X : y\r\n\r\n", 400, malformed},
		{"header without a colon", "GET " + path + " HTTP/1.1\r\n" + host + "nonsense\r\n\r\n", 400, malformed},
		{"control character", "GET " + path + " HTTP/1.1\r\n" + host + "X: \x00\r\n\r\n", 400, malformed},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, malformed},
		{"SSH", "SSH-2.0-OpenSSH_9.2p1\r\n\r\n", 400, malformed},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 405, "wrong method"},
		{"HTTP/1.0 without a host", "GET " + path + " HTTP/1.0\r\n\r\n", 421, "wrong host"},
		{"target of another host", "GET http://evil.example" + path + " HTTP/1.1\r\n" + host + "\r\n", 421, "wrong host"},
		{"CONNECT", "CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + host + "\r\n", 405, "wrong method"},
		{"dots", "GET /x/.." + path + " HTTP/1.1\r\n" + host + "\r\n", 404, "wrong path"},
		{"encoded slash", "GET " + strings.Replace(path, "/", "/%2f", 1) + " HTTP/1.1\r\n" + host + "\r\n", 404, "wrong path"},
		{"parameter in the path", "GET " + strings.Replace(path, "?", ";x?", 1) + " HTTP/1.1\r\n" + host + "\r\n", 404, "wrong path"},
		{"fragment", "GET " + path + "#x HTTP/1.1\r\n" + host + "\r\n", 400, "wrong or missing state"},
		{"body", "GET " + path + " HTTP/1.1\r\n" + host + "Content-Length: 1\r\n\r\nx", 400, "request with a body"},
		{"body that does not come", "GET " + path + " HTTP/1.1\r\n" + host + "Content-Length: 100000000000\r\n\r\n", 400, "request with a body"},
		{"body that is waited with", "GET " + path + " HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n", 400, "request with a body"},
		{"chunked body", "GET " + path + " HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "request with a body"},
		{"chunked body with a length", "GET " + path + " HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400, "request with a body"},
	}
	nothing := browse(t, l.RedirectURI) // the page for whatever is not ours
	seen := len(l.seen(loopback.Ignored))
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			begin := time.Now()
			conn := dial(t, l.RedirectURI)
			var writing sync.WaitGroup
			defer writing.Wait()
			writing.Go(func() { _, _ = io.WriteString(conn, test.request) }) // it may be refused before its end
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Error(err)
			}
			if resp.StatusCode != test.status || string(body) != nothing.body {
				t.Errorf("the answer is %d %s", resp.StatusCode, body)
			}
			if took := time.Since(begin); took > time.Second {
				t.Errorf("it came after %v", took)
			}
			for name := range nothing.header {
				if got, want := resp.Header.Get(name), nothing.header.Get(name); got != want && name != "Date" {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			checkSecure(t, resp.Header)
			if !resp.Close {
				t.Error("the connection is kept alive")
			}
			ignored := l.seen(loopback.Ignored)[seen:]
			if len(ignored) != i+1 || ignored[i].Reason != test.reason {
				t.Errorf("%d requests were ignored, the last as %v; want %s", len(ignored), ignored, test.reason)
			}
		})
	}
	browse(t, l.callback(t))
	l.succeed(t)
}

// TestMalformedRequestOfGuest: the second request on a connection is not trusted
// more than the first one.
func TestMalformedRequestOfGuest(t *testing.T) {
	s := startToy(t, nil)
	l := start(t.Context(), t, s.client, nil)
	conn := dial(t, l.RedirectURI)
	if resp := get(t, conn, l.callback(t)); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("the redirect gets %d", resp.StatusCode)
	}
	if _, err := io.WriteString(conn, "GET /callback/done HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("the answer is %d", resp.StatusCode)
	}
	checkSecure(t, resp.Header)
	if n := len(l.seen(loopback.Ignored)); n != 0 {
		t.Errorf("%d requests are counted after the end", n)
	}
	l.succeed(t)
}
