package grant

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

const (
	warmTime    = 5 * time.Minute  // how long a connection is kept for a person; who takes longer waits for a new one
	spareLife   = 30 * time.Second // after which a connection is replaced, unless the server gives it less
	sparePause  = time.Second      // at least, from one connection to the next
	dialTimeout = 10 * time.Second
	maxEarly    = 64 << 10 // bytes that a server may send before it was asked
)

// KeepWarm is Warm, and keeps a connection to the token endpoint open until ctx
// ends, for five minutes at most, so that Exchange has to wait for the answer
// alone, however long the person takes: "Servers will usually have some timeout
// value beyond which they will no longer maintain an inactive connection" (RFC
// 9112, section 9.5), and 5 seconds are common. No request is sent for that; a
// connection that the server closes is replaced, and before it does so from the
// second time on. Run it on a goroutine of its own while the person signs in,
// and wait for it to return.
//
// It is best effort, and only Warm where the HTTPClient has a Transport that is
// no *http.Transport, or one that goes through a proxy or has its own way to
// open TLS.
func (f *Flow) KeepWarm(ctx context.Context) {
	if !f.made() {
		return
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { f.Warm(ctx) })
	u, err := f.as.endpoint("token_endpoint", f.client, f.client.AllowInsecureRequests)
	if err != nil {
		return
	}
	s := newSpare(f.client.httpClient(nil), u)
	if s == nil || !f.spare.CompareAndSwap(nil, s) {
		return
	}
	defer f.spare.Store(nil)
	limited, cancel := context.WithTimeout(ctx, warmTime)
	defer cancel()
	s.keep(limited)
}

// tokenClient returns the HTTP client for the token request, and what to call
// when that has been made. nil stands for that of the Client, which may have a
// connection left when the person was quicker than the spare one, and has none
// where the endpoint has moved.
func (f *Flow) tokenClient(as *AuthorizationServer) (client *http.Client, done func()) {
	s := f.spare.Load()
	if s == nil || !s.ready() || !as.sameTokenEndpoint(f.as) {
		return nil, func() {}
	}
	return s.client, s.close
}

// A spare is a connection to one address that waits for its first request.
type spare struct {
	address string
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	tls     *tls.Config  // nil for http
	client  *http.Client // dials by handing the spare connection out
	close   func()       // the connections of client that nothing uses any more

	mu    sync.Mutex
	conn  *waitingConn  // nil for none
	taken chan struct{} // closed when one was handed out; there is no other one then
}

// newSpare returns nil for a client whose connections cannot be made here.
func newSpare(client *http.Client, u *url.URL) *spare {
	base, wrap := unwrap(client)
	if base == nil || base.DialTLSContext != nil || !dialsPlainly(base, u) {
		return nil
	}
	s := &spare{address: u.Host, dial: base.DialContext, taken: make(chan struct{})}
	if s.dial == nil {
		s.dial = new(net.Dialer).DialContext
	}
	if u.Port() == "" {
		s.address = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	transport := base.Clone()
	transport.DialContext = s.hand
	if u.Scheme == "https" {
		s.tls = tlsConfig(base, u.Hostname())
		transport.DialTLSContext = s.hand
		// One request gains nothing by HTTP/2.
		transport.ForceAttemptHTTP2, transport.TLSNextProto, transport.Protocols = false, map[string]func(string, *tls.Conn) http.RoundTripper{}, nil
	}
	s.client = &http.Client{Transport: wrap(transport), Timeout: client.Timeout}
	s.close = transport.CloseIdleConnections
	return s
}

// dialsPlainly reports whether a transport connects to the server itself, and in
// the one way that it is asked for here.
func dialsPlainly(base *http.Transport, u *url.URL) bool {
	//lint:ignore SA1019 who made the transport may have set them
	if base.Dial != nil || base.DialTLS != nil || base.Protocols != nil && !base.Protocols.HTTP1() {
		return false
	}
	if base.Proxy == nil {
		return true
	}
	proxy, err := base.Proxy(&http.Request{Method: http.MethodPost, URL: u, Header: http.Header{}})
	return proxy == nil && err == nil
}

func tlsConfig(base *http.Transport, host string) *tls.Config {
	config := base.TLSClientConfig.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	config.NextProtos = []string{"http/1.1"}
	return config
}

// hand dials for the transport: it hands the spare connection out, or else makes
// a new one.
func (s *spare) hand(ctx context.Context, network, address string) (net.Conn, error) {
	if conn := s.take(address); conn != nil {
		return conn.handed, nil
	}
	conn, err := s.open(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return conn.handed, nil
}

// take returns the spare connection, if it is still good.
func (s *spare) take(address string) *waitingConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn := s.conn
	if conn == nil || address != s.address {
		return nil
	}
	s.conn = nil
	if !conn.claim() {
		conn.Close()
		return nil
	}
	close(s.taken)
	return conn
}

func (s *spare) ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != nil
}

// keep has a connection ready until one is taken or ctx ends. It gives up on a
// server that ends connections at once.
func (s *spare) keep(ctx context.Context) {
	defer s.replace(nil)
	life, pause := spareLife, sparePause
	for ctx.Err() == nil {
		conn, err := s.open(ctx, "tcp", s.address)
		if err != nil {
			s.wait(ctx, pause, nil)
			pause = min(2*pause, spareLife)
			continue
		}
		opened := time.Now()
		go conn.watch() // until it ends, or is claimed or closed
		if !s.replace(conn) || !s.wait(ctx, life, conn.ended) {
			return
		}
		if lived := time.Since(opened); lived < life {
			life = lived * 4 / 5
		}
		if life < sparePause {
			return
		}
	}
}

// wait reports whether a connection is still wanted after some time, or when the
// last one has ended.
func (s *spare) wait(ctx context.Context, d time.Duration, ended <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	case <-s.taken:
	case <-ctx.Done():
	}
	s.mu.Lock() // a connection ends for its watch before it is taken
	defer s.mu.Unlock()
	return !s.isTaken() && ctx.Err() == nil
}

func (s *spare) isTaken() bool {
	select {
	case <-s.taken:
		return true
	default:
		return false
	}
}

// replace puts another connection, or nil, in the place of the spare one. It
// reports whether that is still wanted.
func (s *spare) replace(conn *waitingConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isTaken() {
		conn.end()
		return false
	}
	s.conn.end()
	s.conn = conn
	return true
}

// open dials, with TLS where that is wanted.
func (s *spare) open(ctx context.Context, network, address string) (*waitingConn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := s.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn := &waitingConn{Conn: raw, ended: make(chan struct{})}
	conn.handed = conn
	if s.tls == nil {
		return conn, nil
	}
	secured := tls.Client(conn, s.tls)
	if err := secured.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	conn.handed = secured
	return conn, nil
}

// A waitingConn is a connection on which nobody has asked anything yet. It is
// watched, below TLS, so that its end is noticed.
type waitingConn struct {
	net.Conn
	handed net.Conn // what the transport gets: this one, or TLS on top of it

	ended chan struct{} // when nothing is watched any more; what follows is set by then
	early []byte        // what came meanwhile, such as session tickets
	err   error
}

func (c *waitingConn) watch() {
	defer close(c.ended)
	buffer := make([]byte, 4<<10)
	for c.err == nil {
		var n int
		n, c.err = c.Conn.Read(buffer)
		if c.early = append(c.early, buffer[:n]...); len(c.early) > maxEarly {
			c.err = errors.New("the server sends without being asked")
		}
	}
}

// end closes the connection, unless it is nil, and ends the watch.
func (c *waitingConn) end() {
	if c != nil {
		c.Close()
		<-c.ended
	}
}

// claim ends the watch. It reports whether the connection is still good.
func (c *waitingConn) claim() bool {
	if err := c.Conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return false
	}
	<-c.ended
	return errors.Is(c.err, os.ErrDeadlineExceeded) && c.Conn.SetReadDeadline(time.Time{}) == nil
}

// Read returns what came early first.
func (c *waitingConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}
