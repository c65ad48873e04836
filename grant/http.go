package grant

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Version is the release of this module, as it is sent in User-Agent.
const Version = "0.1.0"

const (
	maxBody        = 1 << 20 // bytes of a response body, after decompression
	maxHeader      = 64 << 10
	requestTimeout = 30 * time.Second
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
// whatever the status is. It follows no redirect and sends no cookie, and it
// ends after the client's own timeout, or after 30 seconds.
func send(client *http.Client, req *http.Request) (*http.Response, error) {
	private := *client
	private.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	private.Jar = nil
	if private.Timeout == 0 {
		private.Timeout = requestTimeout
	}
	resp, err := private.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, &url.Error{Op: "read the answer of", URL: req.URL.Redacted(), Err: err}
	}
	if len(body) > maxBody {
		return nil, &CheckError{Check: checkBodySize, Code: codeInvalidResponse, Status: resp.StatusCode,
			Reason: "the answer of " + req.URL.Host + " is larger than 1 MiB"}
	}
	resp.Body = &buffered{Reader: bytes.NewReader(body)}
	return resp, nil
}

// buffered is a body that has left the network.
type buffered struct{ *bytes.Reader }

func (b *buffered) Close() error { return nil }

func newGet(ctx context.Context, u *url.URL, header http.Header, accept string) (*http.Request, error) {
	return newRequest(ctx, http.MethodGet, u, nil, header, accept)
}

func newPost(ctx context.Context, u *url.URL, form url.Values, header http.Header, accept string) (*http.Request, error) {
	req, err := newRequest(ctx, http.MethodPost, u, strings.NewReader(form.Encode()), header, accept)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")
	return req, nil
}

func newRequest(ctx context.Context, method string, u *url.URL, body io.Reader, header http.Header, accept string) (*http.Request, error) {
	if ctx == nil {
		return nil, argumentError("the context is nil")
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, argumentError("%v", err)
	}
	for name, values := range header {
		req.Header[http.CanonicalHeaderKey(name)] = append([]string(nil), values...)
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
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if errors.Is(err, http.ErrBodyReadAfterClose) {
		return nil, argumentError("the body of the response was read already")
	}
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, &CheckError{Check: checkBodySize, Code: codeInvalidResponse, Status: resp.StatusCode,
			Reason: "the answer is larger than 1 MiB"}
	}
	return body, nil
}

// readObject reads a JSON object. The content type matters only when the body
// is not JSON: a wrong one on a good answer harms nobody.
func readObject(resp *http.Response, check string, mediaTypes ...string) (object, error) {
	body, err := readBody(resp)
	if err != nil {
		return nil, err
	}
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
		return nil, &CheckError{Check: check, Code: codeParse, Reason: "the answer is not valid JSON", Err: err}
	}
}

// hasMediaType compares the text before the first semicolon as it is.
func hasMediaType(resp *http.Response, mediaTypes ...string) bool {
	mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	for _, want := range mediaTypes {
		if mediaType == want {
			return true
		}
	}
	return false
}

func contentType(resp *http.Response) string {
	if value := resp.Header.Get("Content-Type"); value != "" {
		return printable(value)
	}
	return "of no content type"
}

// isLoopback reports whether a host can only be this machine (RFC 6761,
// section 6.3, for the name).
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
