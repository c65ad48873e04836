package loopback

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/oauth-login/oauth-login/grant"
)

// A redirect is a redirect URI, taken apart.
type redirect struct {
	uri    string // as it is announced, byte for byte
	host   string // in the Host header of a request that belongs to it
	origin string // in the Origin header of a request from a page of its own
	path   string // in the form in which a router compares paths
}

// parseRedirect accepts http and https on any host: the server of an embedder
// may be anywhere.
func parseRedirect(uri string) (*redirect, error) {
	u, err := url.Parse(uri)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil:
		return nil, argumentError("the redirect URI %q is not an absolute http URI", uri)
	case strings.ContainsFunc(uri, func(c rune) bool { return c <= ' ' || c > '~' }):
		return nil, argumentError("the redirect URI %q has characters that need encoding", uri) // RFC 3986, section 2
	case strings.Contains(uri, "#"):
		return nil, argumentError("the redirect URI %q has a fragment", uri) // RFC 6749, section 3.1.2
	}
	route := routeOf(u)
	if route == "" {
		route = "/" // what a browser asks for then (RFC 9112, section 3.2.1)
	}
	// A browser resolves dots before it sends a path, and the others are
	// patterns to a router.
	if strings.TrimSuffix(route, "/") != strings.TrimSuffix(path.Clean(route), "/") || strings.ContainsAny(route, "{}*") {
		return nil, argumentError("the path %q of the redirect URI is not a plain one", route)
	}
	host := canonicalHost(u.Scheme, u.Host)
	return &redirect{uri: uri, host: host, origin: u.Scheme + "://" + host, path: route}, nil
}

// matches reports whether a browser that shows this address has come to the
// redirect URI: with the same scheme, host and path. The rest is the answer, and
// a fragment is not sent (RFC 9110, section 4.2.5).
func (r *redirect) matches(u *url.URL) bool {
	other, err := parseRedirect((&url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String())
	return err == nil && other.origin == r.origin && other.path == r.path
}

// routes reports whether an address is that of the redirect or of the last page.
func (r *redirect) routes(u *url.URL) bool {
	route := routeOf(u)
	return route == r.path || route == r.done()
}

// routeOf is the path of an address in the form in which a router compares paths.
func routeOf(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.Path
}

// done is the path of the page that is shown last.
func (r *redirect) done() string { return strings.TrimSuffix(r.path, "/") + "/done" }

// canonicalHost is a host as browsers write it: in lower case, and without the
// port that the scheme has by default (RFC 9110, section 4.2.3).
func canonicalHost(scheme, host string) string {
	port := map[string]string{"http": ":80", "https": ":443"}[scheme]
	return strings.ToLower(strings.TrimSuffix(host, port))
}

// A place is where to listen.
type place struct {
	host  string // "127.0.0.1", "localhost" or "::1"
	ports []int
}

// Check reports whether the options say where the redirect can come to, without
// listening there: the error is grant.ErrArgument, and that of Listen. It is for
// programs that send something before they call Login. A nil receiver is fine.
func (o *Options) Check() error {
	if o == nil {
		return nil
	}
	where, err := o.place()
	if err != nil {
		return err
	}
	uri, err := o.uri(where, where.ports[0])
	if err != nil {
		return err
	}
	_, err = parseRedirect(uri)
	return err
}

// place returns where to listen for the redirect.
func (o *Options) place() (*place, error) {
	if o.RedirectURI != "" {
		return placeOf(o.RedirectURI)
	}
	host, err := bindable(o.RedirectHost)
	if err != nil {
		return nil, err
	}
	for _, port := range o.Ports {
		if port < 0 || port > 65535 {
			return nil, argumentError("%d is not a port", port)
		}
	}
	if len(o.Ports) == 0 {
		return &place{host, []int{0}}, nil
	}
	return &place{host, o.Ports}, nil
}

// placeOf is the place of a redirect URI that is registered.
func placeOf(uri string) (*place, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" {
		return nil, argumentError("the redirect URI %q is not an http URI on a loopback host", uri)
	}
	host, err := bindable(u.Hostname())
	if err != nil {
		return nil, err
	}
	if u.Port() == "" {
		return &place{host, []int{80}}, nil // byte for byte means that none can be added
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return nil, argumentError("the redirect URI %q has no usable port", uri)
	}
	return &place{host, []int{int(port)}}, nil
}

// bindable returns the name or address to listen on. An allow-list, so that no
// spelling of "all addresses" gets through.
func bindable(host string) (string, error) {
	switch strings.ToLower(host) {
	case "", "127.0.0.1":
		return "127.0.0.1", nil
	case "localhost":
		return "localhost", nil
	case "::1", "[::1]":
		return "::1", nil
	}
	return "", argumentError("the redirect host %q is none of 127.0.0.1, localhost and [::1]", host)
}

// uri returns the redirect URI for the port that is open.
func (o *Options) uri(p *place, port int) (string, error) {
	if o.RedirectURI != "" {
		return o.RedirectURI, nil
	}
	callback := o.CallbackPath
	if callback == "" {
		callback = "/callback"
	}
	if !strings.HasPrefix(callback, "/") || strings.ContainsAny(callback, "?#") {
		return "", argumentError("the callback path %q is not a path", callback)
	}
	host := p.host
	if host == "::1" {
		host = "[::1]"
	}
	return "http://" + host + ":" + strconv.Itoa(port) + callback, nil
}

func argumentError(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{grant.ErrArgument}, args...)...)
}
