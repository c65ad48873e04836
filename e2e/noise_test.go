package e2e

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLoginIgnoresNoise proves that a login that waits answers whatever else comes to its port with a refusal, and still completes.
func TestLoginIgnoresNoise(t *testing.T) {
	p := startProvider(t, providerConfig{})
	c := newCommand(t, startKeyring(t))
	running := c.start(t, login(p, "--no-browser")...)
	address := running.url(t)
	host := receiver(t, address)
	callback := signInByHand(t, address, person{Login: "alice"})

	stop := dripFrom(t, host, 500)
	for _, n := range noise(callback) {
		t.Run(n.name, func(t *testing.T) {
			status, header := n.send(t, host)
			if status < 400 || status > 499 {
				t.Fatalf("status is %d, want 4xx", status)
			}
			checkHeaders(t, response{URL: "/" + n.name, Status: status, Header: header})
		})
	}

	start := time.Now()
	if status := get(t, callback); status != http.StatusOK {
		t.Errorf("last page has status %d", status)
	}
	running.wait(t).expect(t, exitDone)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("slow connections delayed the callback by %v", took)
	}
	stop()
	if got := p.count(t, "/token"); got != 1 {
		t.Errorf("%d token requests, want 1", got)
	}
}

// A disturbance is a request that is not the answer to a login.
type disturbance struct {
	name   string
	method string
	target string // path and query
	host   string // if not that of the receiver
	header http.Header
}

// noise lists what comes to a loopback port while a login waits. callback is the redirect that would complete it.
func noise(callback string) []disturbance {
	u, err := url.Parse(callback)
	if err != nil {
		panic(err) // net/http has parsed it before
	}
	answer := u.RequestURI()
	state := u.Query().Get("state")
	wrongState := strings.Replace(answer, state, strings.Repeat("x", len(state)), 1)
	without := u.Query()
	without.Del("state")
	bare := u.Path + "?" + without.Encode()

	return []disturbance{
		{name: "wrong state", target: wrongState},
		{name: "no state", target: bare},
		{name: "error without state", target: u.Path + "?error=access_denied"},
		{name: "favicon", target: "/favicon.ico", header: http.Header{"Sec-Fetch-Dest": {"image"}, "Sec-Fetch-Mode": {"no-cors"}}},
		{name: "other path", target: "/"},
		{name: "HEAD", method: http.MethodHead, target: answer},
		{name: "OPTIONS", method: http.MethodOptions, target: answer, header: http.Header{
			"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"GET"}, "Access-Control-Request-Private-Network": {"true"},
		}},
		{name: "POST", method: http.MethodPost, target: answer},
		{name: "foreign host", target: answer, host: "evil.example"},
		{name: "foreign origin", target: answer, header: http.Header{"Origin": {"https://evil.example"}}},
		{name: "prefetch", target: answer, header: http.Header{"Sec-Purpose": {"prefetch;prerender"}}},
		{name: "image", target: answer, header: http.Header{"Sec-Fetch-Dest": {"image"}, "Sec-Fetch-Mode": {"no-cors"}}},
		{name: "query of 1 MiB", target: u.Path + "?state=" + strings.Repeat("x", 1<<20)},
	}
}

// send sends the request from a client of its own. It writes and reads at the same time: a server may refuse a request before it has
// read all of it.
func (d disturbance) send(t *testing.T, receiver string) (int, http.Header) {
	t.Helper()
	method := d.method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequest(method, "http://"+receiver+d.target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d.header != nil {
		req.Header = d.header
	}
	if d.host != "" {
		req.Host = d.host
	}
	conn, err := net.Dial("tcp", receiver)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	var wg sync.WaitGroup
	wg.Go(func() { req.Write(conn) }) // its error would say that the server has refused the rest
	defer wg.Wait()
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header
}

// dripFrom opens n connections that send a byte a second of a request that never ends, until the returned function is called.
func dripFrom(t *testing.T, host string, n int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(stop)
	for range n {
		wg.Go(func() {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
			if err != nil {
				return // refused: the receiver defends itself
			}
			defer conn.Close()
			for _, b := range []byte("GET /callback?code=" + strings.Repeat("x", 100)) {
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Second):
				}
			}
		})
	}
	return stop
}

// TestLoginTakesOneCallback proves that a redirect that arrives 50 times at once, as a nervous browser or a scanner would send it, is
// exchanged once.
func TestLoginTakesOneCallback(t *testing.T) {
	p := startProvider(t, providerConfig{})
	p.behave(t, behavior{Delay: 300}) // so that all of them arrive during the exchange
	c := newCommand(t, startKeyring(t))
	running := c.start(t, login(p, "--no-browser")...)
	callback := signInByHand(t, running.url(t), person{Login: "alice"})

	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			resp, err := http.Get(callback)
			if err == nil { // else the command has ended already
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
	running.wait(t).expect(t, exitDone)
	if got := p.count(t, "/token"); got != 1 {
		t.Errorf("%d token requests, want 1", got)
	}
}
