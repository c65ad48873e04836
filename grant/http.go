package grant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Version is the release of this module, as it is sent in User-Agent.
const Version = "0.1.0"

const (
	maxBody        = 1 << 20 // bytes of a response body, after decompression
	maxHeader      = 64 << 10
	requestTimeout = 30 * time.Second
	transportGrace = 5 * time.Second // for a transport to give up
)

// newHTTPClient returns the HTTP client of a Client that was given none. Its
// transport is its own, so that CloseIdleConnections leaves nothing behind.
func newHTTPClient() *http.Client {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
	}
	return &http.Client{Transport: transport}
}

// send makes one request and returns its response with the whole body read,
// whatever the status is. logger may be nil.
func send(client *http.Client, logger *slog.Logger, req *http.Request) (*http.Response, error) {
	sent := time.Now()
	return do(client, logger, req, func(resp *http.Response) error {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
		if err != nil {
			return err
		}
		if len(body) > maxBody {
			return tooLarge(resp, "the answer of "+printable(req.URL.Host), "1 MiB")
		}
		resp.Body = &buffered{reader: bytes.NewReader(body), sent: sent}
		return nil
	})
}

// sendForHeader makes one request as send does, and leaves the body, which may
// have no end.
func sendForHeader(client *http.Client, logger *slog.Logger, req *http.Request) (*http.Response, error) {
	return do(client, logger, req, func(*http.Response) error { return nil })
}

// do makes one request. It uses the transport of the client, as the client itself
// would follow redirects and send cookies. It ends after the client's timeout, or
// after 30 seconds, or with the context. A transport that does not care for the
// context is left behind, with the goroutine, which ends when the transport does.
func do(client *http.Client, logger *slog.Logger, req *http.Request, read func(*http.Response) error) (resp *http.Response, err error) {
	begin := time.Now()
	defer func() { logRequest(logger, req, begin, resp, err) }()
	timeout := requestTimeout
	if client.Timeout > 0 {
		timeout = client.Timeout
	}
	ctx, cancel := context.WithTimeout(req.Context(), timeout)
	defer cancel()
	answers := make(chan answer, 1) // so that who comes late need not wait
	go func() { answers <- fetch(client.Transport, req.WithContext(ctx), read) }()
	a := await(ctx, answers)
	if _, ours := errors.AsType[*CheckError](a.err); a.err != nil && !ours {
		return nil, requestError(ctx, req, timeout, a.err)
	}
	if a.err != nil {
		return nil, a.err
	}
	a.resp.Request = req
	return a.resp, nil
}

type answer struct {
	resp *http.Response
	err  error
}

// await gives a transport time to notice that the context has ended.
func await(ctx context.Context, answers <-chan answer) answer {
	select {
	case a := <-answers:
		return a
	case <-ctx.Done():
	}
	grace := time.NewTimer(transportGrace)
	defer grace.Stop()
	select {
	case a := <-answers:
		return a
	case <-grace.C:
		return answer{err: ctx.Err()}
	}
}

func fetch(transport http.RoundTripper, req *http.Request, read func(*http.Response) error) answer {
	if transport == nil {
		transport = http.DefaultTransport
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return answer{err: err}
	}
	if resp == nil || resp.Body == nil {
		return answer{err: errors.New("the HTTP transport returned no response")}
	}
	defer resp.Body.Close()
	if headerSize(resp.Header) > maxHeader { // other transports than ours have other limits
		return answer{err: tooLarge(resp, "the header of "+printable(req.URL.Host), "64 KiB")}
	}
	if err := read(resp); err != nil {
		return answer{err: err}
	}
	return answer{resp: resp}
}

// A wrapping is a transport that has another one send, such as one that writes down
// what is sent. See Client.HTTPClient.
type wrapping interface {
	Unwrap() http.RoundTripper                // what sends
	Wrap(http.RoundTripper) http.RoundTripper // the same around another one
}

// unwrap returns the transport of the standard library that a client sends with,
// nil for another one, and what puts around a copy of it what is around it now.
func unwrap(client *http.Client) (base *http.Transport, wrap func(http.RoundTripper) http.RoundTripper) {
	roundTripper := client.Transport
	wrap = func(other http.RoundTripper) http.RoundTripper { return other }
	for {
		if roundTripper == nil {
			roundTripper = http.DefaultTransport
		}
		w, ok := roundTripper.(wrapping)
		if !ok {
			break
		}
		outer := wrap
		wrap = func(other http.RoundTripper) http.RoundTripper { return outer(w.Wrap(other)) }
		roundTripper = w.Unwrap()
	}
	base, _ = roundTripper.(*http.Transport)
	return base, wrap
}

func headerSize(header http.Header) (size int) {
	for name, values := range header {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	return size
}

// requestError says which request failed, without its query. The transport
// returns the cause of a context; errors.Is finds the context's own error too.
func requestError(ctx context.Context, req *http.Request, timeout time.Duration, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	err = &url.Error{Op: req.Method, URL: withoutQuery(req), Err: err}
	if ctx.Err() != nil && req.Context().Err() == nil {
		return fmt.Errorf("no answer within %v: %w", timeout, err)
	}
	return err
}

func tooLarge(resp *http.Response, what, limit string) error {
	return &CheckError{Check: checkBodySize, Code: codeInvalidResponse, Status: resp.StatusCode, Reason: what + " is larger than " + limit}
}

// buffered is a body that has left the network.
type buffered struct {
	reader *bytes.Reader
	sent   time.Time // when its request was sent
	used   bool
}

func (b *buffered) Read(p []byte) (int, error) {
	b.used = true
	return b.reader.Read(p)
}

func (b *buffered) Close() error {
	b.used = true
	return nil
}

func newGet(ctx context.Context, u *url.URL, accept string, headers ...http.Header) (*http.Request, error) {
	return newRequest(ctx, http.MethodGet, u, nil, accept, headers)
}

func newPost(ctx context.Context, u *url.URL, form url.Values, accept string, headers ...http.Header) (*http.Request, error) {
	req, err := newRequest(ctx, http.MethodPost, u, strings.NewReader(form.Encode()), accept, headers)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")
	return req, nil
}

// newRequest adds the caller's headers, of which later ones replace earlier
// ones of the same name, and then those that the protocol demands.
func newRequest(ctx context.Context, method string, u *url.URL, body io.Reader, accept string, headers []http.Header) (*http.Request, error) {
	if ctx == nil {
		return nil, argumentError("the context is nil")
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, argumentError("%v", err)
	}
	for _, header := range headers {
		if err := assertHeader(header); err != nil {
			return nil, err
		}
		canonical := http.Header{}
		for name, values := range header {
			key := http.CanonicalHeaderKey(name)
			canonical[key] = append(canonical[key], values...)
		}
		maps.Copy(req.Header, canonical)
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "oauth-login/v"+Version)
	}
	req.Header.Del("Accept")
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	return req, nil
}

// assertHeader refuses credentials among the caller's own headers.
func assertHeader(header http.Header) error {
	for name := range header {
		if http.CanonicalHeaderKey(name) == "Authorization" {
			return argumentError("the additional headers must not have Authorization")
		}
	}
	return nil
}

// readBody returns the body of a response. The request functions of this
// package have bounded it already; a response from elsewhere is bounded here.
func readBody(resp *http.Response) ([]byte, error) {
	if resp.Body == nil {
		return nil, argumentError("the response has no body")
	}
	if b, ok := resp.Body.(*buffered); ok && b.used {
		return nil, argumentError("the body of the response was read already")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, tooLarge(resp, "the answer", "1 MiB")
	}
	return body, nil
}

// keepBody reads the body and leaves it to be read again, by whoever handles the
// error that comes of its headers.
func keepBody(resp *http.Response) error {
	body, err := readBody(resp)
	resp.Body = &buffered{reader: bytes.NewReader(body)}
	return err
}

func closeBody(resp *http.Response) {
	if resp.Body != nil {
		resp.Body.Close()
	}
}

// sentAt returns when the request of a response was sent, or the time now
// for a response from elsewhere.
func sentAt(resp *http.Response) time.Time {
	if b, ok := resp.Body.(*buffered); ok && !b.sent.IsZero() {
		return b.sent
	}
	return time.Now()
}

// readObject reads a JSON object. The content type matters only when the body
// is not JSON: a wrong one on a good answer harms nobody.
func readObject(resp *http.Response, check string, mediaTypes ...string) (object, error) {
	body, err := readBody(resp)
	if err != nil {
		return nil, err
	}
	return parseAnswer(resp, body, check, mediaTypes...)
}

func parseAnswer(resp *http.Response, body []byte, check string, mediaTypes ...string) (object, error) {
	o, err := parseObject(body)
	switch {
	case err == nil:
		return o, nil
	case errors.Is(err, errNotObject):
		return nil, &CheckError{Check: check, Code: codeInvalidResponse, Reason: "the answer is not a JSON object"}
	case !hasMediaType(resp, append(mediaTypes, "application/json")...):
		return nil, &CheckError{Check: check, Code: codeNotJSON, Status: resp.StatusCode,
			Reason: "the answer is not JSON but " + contentType(resp)}
	default:
		return nil, &CheckError{Check: check, Code: codeParse, Reason: "the answer cannot be read", Err: err}
	}
}

// hasMediaType compares the text before the first semicolon as it is.
func hasMediaType(resp *http.Response, mediaTypes ...string) bool {
	mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	return slices.Contains(mediaTypes, mediaType)
}

// contentType names the media type for an error, if it is one.
func contentType(resp *http.Response) string {
	mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	kind, subtype, _ := strings.Cut(strings.TrimSpace(mediaType), "/")
	if isToken(kind) && isToken(subtype) && len(mediaType) <= 100 {
		return kind + "/" + subtype
	}
	return "of no known content type"
}

// isLoopback reports whether a host can only be this machine (RFC 6761,
// section 6.3, for the name).
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
