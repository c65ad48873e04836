package main

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// watched returns a transport that does what base does, and tells the trace and
// --verbose of it. certificate says that it has one of the client.
func (p *program) watched(o *options, base http.RoundTripper, certificate bool) http.RoundTripper {
	if p.trace == nil && !o.verbose {
		return base
	}
	return &watchedTransport{program: p, options: o, base: base, certificate: certificate}
}

// A watchedTransport changes nothing: package grant looks through it, and the body of
// an answer is noted while its reader reads it.
type watchedTransport struct {
	program     *program
	options     *options
	base        http.RoundTripper
	certificate bool
}

// Unwrap and Wrap have package grant see what is below: grant.Client.HTTPClient.
func (t *watchedTransport) Unwrap() http.RoundTripper { return t.base }

func (t *watchedTransport) Wrap(base http.RoundTripper) http.RoundTripper {
	return t.program.watched(t.options, base, t.certificate)
}

// RoundTrip sends a request.
func (t *watchedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	w := &watchedRequest{watchedTransport: t, req: req, began: time.Now()}
	if t.program.trace != nil {
		w.number = t.program.trace.request(req, t.proxy(req))
	}
	resp, err := t.base.RoundTrip(req)
	w.header = time.Since(w.began)
	if err != nil || resp == nil || resp.Body == nil {
		w.failed(err)
		return resp, err
	}
	w.resp = resp
	resp.Body = &watchedBody{ReadCloser: resp.Body, request: w}
	return resp, nil
}

// proxy is what a request goes through, nil for nothing.
func (t *watchedTransport) proxy(req *http.Request) *url.URL {
	base, ok := t.base.(*http.Transport)
	if !ok || base.Proxy == nil {
		return nil
	}
	proxy, err := base.Proxy(req)
	if err != nil {
		return nil
	}
	return proxy
}

// A watchedRequest is a request under way.
type watchedRequest struct {
	*watchedTransport
	req    *http.Request
	number int // in the trace
	began  time.Time
	header time.Duration // from there to the header of the answer
	resp   *http.Response
}

func (w *watchedRequest) failed(err error) {
	if err == nil {
		return // and no answer, which the caller has to make something of
	}
	if w.program.trace != nil {
		w.program.trace.failure(w.number, err, w.header)
	}
	w.program.detail(w.options, "%s: no answer after %s", w.what(), milliseconds(w.header))
}

func (w *watchedRequest) answered(body []byte) {
	whole := time.Since(w.began)
	if w.program.trace != nil {
		w.program.trace.answer(w.number, w.resp, body, w.header, whole)
	}
	w.program.detail(w.options, "%s: %d after %s", w.what(), w.resp.StatusCode, milliseconds(whole))
}

// A watchedBody keeps what is read of a body.
type watchedBody struct {
	io.ReadCloser
	request *watchedRequest
	kept    bytes.Buffer
	once    sync.Once
}

// Read is that of the body.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.request.program.trace != nil && b.kept.Len() <= maxTracedBody {
		b.kept.Write(p[:n])
	}
	return n, err
}

// Close is that of the body. The answer is complete then, or nobody wants the rest.
func (b *watchedBody) Close() error {
	b.once.Do(func() { b.request.answered(b.kept.Bytes()) })
	return b.ReadCloser.Close()
}
