package loopback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	// maxHeaderBytes is not smaller because of cookies: browsers send those of
	// every other server on the same host, whatever its port is (RFC 6265,
	// section 8.5).
	maxHeaderBytes = 64 << 10
)

// A Server is a receiver with a port of its own. Make one with Listen, for one
// Receive, and close it.
type Server struct {
	receiver  *Receiver
	listeners []net.Listener
	used      atomic.Bool
}

// Listen opens the port that the redirect will come to. Nothing is answered
// before Receive: until then, connections wait. opts may be nil.
//
// When no address is free, the error is a *BindError; options that make no
// sense lead to grant.ErrArgument.
func Listen(ctx context.Context, opts *Options) (*Server, error) {
	if opts == nil {
		opts = new(Options)
	}
	if err := opts.Check(); err != nil {
		return nil, err
	}
	where, err := opts.place()
	if err != nil {
		return nil, err
	}
	listeners, err := bind(ctx, where)
	if err != nil {
		return nil, err
	}
	s := &Server{listeners: listeners}
	uri, err := opts.uri(where, portOf(listeners[0]))
	if err == nil {
		s.receiver, err = NewReceiver(uri, opts)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// RedirectURI is the redirect URI to announce to the provider.
func (s *Server) RedirectURI() string { return s.receiver.RedirectURI() }

// addresses are those that are listened on.
func (s *Server) addresses() (list []string) {
	for _, l := range s.listeners {
		list = append(list, l.Addr().String())
	}
	return list
}

// Close closes the port, and with it ends a Receive that waits. A second call
// does nothing.
func (s *Server) Close() error {
	var failed error
	for _, l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// Receive is Receiver.Receive with a server around it. It returns when the
// browser has the page, at the latest a second after finish has returned, and
// at once when ctx ends. The port is closed then.
func (s *Server) Receive(ctx context.Context, ours func(url.Values) bool, finish func(ctx context.Context, params url.Values) error) error {
	if !s.used.CompareAndSwap(false, true) {
		return argumentError("a Server receives one redirect")
	}
	a, err := s.receiver.begin(ours, finish) // before the first request can be answered
	if err != nil {
		return err
	}
	serveCtx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	limit := &conns{refuse: s.receiver.refuse}
	stop := s.serve(serveCtx, fail, limit)
	defer stop()
	err = s.receiver.receive(serveCtx, a, finish)
	if cause := context.Cause(serveCtx); errors.Is(err, context.Canceled) && ctx.Err() == nil && cause != nil {
		err = cause // the listener has failed, which has canceled the rest
	}
	limit.linger(serveCtx)
	return err
}

// serve answers requests until stop is called, which returns when every
// connection is closed and every handler has ended.
func (s *Server) serve(ctx context.Context, fail context.CancelCauseFunc, limit *conns) (stop func()) {
	server := s.httpServer(ctx, limit)
	var serving sync.WaitGroup
	for _, l := range s.listeners {
		serving.Go(func() {
			if err := server.Serve(limit.listener(l)); !errors.Is(err, http.ErrServerClosed) {
				fail(fmt.Errorf("listening for the redirect: %w", err))
			}
		})
	}
	return func() {
		_ = server.Close() // what cannot be closed is closed already
		_ = s.Close()
		serving.Wait()
		limit.wait()
	}
}

// httpServer speaks HTTP/1.1, one request on a connection, or two for a guest: a
// connection that is kept alive would bring the redirect of the next login to
// this one.
func (s *Server) httpServer(ctx context.Context, limit *conns) *http.Server {
	server := &http.Server{
		Handler:                      s.handler(),
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            readHeaderTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout, // serveCallback extends it when it has waited
		MaxHeaderBytes:               maxHeaderBytes,
		ErrorLog:                     log.New(io.Discard, "", 0), // a library does not print
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ConnState:                    limit.track,
		ConnContext:                  limit.remember,
		Protocols:                    new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	return server
}

// handler is the receiver on a connection of our own, which is closed after the
// answer (RFC 9112, section 9.6) unless the receiver has it stay.
func (s *Server) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if c := connOf(req); c != nil {
			c.handled.Store(true)
		}
		w.Header().Set("Connection", "close")
		s.receiver.ServeHTTP(w, req)
	})
}
