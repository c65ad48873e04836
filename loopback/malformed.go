package loopback

import (
	"bufio"
	"bytes"
	"net/http"
)

// net/http answers by itself what is no request to it: one that is too long, has
// no Host or two, or is of another protocol. Such an answer has none of our
// headers and is not counted. It is found where it is written: on a connection
// whose request the handler has not had.

// Write writes what the handler answers. An answer of net/http's own is replaced
// by one of ours.
func (c *conn) Write(p []byte) (int, error) {
	if c.handled.Load() {
		return c.Conn.Write(p)
	}
	if !c.refused { // the first part of the answer holds its status
		c.refused = true
		if err := c.conns.refuse(c.Conn, reasonOf(p)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// reasonOf says why net/http gives an answer. Of its statuses, the one that may
// help the person is kept; 400 is right for all others (RFC 9110, section 15.5.1).
func reasonOf(answer []byte) noise {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
	if err == nil && resp.StatusCode == http.StatusRequestHeaderFieldsTooLarge {
		return tooLarge
	}
	return malformed
}
