package loopback_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
)

// occupy listens on a free port of a loopback address.
func occupy(t *testing.T, network, address string) int {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func needIPv6(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no ::1: %v", err)
	}
	l.Close()
}

func listen(t *testing.T, opts *loopback.Options) *loopback.Server {
	t.Helper()
	s, err := loopback.Listen(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestPorts(t *testing.T) {
	busy, free := occupy(t, "tcp4", "127.0.0.1:0"), freePort(t)
	s := listen(t, &loopback.Options{Ports: []int{busy, free}})
	if want := "http://127.0.0.1:" + strconv.Itoa(free) + "/callback"; s.RedirectURI() != want {
		t.Errorf("the redirect URI is %s, want %s", s.RedirectURI(), want)
	}
	s = listen(t, &loopback.Options{Ports: []int{busy, 0}, CallbackPath: "/auth/callback"})
	if !strings.HasSuffix(s.RedirectURI(), "/auth/callback") {
		t.Errorf("the redirect URI is %s", s.RedirectURI())
	}
}

func TestBusyPort(t *testing.T) {
	first, second := occupy(t, "tcp4", "127.0.0.1:0"), occupy(t, "tcp4", "127.0.0.1:0")
	_, err := loopback.Listen(t.Context(), &loopback.Options{Ports: []int{first, second}})
	busy, ok := errors.AsType[*loopback.BindError](err)
	if !ok || len(busy.Attempts) != 2 {
		t.Fatalf("the error is %v", err)
	}
	for _, port := range []int{first, second} {
		if !strings.Contains(err.Error(), "127.0.0.1:"+strconv.Itoa(port)) {
			t.Errorf("the error %v does not name port %d", err, port)
		}
	}
	if _, ok := errors.AsType[*net.OpError](err); !ok {
		t.Error("the causes are lost")
	}
}

// TestLocalhost: both addresses of the name answer on one port.
func TestLocalhost(t *testing.T) {
	needIPv6(t)
	s := startToy(t, nil)
	for _, address := range []string{"127.0.0.1", "[::1]"} {
		l := start(t.Context(), t, s.client, &loopback.Options{NoBrowser: true, RedirectHost: "localhost"})
		host := hostOf(t, l.RedirectURI)
		name, port, err := net.SplitHostPort(host)
		if err != nil || name != "localhost" {
			t.Fatalf("the redirect URI is %s", l.RedirectURI)
		}
		r := raw{target: l.callback(t)[len("http://"+host):], host: host}
		resp, _ := r.send(t, "http://"+address+":"+port)
		if resp.StatusCode != http.StatusSeeOther {
			t.Errorf("over %s, the redirect gets %d", address, resp.StatusCode)
		}
		r.target = "/callback/done"
		if resp, _ := r.send(t, "http://"+address+":"+port); resp.StatusCode != http.StatusOK {
			t.Errorf("over %s, the last page is %d", address, resp.StatusCode)
		}
		l.succeed(t)
	}
}

// TestLocalhostTaken: a port counts as busy when somebody else has it on the other
// address.
func TestLocalhostTaken(t *testing.T) {
	needIPv6(t)
	busy := occupy(t, "tcp6", "[::1]:0")
	_, err := loopback.Listen(t.Context(), &loopback.Options{RedirectHost: "localhost", Ports: []int{busy}})
	if _, ok := errors.AsType[*loopback.BindError](err); !ok || !strings.Contains(err.Error(), "[::1]:"+strconv.Itoa(busy)) {
		t.Errorf("the error is %v", err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(busy))
	if err != nil {
		t.Fatalf("the address that was free is not given back: %v", err)
	}
	l.Close()
}

func TestIPv6(t *testing.T) {
	needIPv6(t)
	s := startToy(t, nil)
	l := start(t.Context(), t, s.client, &loopback.Options{NoBrowser: true, RedirectHost: "[::1]"})
	if !strings.HasPrefix(l.RedirectURI, "http://[::1]:") {
		t.Errorf("the redirect URI is %s", l.RedirectURI)
	}
	if got := browse(t, l.callback(t)); got.status != http.StatusOK {
		t.Errorf("the last page is %d", got.status)
	}
	l.succeed(t)
}

// TestLoopbackOnly: no other address of this machine reaches the port.
func TestLoopbackOnly(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost"} {
		s := listen(t, &loopback.Options{RedirectHost: host})
		_, port, err := net.SplitHostPort(hostOf(t, s.RedirectURI()))
		if err != nil {
			t.Fatal(err)
		}
		// On Linux and Windows all of 127.0.0.0/8 is this machine: a listener on
		// all addresses would be reached here.
		if runtime.GOOS == "darwin" {
			t.Skip("macOS has 127.0.0.1 alone")
		}
		conn, err := net.DialTimeout("tcp4", "127.0.0.2:"+port, time.Second)
		if err == nil {
			conn.Close()
			t.Errorf("%s listens on 127.0.0.2 too", host)
		}
	}
}

// TestRedirectURI: it is sent byte for byte, and decides where to listen.
func TestRedirectURI(t *testing.T) {
	s := startToy(t, nil)
	uri := "http://127.0.0.1:" + strconv.Itoa(freePort(t)) + "/tenant/cb?app=1"
	l := start(t.Context(), t, s.client, &loopback.Options{
		NoBrowser: true, RedirectURI: uri, RedirectHost: "localhost", Ports: []int{1}, CallbackPath: "/not/used",
	})
	u, err := url.Parse(l.URL)
	if err != nil {
		t.Fatal(err)
	}
	if got := u.Query().Get("redirect_uri"); got != uri || l.RedirectURI != uri {
		t.Errorf("sent %s and listened for %s, want %s", got, l.RedirectURI, uri)
	}
	got := browse(t, uri+"&code=secret-code&state="+l.state(t))
	if got.status != http.StatusOK || !strings.HasSuffix(got.url, "/tenant/cb/done") {
		t.Errorf("the last page is %d at %s", got.status, got.url)
	}
	l.succeed(t)
}

// TestServer is how an embedder uses the parts.
func TestServer(t *testing.T) {
	s := listen(t, nil)
	pages := make(chan page, 1)
	go func() {
		got, _ := load(t.Context(), s.RedirectURI()+"?code=a+code&state=s") // waits until somebody receives
		pages <- got
	}()
	refused := &grant.Error{Endpoint: "authorization", Code: "access_denied"}
	err := s.Receive(t.Context(), isState("s"), func(_ context.Context, params url.Values) error {
		if params.Get("code") != "a code" {
			t.Error("the parameters are not those of the redirect")
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("the error is %v", err)
	}
	if got := <-pages; got.status != http.StatusForbidden || !strings.Contains(got.body, "Sign-in refused") {
		t.Errorf("the page is %d %s", got.status, got.body)
	}
	if err := s.Receive(t.Context(), isState("s"), func(context.Context, url.Values) error { return nil }); !errors.Is(err, grant.ErrArgument) {
		t.Errorf("a second Receive: %v", err)
	}
}

// TestServerClosed: Close ends a Receive.
func TestServerClosed(t *testing.T) {
	s := listen(t, nil)
	time.AfterFunc(50*time.Millisecond, func() { s.Close() })
	err := s.Receive(t.Context(), isState("s"), func(context.Context, url.Values) error { return nil })
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("the error is %v", err)
	}
}

// TestNoEventAfterTheEnd: when Login has returned, nobody is in Notify any more.
func TestNoEventAfterTheEnd(t *testing.T) {
	s := startToy(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	notified := false
	_, err := loopback.Login(ctx, s.client, &loopback.Options{
		NoBrowser: true,
		Notify: func(e loopback.Event) {
			switch e.Kind {
			case loopback.AuthorizationURL:
				go func() { _, _ = load(t.Context(), e.RedirectURI) }()
			case loopback.Ignored:
				cancel()
				time.Sleep(100 * time.Millisecond)
				notified = true
			}
		},
	})
	if !errors.Is(err, context.Canceled) || !notified {
		t.Errorf("ended with %v; the event was over: %t", err, notified)
	}
}

// TestNothingIsLeft: many logins leave no goroutine behind, whether they succeed
// or are canceled, and nobody waits for a browser that has its page.
func TestNothingIsLeft(t *testing.T) {
	s := startToy(t, nil)
	s.client.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	before := goroutines(0)
	begin := time.Now()
	for i := range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		var pages chan error
		opts := &loopback.Options{
			Open: func(ctx context.Context, _ string) error {
				<-ctx.Done() // as a browser in the foreground
				return nil
			},
			Notify: func(e loopback.Event) {
				if e.Kind != loopback.AuthorizationURL {
					return
				}
				if i%2 == 0 {
					cancel()
					return
				}
				pages = make(chan error, 1)
				go func() {
					_, err := load(t.Context(), e.RedirectURI+"?code=secret-code&state="+stateOf(e.URL))
					pages <- err
				}()
			},
		}
		_, err := loopback.Login(ctx, s.client, opts)
		cancel()
		if pages == nil {
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("a canceled login ended with %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := <-pages; err != nil {
			t.Fatalf("a browser has not got its page: %v", err)
		}
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("200 logins took %v", took)
	}
	if after := goroutines(before); after > before {
		t.Errorf("%d goroutines were there before, and %d are now", before, after)
	}
}

// goroutines counts them, and waits a moment for those that are about to end.
func goroutines(want int) int {
	n := runtime.NumGoroutine()
	for range 100 {
		if n <= want {
			break
		}
		time.Sleep(10 * time.Millisecond)
		n = runtime.NumGoroutine()
	}
	return n
}
