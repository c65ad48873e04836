package loopback

import (
	"context"
	"net/http"
	"time"
)

// A guest is a browser that has brought the redirect and has not had the page
// yet. The server stays open for it, but not longer than it has to. Who asks for
// the page need not be a guest, and nothing in the request tells: only a secret in
// the address or in a cookie would, and both would stay behind in the browser. So
// a guest is known by its connection, which it may keep for this one request.
//
// A stranger who asks for the page gets it, as there is nothing to learn from it,
// but takes it from nobody and shortens no wait; and without our state he cannot
// become a guest and lengthen one. A browser that does not keep its connection
// gets the page as well. It is only not recognised, so that the wait for it lasts
// as long as a wait may.

// lingerTime is how long a guest may take to ask for the page.
const lingerTime = time.Second

// welcome makes the browser that has sent a request a guest.
func welcome(r *http.Request) {
	withConn(r, func(c *conn) {
		c.kept = true
		if !c.guest {
			c.guest = true
			c.conns.guests++
		}
	})
}

// farewell notes that a guest has its page, or has gone away. Others need no
// farewell.
func farewell(r *http.Request) {
	withConn(r, func(c *conn) {
		if c.guest {
			c.guest = false
			c.conns.guests--
			c.conns.tell()
		}
	})
}

// linger waits until there is no guest, for lingerTime, or until ctx ends.
func (c *conns) linger(ctx context.Context) {
	alone := make(chan struct{})
	c.mu.Lock()
	c.alone = alone
	c.tell()
	c.mu.Unlock()
	timer := time.NewTimer(lingerTime)
	defer timer.Stop()
	select {
	case <-alone:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// tell is for c.mu held.
func (c *conns) tell() {
	if c.guests == 0 && c.alone != nil {
		close(c.alone)
		c.alone = nil
	}
}

// stay keeps the connection of a guest open, for the request for the page. Without
// effect in the server of an embedder.
func stay(w http.ResponseWriter, r *http.Request) {
	if connOf(r) != nil {
		w.Header().Del("Connection")
	}
}
