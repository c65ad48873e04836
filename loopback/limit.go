package loopback

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxConns is how many connections may be open at once. A browser needs
	// less than ten.
	maxConns = 100
	// youngConns is how many may be open as long as they are young: a browser
	// that comes in a crowd must not be taken for one of it.
	youngConns = 1000
	// youth is how long a connection is young. A browser has sent its request
	// by then.
	youth = time.Second
)

// conns are the open connections of a server. When there are too many, the
// oldest one that has not brought the redirect is closed: whoever opens
// connections and says nothing cannot keep the browser out.
type conns struct {
	refuse func(w io.Writer, n noise) error // answers what no handler has seen

	open sync.WaitGroup // counts until net/http is through with a connection

	mu     sync.Mutex
	list   []*conn       // in the order of their arrival
	guests int           // see guest.go
	alone  chan struct{} // to be closed when there are no guests, nil while nobody waits for that
}

// A conn is one of conns.
type conn struct {
	net.Conn
	conns *conns
	since time.Time
	// Guarded by conns.mu:
	kept  bool // it is not closed for others
	guest bool

	handled atomic.Bool // the handler has had the request
	refused bool        // net/http has answered it; used by the goroutine of the connection alone
}

// listener returns l with its connections counted.
func (c *conns) listener(l net.Listener) net.Listener { return &limited{l, c} }

type limited struct {
	net.Listener
	conns *conns
}

// Accept never blocks for the sake of the limit.
func (l *limited) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.conns.add(nc); c != nil {
			return c, nil
		}
		_ = nc.Close() // every connection is one that has brought the redirect
	}
}

// add returns nil when there is no room to be made.
func (c *conns) add(nc net.Conn) *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.makeRoom() {
		return nil
	}
	added := &conn{Conn: nc, conns: c, since: time.Now()}
	c.list = append(c.list, added)
	c.open.Add(1)
	return added
}

// makeRoom is for c.mu held. It looks at the oldest connection that may be
// closed: when that is young, the others are too.
func (c *conns) makeRoom() bool {
	if len(c.list) < maxConns {
		return true
	}
	i := slices.IndexFunc(c.list, func(old *conn) bool { return !old.kept })
	if i < 0 {
		return len(c.list) < youngConns
	}
	if len(c.list) < youngConns && time.Since(c.list[i].since) < youth {
		return true
	}
	_ = c.list[i].Conn.Close() // the server notices, and ends with it
	c.list = slices.Delete(c.list, i, i+1)
	return true
}

// track is the ConnState hook of the server. The last thing that net/http does
// with a connection is to report it as closed.
func (c *conns) track(nc net.Conn, state http.ConnState) {
	tracked, ok := nc.(*conn)
	switch {
	case ok && state == http.StateIdle:
		tracked.handled.Store(false) // another request may come
	case ok && state == http.StateClosed:
		c.mu.Lock()
		c.list = slices.DeleteFunc(c.list, func(other *conn) bool { return other == tracked })
		c.mu.Unlock()
		c.open.Done()
	}
}

// wait returns when the server is through with all connections. Only call it
// when the listeners are closed.
func (c *conns) wait() { c.open.Wait() }

type connKey struct{}

// remember is the ConnContext hook of the server.
func (c *conns) remember(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, nc)
}

// connOf returns the connection of a request, nil in the server of an embedder.
func connOf(r *http.Request) *conn {
	c, _ := r.Context().Value(connKey{}).(*conn)
	return c
}

// keep protects the connection of a request from being closed for others.
func keep(r *http.Request) { withConn(r, func(c *conn) { c.kept = true }) }

// withConn changes what is noted of the connection of a request, where there is one.
func withConn(r *http.Request, change func(*conn)) {
	c := connOf(r)
	if c == nil {
		return
	}
	c.conns.mu.Lock()
	defer c.conns.mu.Unlock()
	change(c)
}
