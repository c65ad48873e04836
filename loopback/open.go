package loopback

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// handOverTime is how long a browser has to start and fetch an address.
const handOverTime = 30 * time.Second

// OpenSecret opens a URL in the browser that others on this machine must not see,
// such as the one that signs out, which holds an ID token (OpenID Connect
// RP-Initiated Logout 1.0, section 2). What programs are started with can be seen
// by everybody, so the browser gets an address on 127.0.0.1 that nobody can guess,
// and is sent on from there: once, so that whoever reads the address there and is
// faster keeps the browser out, and the person sees it. Of opts, Browser and Open
// count; nil means neither.
//
// It returns when the browser has been sent on, or with the error of what opens
// it, or of the context, or after 30 seconds. The context of Open ends then, and
// Open is waited for. No error holds the URL.
func OpenSecret(ctx context.Context, url string, opts *Options) error {
	if opts == nil {
		opts = new(Options)
	}
	if err := checkOpenable(url); err != nil {
		return err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h := &handOver{url: url, host: listener.Addr().String(), path: "/" + rand.Text(), done: make(chan struct{})}
	server := h.server(ctx)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // always http.ErrServerClosed, after Close
	defer serving.Wait()
	defer server.Close()
	return h.open(ctx, opts)
}

// A handOver is one address that redirects to another one.
type handOver struct {
	url, host, path string
	taken           atomic.Bool
	done            chan struct{} // closed when the browser has its answer
}

func (h *handOver) server(ctx context.Context) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(io.Discard, "", 0), // a library does not print
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
}

// ServeHTTP answers the one request and nothing else.
func (h *handOver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Connection", "close")
	if req.Method != http.MethodGet || req.Host != h.host || req.URL.Path != h.path || isPrefetch(req.Header) || !isNavigation(req.Header) ||
		!h.taken.CompareAndSwap(false, true) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	header.Set("Location", h.url)
	header.Set("Content-Length", "0")
	w.WriteHeader(http.StatusSeeOther)
	_ = http.NewResponseController(w).Flush() // the server may be closed from here on
	close(h.done)
}

// open opens the browser, and waits until it has been there.
func (h *handOver) open(ctx context.Context, opts *Options) error {
	open := opts.Open
	if open == nil {
		open = func(ctx context.Context, url string) error { return openURL(ctx, opts.Browser, url, func(string) {}) }
	}
	openCtx, stop := context.WithCancel(ctx)
	failed := make(chan error, 1)
	var opening sync.WaitGroup
	defer opening.Wait()
	defer stop()
	opening.Go(func() {
		if err := open(openCtx, "http://"+h.host+h.path); err != nil {
			failed <- err
		}
	})
	patience := time.NewTimer(handOverTime)
	defer patience.Stop()
	select {
	case <-h.done:
		return nil
	case err := <-failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return errors.New("the browser was started and did not come")
	}
}
