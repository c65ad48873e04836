package loopback_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/loopback"
)

const secretURL = "https://issuer.example/end?id_token_hint=SECRET"

// fetch makes one request and follows nothing.
func fetch(t *testing.T, method, address string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// The browser is given an address that says nothing, and is sent on from there.
func TestOpenSecret(t *testing.T) {
	var opened string
	err := loopback.OpenSecret(t.Context(), secretURL, &loopback.Options{Open: func(_ context.Context, address string) error {
		opened = address
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" || u.Hostname() != "127.0.0.1" || len(u.Path) < 20 || strings.Contains(address, "SECRET") {
			t.Errorf("opened %q", address)
		}
		for name, resp := range map[string]*http.Response{
			"another path":   fetch(t, "GET", "http://"+u.Host+"/"),
			"another method": fetch(t, "POST", address),
			"HEAD":           fetch(t, "HEAD", address),
			"another host":   fetch(t, "GET", address, "Host", "evil.example"),
			"a prefetch":     fetch(t, "GET", address, "Sec-Purpose", "prefetch"),
			"an image":       fetch(t, "GET", address, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"),
		} {
			if resp.StatusCode != http.StatusNotFound || resp.Header.Get("Location") != "" {
				t.Errorf("%s: %d to %q", name, resp.StatusCode, resp.Header.Get("Location"))
			}
		}
		resp := fetch(t, "GET", address, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != secretURL ||
			resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%d with %v", resp.StatusCode, resp.Header)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), "GET", opened, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := transport.RoundTrip(req); err == nil {
		resp.Body.Close()
		t.Error("the port is still open")
	}
}

// The address is in the arguments of a program, where others on this machine can
// read it. Whoever comes after the browser gets nothing, also on a connection that
// was opened before. Then the browser need not be waited for: neither a program that
// stays in the foreground, nor a connection on which nothing is said.
func TestOpenSecretOnce(t *testing.T) {
	came := make(chan struct{})
	open := func(ctx context.Context, address string) error {
		u, err := url.Parse(address)
		if err != nil {
			return err
		}
		early, err := net.Dial("tcp", u.Host)
		if err != nil {
			return err
		}
		defer early.Close()
		if resp := fetch(t, "GET", address); resp.Header.Get("Location") != secretURL {
			t.Errorf("the browser was sent to %q", resp.Header.Get("Location"))
		}
		close(came)
		fmt.Fprintf(early, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.Path, u.Host)
		if answer, _ := io.ReadAll(early); strings.Contains(string(answer), "SECRET") {
			t.Errorf("the second one got %q", answer)
		}
		<-ctx.Done() // the browser runs in the foreground
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := loopback.OpenSecret(ctx, secretURL, &loopback.Options{Open: open}); err != nil {
		t.Error(err)
	}
	<-came
}

// Two that come at the same time: one of them gets it.
func TestOpenSecretRace(t *testing.T) {
	open := func(_ context.Context, address string) error {
		u, err := url.Parse(address)
		if err != nil {
			return err
		}
		var connections []net.Conn
		for range 8 {
			c, err := net.Dial("tcp", u.Host)
			if err != nil {
				return err
			}
			defer c.Close()
			connections = append(connections, c)
		}
		var winners atomic.Int32
		var asking sync.WaitGroup
		for _, c := range connections {
			asking.Go(func() {
				fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.Path, u.Host)
				if answer, _ := io.ReadAll(c); strings.Contains(string(answer), "SECRET") {
					winners.Add(1)
				}
			})
		}
		asking.Wait()
		if winners.Load() != 1 {
			t.Errorf("%d got the address", winners.Load())
		}
		return nil
	}
	if err := loopback.OpenSecret(t.Context(), secretURL, &loopback.Options{Open: open}); err != nil {
		t.Error(err)
	}
}

func TestOpenSecretFails(t *testing.T) {
	noBrowser := errors.New("no browser")
	for name, test := range map[string]struct {
		url  string
		open func(context.Context, string) error
		want error // nil: any
	}{
		"no browser": {secretURL, func(context.Context, string) error { return noBrowser }, noBrowser},
		"no page":    {"javascript:alert('SECRET')", nil, nil},
		"http":       {"http://issuer.example/end?SECRET", nil, nil},
		"canceled":   {secretURL, func(context.Context, string) error { return nil }, context.DeadlineExceeded},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := loopback.OpenSecret(ctx, test.url, &loopback.Options{Open: test.open})
		if err == nil || test.want != nil && !errors.Is(err, test.want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
