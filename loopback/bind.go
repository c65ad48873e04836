package loopback

import (
	"context"
	"net"
	"strconv"
	"strings"
)

// A BindError says that none of the addresses could be listened on.
type BindError struct {
	// Attempts has the error of each address in the order of the attempts,
	// usually a *net.OpError.
	Attempts []error
}

// Error names every address and why it could not be used.
func (e *BindError) Error() string {
	texts := make([]string, len(e.Attempts))
	for i, err := range e.Attempts {
		texts[i] = err.Error()
	}
	return "no address to listen on for the redirect: " + strings.Join(texts, "; ") + bindHint(e.Attempts)
}

// Unwrap returns the attempts.
func (e *BindError) Unwrap() []error { return e.Attempts }

// freePortTries is how often the system is asked for a free port. It may give
// one that is then taken on the other address family, or that is reserved.
const freePortTries = 10

// bind listens on the first port that is free. The listeners are those that
// serve, so nobody can take the port in between.
func bind(ctx context.Context, p *place) ([]net.Listener, error) {
	failed := new(BindError)
	for _, port := range p.ports {
		tries := 1
		if port == 0 {
			tries = freePortTries
		}
		var err error
		for range tries {
			var listeners []net.Listener
			if listeners, err = bindPort(ctx, p.host, port); err == nil {
				return listeners, nil
			}
			if !isTaken(err) {
				break
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		failed.Attempts = append(failed.Attempts, err)
	}
	return nil, failed
}

// bindPort listens on one port, for localhost on both addresses that the name
// stands for (RFC 6761, section 6.3): which of them a browser takes is not
// known. A machine without IPv6 is fine.
func bindPort(ctx context.Context, host string, port int) ([]net.Listener, error) {
	var config net.ListenConfig
	if host == "::1" {
		return one(config.Listen(ctx, "tcp6", net.JoinHostPort(host, strconv.Itoa(port))))
	}
	v4, err := config.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil || host != "localhost" {
		return one(v4, err)
	}
	v6, err := config.Listen(ctx, "tcp6", net.JoinHostPort("::1", strconv.Itoa(portOf(v4))))
	switch {
	case err == nil:
		return []net.Listener{v4, v6}, nil
	case isWithoutIPv6(err):
		return []net.Listener{v4}, nil
	}
	_ = v4.Close() // another port is tried, or the error of the second address is reported
	return nil, err
}

// one is the result of a host that has one address.
func one(l net.Listener, err error) ([]net.Listener, error) {
	if err != nil {
		return nil, err
	}
	return []net.Listener{l}, nil
}

func portOf(l net.Listener) int {
	addr, _ := l.Addr().(*net.TCPAddr)
	if addr == nil {
		return 0
	}
	return addr.Port
}
