package issuer_test

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

func TestSignIn(t *testing.T) {
	iss := start(t, nil)
	uri := receiver(t)
	got := answer(t, iss, new(issuer.Visitor), request(uri))
	if got.Get("state") != "the state" || got.Get("iss") != iss.URL() || got.Get("code") == "" || len(got) != 3 {
		t.Fatalf("authorization response: %v", got)
	}
	r := post(t, iss.URL()+"/token", codeGrant(uri, got))
	if r.status != http.StatusOK {
		t.Fatalf("token endpoint: %d %v", r.status, r.body)
	}
	claims := part(t, r.string("id_token"), 1)
	if claims["nonce"] != "the nonce" || claims["iss"] != iss.URL() || claims["aud"] != "demo" {
		t.Errorf("claims: %v", claims)
	}
	info := get(t, iss.URL()+"/userinfo", "Authorization", "Bearer "+r.string("access_token"))
	if info.status != http.StatusOK || info.body["sub"] != claims["sub"] || info.body["preferred_username"] != "ada" {
		t.Errorf("userinfo: %d %v", info.status, info.body)
	}
}

// Close must end what is going on: idle and half-open connections, requests that wait, hooks that hang.
func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	hanging := make(chan struct{})
	iss, err := issuer.Start(&issuer.Options{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hang" {
				close(hanging)
				<-r.Context().Done()
				return
			}
			next.ServeHTTP(w, r)
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(iss.URL(), "http://")
	for _, sent := range []string{"", "GET / HT", "POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", "GET /jwks HTTP/1.1\r\nHost: " + address + "\r\n\r\n"} {
		conn, err := net.Dial("tcp4", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /hang HTTP/1.1\r\nHost: "+address+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-hanging
	for range 2 {
		if err := iss.Close(); err != nil {
			t.Error(err)
		}
	}
	if conn, err := net.Dial("tcp4", address); err == nil {
		t.Error("the port is still open")
		_ = conn.Close()
	}
	// A goroutine that was waited for may still be on its last instruction.
	for n := 0; runtime.NumGoroutine() > before; n++ {
		if n == 100 {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
		time.Sleep(time.Millisecond)
	}
}

// Many sign-ins at once: for the race detector.
func TestConcurrentSignIns(t *testing.T) {
	iss := start(t, nil)
	uri := receiver(t)
	visitor := new(issuer.Visitor)
	answer(t, iss, visitor, request(uri)) // from here on the visitor is signed in
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			page, err := visitor.Visit(t.Context(), iss.URL()+"/oauth2/authorize?"+request(uri).Encode())
			if err != nil || string(page.Body) != "received" {
				t.Errorf("visit: %v", err)
			}
		})
	}
	wg.Wait()
	if n := len(iss.Secrets()); n != 9 {
		t.Errorf("%d codes for 9 visits", n)
	}
}
