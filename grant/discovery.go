package grant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

// DiscoverOptions are the options of Discover (RFC 8414, section 3). The zero
// value serves.
type DiscoverOptions struct {
	// HTTPClient makes the requests; nil means one with this package's limits.
	HTTPClient *http.Client
	// Header is added to the requests. It must not have Authorization.
	Header http.Header
	// Logger is told of every request, at the level Debug; nil for silence.
	Logger *slog.Logger
	// AllowInsecureRequests allows http, to loopback hosts only.
	AllowInsecureRequests bool
}

// Discover fetches the metadata of an issuer. Three places are tried, in this
// order, until one answers with a metadata document:
//
//	{issuer}/.well-known/openid-configuration               OpenID Connect Discovery 1.0, section 4
//	/.well-known/oauth-authorization-server{path of issuer} RFC 8414, section 3.1
//	/.well-known/openid-configuration{path of issuer}       RFC 8414, section 5
//
// The document's issuer must equal the argument, character by character (RFC
// 8414, section 3.3). When it does not, or when no place has a document, the
// error is a *CheckError whose text lists every URL tried and what came back.
// A place that answers with anything but a metadata document is passed over; a
// document of another issuer and network errors end the search. Redirects are
// followed here alone: to the same origin, at most three times.
func Discover(ctx context.Context, issuer string, opts *DiscoverOptions) (*AuthorizationServer, error) {
	if opts == nil {
		opts = &DiscoverOptions{}
	}
	as, _, err := discover(ctx, issuer, opts, nil)
	return as, err
}

// discover is Discover for a caller that may know a document already. It returns
// also what to keep.
func discover(ctx context.Context, issuer string, opts *DiscoverOptions, known *metadataEntry) (*AuthorizationServer, *metadataEntry, error) {
	u, err := checkIssuerURL(issuer, opts.AllowInsecureRequests)
	if err != nil {
		return nil, nil, err
	}
	d, end := newDiscovery(opts)
	defer end()
	d.known = known
	as, err := d.search(ctx, issuer, wellKnown(u))
	return as, d.received, err
}

func checkIssuerURL(issuer string, insecure bool) (*url.URL, error) {
	u, err := parseIssuer(issuer)
	if err != nil {
		return nil, err
	}
	return u, checkScheme(u, insecure)
}

// parseIssuer applies RFC 8414, section 2: an issuer has no query and no
// fragment.
func parseIssuer(issuer string) (*url.URL, error) {
	if issuer == "" {
		return nil, argumentError("the issuer is empty")
	}
	u, err := parseEndpoint(issuer)
	switch {
	case err != nil && strings.Contains(issuer, "@"):
		return nil, argumentError("the issuer is not an absolute URL without credentials") // which are not repeated
	case err != nil:
		return nil, argumentError("the issuer %q is not an absolute URL such as https://issuer.example", issuer)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(issuer, "#"):
		return nil, argumentError("the issuer %q has a query or a fragment", issuer)
	case strings.Contains(u.Path, "/.well-known/"):
		return nil, argumentError("%q is the address of a metadata document; give the issuer, which is the document's issuer member", issuer)
	}
	return u, nil
}

// wellKnown returns the places of the metadata. Without a path, the first and
// the third are the same.
func wellKnown(issuer *url.URL) []string {
	const oidc, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	path := strings.TrimSuffix(issuer.EscapedPath(), "/")
	origin := (&url.URL{Scheme: issuer.Scheme, Host: issuer.Host}).String()
	at := func(path string) string { return origin + path }
	urls := []string{at(path + oidc), at(oauth + path)}
	if path != "" {
		urls = append(urls, at(oidc+path))
	}
	return urls
}

// A discovery is the search for one document.
type discovery struct {
	opts     *DiscoverOptions
	client   *http.Client
	check    string        // the name of the check of the document
	failures []*CheckError // of the places passed over

	known    *metadataEntry // of an earlier search, nil for none
	received *metadataEntry // what the last place had
}

// newDiscovery returns also what has to be called in the end.
func newDiscovery(opts *DiscoverOptions) (d *discovery, end func()) {
	d = &discovery{opts: opts, client: opts.HTTPClient, check: checkMetadataLocation}
	if d.client != nil {
		return d, func() {}
	}
	d.client = newHTTPClient()
	return d, d.client.CloseIdleConnections
}

func (d *discovery) search(ctx context.Context, issuer string, urls []string) (*AuthorizationServer, error) {
	for _, u := range urls {
		as, err := d.fetch(ctx, u)
		if d.passOver(u, err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("discover %s: %w", issuer, err)
		}
		if err := d.checkIssuer(as, issuer, u); err != nil {
			return nil, err
		}
		return as, nil
	}
	failure := d.worst()
	return nil, &CheckError{Check: checkMetadataLocation, Code: failure.Code, Status: failure.Status,
		Reason: "no metadata of " + issuer + " was found; tried " + d.tried()}
}

// passOver notes that a place has no document. It returns false for another error,
// or none.
func (d *discovery) passOver(place string, err error) bool {
	failure, ok := errors.AsType[*CheckError](err)
	if ok {
		failure.Reason = place + ": " + failure.Reason
		d.failures = append(d.failures, failure)
	}
	return ok
}

// worst returns the failure that tells most: a server in trouble, or else a
// document that is none, or else that of the first place.
func (d *discovery) worst() *CheckError {
	worst := d.failures[0]
	for _, failure := range d.failures {
		if failure.Status >= 500 {
			return failure
		}
		if worst.Code == codeNotConform && failure.Code != codeNotConform {
			worst = failure
		}
	}
	return worst
}

func (d *discovery) tried() string {
	var list []string
	for _, failure := range d.failures {
		text := failure.Reason
		if failure.Err != nil {
			text += ": " + failure.Err.Error()
		}
		list = append(list, text)
	}
	return strings.Join(list, "; ")
}

// checkIssuer applies RFC 8414, section 3.3.
func (d *discovery) checkIssuer(as *AuthorizationServer, issuer, from string) error {
	if as.Issuer == issuer {
		return nil
	}
	reason := "the document at " + from + " belongs to another issuer"
	if strings.TrimSuffix(as.Issuer, "/") == strings.TrimSuffix(issuer, "/") {
		reason = "only a slash at the end differs; use the issuer " + as.Issuer
	}
	if len(d.failures) > 0 {
		reason += "; tried before: " + d.tried()
	}
	return &CheckError{Check: checkMetadataIssuer, Code: codeAttributeComparison,
		Reason: reason, Expected: issuer, Actual: as.Issuer}
}

// fetch returns the document of one place. A *CheckError says that the place has
// none.
func (d *discovery) fetch(ctx context.Context, from string) (*AuthorizationServer, error) {
	doc, err := d.document(ctx, from)
	if err != nil {
		return nil, err
	}
	as := new(AuthorizationServer)
	as.decode(doc)
	if as.Issuer == "" {
		return nil, &CheckError{Check: checkMetadataLocation, Code: codeInvalidResponse, Reason: "the document has no issuer"}
	}
	return as, nil
}

// document returns the JSON object at one place.
func (d *discovery) document(ctx context.Context, from string) (object, error) {
	resp, err := d.get(ctx, from)
	if err != nil {
		return nil, err
	}
	sent := sentAt(resp)
	if resp.StatusCode == http.StatusNotModified && d.knows(from) { // RFC 9111, section 4.3.3
		d.received = d.known.validated(resp, sent)
		return parseObject(d.known.Document)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &CheckError{Check: d.check, Code: codeNotConform, Status: resp.StatusCode,
			Reason: fmt.Sprintf("status %d%s", resp.StatusCode, redirectTarget(resp))}
	}
	body, err := readBody(resp)
	if err != nil {
		return nil, err
	}
	d.received = newEntry(from, resp, sent, body)
	return parseAnswer(resp, body, d.check)
}

// knows reports whether the document that is known came from a place.
func (d *discovery) knows(place string) bool { return d.known != nil && d.known.Location == place }

// get follows redirects within the origin and returns the first response that
// is something else.
func (d *discovery) get(ctx context.Context, from string) (*http.Response, error) {
	const maxRedirects = 3
	u, err := url.Parse(from)
	if err != nil {
		return nil, argumentError("%v", err)
	}
	headers := []http.Header{d.opts.Header}
	if d.knows(from) {
		headers = append(headers, d.known.validators())
	}
	for hop := 0; ; hop++ {
		req, err := newGet(ctx, u, "application/json", headers...)
		if err != nil {
			return nil, err
		}
		resp, err := send(d.client, d.opts.Logger, req)
		if err != nil || !isRedirect(resp.StatusCode) || hop == maxRedirects {
			return resp, err
		}
		next, err := resp.Location()
		if err != nil || next.User != nil || origin(next) != origin(u) {
			return resp, nil
		}
		u = next
	}
}

// origin is scheme, host and port (RFC 6454, section 4).
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = defaultPorts[u.Scheme]
	}
	return u.Scheme + "://" + lowerASCII(u.Hostname()) + ":" + port
}

var defaultPorts = map[string]string{"https": "443", "http": "80"}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}
