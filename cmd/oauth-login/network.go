package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// viaProxy is http.ProxyFromEnvironment, which sends nothing through a proxy that goes
// to a loopback host. What it says of an address that is none would hold its password;
// and it makes a host of the scheme of some, and a path of the rest.
func viaProxy(req *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(req)
	if err != nil || proxy != nil && (proxy.Hostname() == "" || strings.HasSuffix(proxy.Host, ":") || strings.Trim(proxy.Path, "/") != "") {
		return nil, errProxyAddress
	}
	return proxy, nil
}

var errProxyAddress = errors.New("the address of the proxy, in HTTPS_PROXY, is not a URL")

// A proxyError says that a proxy does not let us through.
type proxyError struct {
	proxy  string // host and port
	status int
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy %s answered %d %s", e.proxy, e.status, http.StatusText(e.status))
}

// checkProxy looks at the answer to CONNECT (RFC 9110, section 9.3.6).
func checkProxy(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode/100 == 2 {
		return nil
	}
	return &proxyError{proxy: proxy.Host, status: answer.StatusCode}
}
