package loopback_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestStrangersTakeNoPage: whoever else asks for the last page, the browser that
// brought the redirect gets it too, on the same connection or on another one.
func TestStrangersTakeNoPage(t *testing.T) {
	for _, same := range []bool{true, false} {
		t.Run(fmt.Sprintf("same connection=%t", same), func(t *testing.T) {
			s := startToy(t, nil)
			l := start(t.Context(), t, s.client, nil)
			browser := dial(t, l.RedirectURI)
			if resp := get(t, browser, l.callback(t)); resp.StatusCode != http.StatusSeeOther {
				t.Fatalf("the redirect gets %d", resp.StatusCode)
			}
			for range 5 {
				if resp := get(t, dial(t, l.RedirectURI), l.RedirectURI+"/done"); resp.StatusCode != http.StatusOK {
					t.Errorf("a stranger gets %d", resp.StatusCode)
				}
			}
			time.Sleep(300 * time.Millisecond) // the browser is slow
			if !same {
				browser = dial(t, l.RedirectURI)
			}
			if resp := get(t, browser, l.RedirectURI+"/done"); resp.StatusCode != http.StatusOK || !resp.Close {
				t.Errorf("the browser gets %d", resp.StatusCode)
			}
			l.succeed(t)
		})
	}
}

// TestPageEndsTheWait: when the browsers have their pages, nobody waits any
// longer, whatever strangers do.
func TestPageEndsTheWait(t *testing.T) {
	s := startToy(t, nil)
	l := start(t.Context(), t, s.client, nil)
	callback := l.callback(t)
	browsers := []net.Conn{dial(t, l.RedirectURI), dial(t, l.RedirectURI)}
	for _, conn := range browsers {
		if resp := get(t, conn, callback); resp.StatusCode != http.StatusSeeOther || resp.Close {
			t.Fatalf("the redirect gets %d, and the connection is closed: %t", resp.StatusCode, resp.Close)
		}
	}
	stranger := dial(t, l.RedirectURI)
	get(t, stranger, l.RedirectURI+"?state=x")
	begin := time.Now()
	for _, conn := range browsers {
		get(t, conn, l.RedirectURI+"/done")
	}
	l.succeed(t)
	if took := time.Since(begin); took > 500*time.Millisecond {
		t.Errorf("the login took %v longer than the browsers", took)
	}
}

// get sends a request on a connection that stays open.
func get(t *testing.T, conn net.Conn, address string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// TestPipelinedPage: who asks for the page before the redirect is answered gets it
// after that, and nothing else on the same connection.
func TestPipelinedPage(t *testing.T) {
	s := startToy(t, nil)
	l := start(t.Context(), t, s.client, nil)
	conn := dial(t, l.RedirectURI)
	for _, address := range []string{l.callback(t), l.RedirectURI + "/done", l.RedirectURI + "/done"} {
		req, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := req.Write(conn); err != nil {
			t.Fatal(err)
		}
	}
	answers := bufio.NewReader(conn)
	for _, want := range []int{http.StatusSeeOther, http.StatusOK} {
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != want {
			t.Errorf("the answer is %d, %v; want %d", resp.StatusCode, err, want)
		}
		checkSecure(t, resp.Header)
	}
	if rest, _ := io.ReadAll(answers); len(rest) > 0 {
		t.Errorf("%q follows", rest)
	}
	l.succeed(t)
}
