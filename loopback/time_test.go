package loopback

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// The tests of this file have a clock of their own, which stands still while
// something waits for a real network. So their connections are pipes.

// pipes is a listener.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	if len(p.conns) > 0 {
		return <-p.conns, nil // those that wait come before the end
	}
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

func (p *pipes) dial() net.Conn {
	server, client := net.Pipe()
	p.conns <- server
	return client
}

// get sends one request on a new connection and returns the status of the
// answer, or why there is none.
func (p *pipes) get(target string) (status int, err error) {
	return p.send("GET " + target + " HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")
}

func (p *pipes) send(request string) (status int, err error) {
	conn := p.dial()
	defer conn.Close()
	return sendOn(conn, request)
}

func sendOn(conn net.Conn, request string) (status int, err error) {
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func newPipeServer(t *testing.T, opts *Options) (*Server, *pipes) {
	t.Helper()
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	r, err := NewReceiver("http://127.0.0.1:8080/callback", opts)
	if err != nil {
		t.Fatal(err)
	}
	return &Server{receiver: r, listeners: []net.Listener{p}}, p
}

func anyState(params url.Values) bool { return params.Get("state") == "s" }

// TestSlowExchange: the browser gets its answer also when the exchange takes
// longer than the server gives to requests.
func TestSlowExchange(t *testing.T) {
	for request, posted := range map[string]bool{
		"GET /callback?state=s HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n":                                                                         false,
		"POST /callback HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\nstate=s": true,
	} {
		synctest.Test(t, func(t *testing.T) {
			s, p := newPipeServer(t, &Options{FormPost: posted})
			go func() {
				conn := p.dial()
				defer conn.Close()
				if status, err := sendOn(conn, request); status != http.StatusSeeOther {
					t.Errorf("the redirect gets %d, %v", status, err)
				}
				if status, err := sendOn(conn, "GET /callback/done HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"); status != http.StatusOK {
					t.Errorf("the last page is %d, %v", status, err)
				}
			}()
			begin := time.Now()
			err := s.Receive(t.Context(), anyState, func(context.Context, url.Values) error {
				time.Sleep(exchangeTimeout - time.Second)
				return nil
			})
			if took := time.Since(begin); err != nil || took != exchangeTimeout-time.Second {
				t.Errorf("ended with %v after %v", err, took)
			}
		})
	}
}

// TestLinger: the page is there for a second, and not longer than the browser
// is.
func TestLinger(t *testing.T) {
	finish := func(context.Context, url.Values) error { return nil }
	t.Run("nobody follows", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := newPipeServer(t, nil)
			go p.get("/callback?state=s")
			begin := time.Now()
			if err := s.Receive(t.Context(), anyState, finish); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took != lingerTime {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("on another connection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := newPipeServer(t, nil)
			go func() {
				if status, err := p.get("/callback?state=s"); status != http.StatusSeeOther {
					t.Errorf("the redirect gets %d, %v", status, err)
				}
				time.Sleep(lingerTime - 1)
				if status, err := p.get("/callback/done"); status != http.StatusOK {
					t.Errorf("the last page is %d, %v", status, err)
				}
			}()
			begin := time.Now()
			if err := s.Receive(t.Context(), anyState, finish); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took != lingerTime {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("everybody has left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := newPipeServer(t, nil)
			go func() {
				conn := p.dial()
				_, _ = io.WriteString(conn, "GET /callback?state=s HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")
				conn.Close()
			}()
			begin := time.Now()
			err := s.Receive(t.Context(), anyState, func(context.Context, url.Values) error {
				time.Sleep(10 * time.Millisecond)
				return nil
			})
			if took := time.Since(begin); err != nil || took != 10*time.Millisecond {
				t.Errorf("ended with %v after %v", err, took)
			}
		})
	})
	t.Run("canceled after the save", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := newPipeServer(t, nil)
			ctx, cancel := context.WithCancel(t.Context())
			go p.get("/callback?state=s")
			begin := time.Now()
			err := s.Receive(ctx, anyState, func(context.Context, url.Values) error {
				cancel()
				return nil
			})
			if took := time.Since(begin); err != nil || took != 0 {
				t.Errorf("what is saved is not lost: %v after %v", err, took)
			}
		})
	})
	t.Run("canceled before the page", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := newPipeServer(t, nil)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				p.get("/callback?state=s")
				time.Sleep(lingerTime / 2)
				cancel()
			}()
			begin := time.Now()
			err := s.Receive(ctx, anyState, finish)
			if took := time.Since(begin); err != nil || took != lingerTime/2 {
				t.Errorf("ended with %v after %v", err, took)
			}
		})
	})
	t.Run("redirect twice on one connection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := newPipeServer(t, nil)
			go func() {
				conn := p.dial()
				defer conn.Close()
				for _, target := range []string{"/callback?state=s", "/callback?state=s", "/callback/done"} {
					if status, err := sendOn(conn, "GET "+target+" HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"); err != nil {
						t.Errorf("%s gets %d, %v", target, status, err)
					}
				}
			}()
			begin := time.Now()
			err := s.Receive(t.Context(), anyState, finish)
			if took := time.Since(begin); err != nil || took != 0 {
				t.Errorf("ended with %v after %v", err, took)
			}
		})
	})
}

// TestGuestInACrowd: a browser that waits for a slow exchange is not closed for
// others, however many come.
func TestGuestInACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newPipeServer(t, nil)
		go func() {
			conn := p.dial()
			defer conn.Close()
			go func() {
				time.Sleep(2 * youth)
				for range 2 * maxConns {
					defer p.dial().Close()
					time.Sleep(youth / maxConns)
				}
			}()
			if status, err := sendOn(conn, "GET /callback?state=s HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"); status != http.StatusSeeOther {
				t.Errorf("the redirect gets %d, %v", status, err)
			}
		}()
		err := s.Receive(t.Context(), anyState, func(context.Context, url.Values) error {
			time.Sleep(20 * time.Second)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestSlowRequests: who does not send a request in time is sent away.
func TestSlowRequests(t *testing.T) {
	for name, test := range map[string]struct {
		start string
		after time.Duration
	}{
		"silence":      {"", readHeaderTimeout},
		"half a line":  {"GET /callb", readHeaderTimeout},
		"half headers": {"GET /callback HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX-", readHeaderTimeout},
		"half a form":  {"POST /callback HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nstate", readTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := newPipeServer(t, &Options{FormPost: true})
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					defer cancel()
					begin := time.Now()
					conn := p.dial()
					defer conn.Close()
					_, _ = io.WriteString(conn, test.start)
					if _, err := io.Copy(io.Discard, conn); err != nil {
						t.Error(err)
					}
					if took := time.Since(begin); took != test.after {
						t.Errorf("the connection was closed after %v", took)
					}
				}()
				err := s.Receive(ctx, anyState, func(context.Context, url.Values) error { return nil })
				if !errors.Is(err, context.Canceled) {
					t.Errorf("the error is %v", err)
				}
			})
		})
	}
}

// TestLimit: who has said nothing for a second makes room for others, but not
// who waits for the page, and a crowd has its limit too.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{make(chan net.Conn, 1), make(chan struct{})}
		limit := new(conns)
		l := limit.listener(p)
		var clients, servers []net.Conn
		accept := func(n int) {
			t.Helper()
			for range n {
				clients = append(clients, p.dial())
				c, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				servers = append(servers, c)
			}
		}
		check := func(what string, want int, closed ...int) {
			t.Helper()
			var got []int
			for i, client := range clients {
				_ = client.SetReadDeadline(time.Now().Add(time.Nanosecond))
				if _, err := client.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
					got = append(got, i)
				}
			}
			if len(limit.list) != want || !slices.Equal(got, closed) {
				t.Errorf("%s: %d are open, and %v were closed; want %d, %v", what, len(limit.list), got, want, closed)
			}
		}

		upTo := func(n int) (list []int) {
			for i := 1; i <= n; i++ {
				list = append(list, i)
			}
			return list
		}

		accept(maxConns) // number 0 has brought the redirect
		keepConn(t, limit, servers[0])
		accept(1)
		check("a crowd", maxConns+1)
		time.Sleep(youth)
		accept(2)
		check("old ones make room", maxConns+1, upTo(2)...)
		accept(maxConns - 2)
		check("all old ones have made room", maxConns+1, upTo(maxConns)...)
		accept(youngConns - maxConns - 1)
		check("as many as there may be", youngConns, upTo(maxConns)...)
		accept(1)
		check("one more", youngConns, upTo(maxConns+1)...)

		for _, c := range servers {
			keepConn(t, limit, c)
		}
		refused := p.dial()
		p.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a connection that none can make room for was accepted: %v", err)
		}
		if _, err := refused.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("it was not closed: %v", err)
		}
		for _, c := range servers {
			limit.track(c, http.StateClosed)
		}
		limit.wait()
		check("the end", 0, upTo(maxConns+1)...)
	})
}

// keepConn does what a handler does that has the redirect.
func keepConn(t *testing.T, limit *conns, c net.Conn) {
	t.Helper()
	r, err := http.NewRequestWithContext(limit.remember(t.Context(), c), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	keep(r)
}
