package issuer

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
)

// Limits of one visit.
const (
	maxSteps     = 30
	maxPageBytes = 1 << 20
)

// Visitor plays the part of the browser and of the person in front of it: it follows redirects and the Refresh header,
// and fills in the sign-in page and the consent page of an [Issuer]. Forms of any other server are left alone. The
// zero value is ready for use; cookies are kept from one visit to the next, so the second visit finds the visitor
// signed in. Several visits may go on at once.
type Visitor struct {
	User   string      // name to sign in with; default: "ada"
	Deny   bool        // press Deny on the consent page, not Allow
	Stay   bool        // do not follow a redirect that leads away from the server that was visited first
	Header http.Header // sent with every request, in place of the visitor's own headers of these names
	// RootCAs are those that servers are trusted by; default: those of the system.
	RootCAs *x509.CertPool

	mu  sync.Mutex
	jar http.CookieJar
}

// Page is where a visit has ended. Its URL, its body and its trail can hold an authorization code.
type Page struct {
	URL    string // last of the trail
	Status int
	Header http.Header
	Body   []byte   // at most 1 MiB
	Trail  []string // all URLs that were requested, in order
}

// navigation is one request that a browser makes for a person.
type navigation struct {
	method string
	url    *url.URL
	form   url.Values // of a POST
	site   string     // Sec-Fetch-Site
	from   *url.URL   // page with the form; nil for a URL that was typed
}

// Visit opens a URL as if it had been typed into a browser, does what [Visitor] says, and returns the last page, whatever
// its status is. It stops early at a redirect to another scheme than http and https, such as that of an
// application. Errors are those of the network, of ctx, and of visits that do not come to an end.
func (v *Visitor) Visit(ctx context.Context, authorizationURL string) (*Page, error) {
	start, err := url.Parse(authorizationURL)
	if err != nil || !isWeb(start) {
		return nil, errors.New("visitor: the URL is not one of http or https")
	}
	jar, err := v.cookies()
	if err != nil {
		return nil, err
	}
	// No proxy: the way to a loopback address is direct.
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: v.RootCAs}}
	defer transport.CloseIdleConnections()
	next := &navigation{method: http.MethodGet, url: start, site: "none"}
	page := new(Page)
	for range maxSteps {
		if err := v.open(ctx, transport, jar, next, page); err != nil {
			return nil, err
		}
		if next, err = v.next(next, page, start); err != nil {
			return nil, err
		}
		if next == nil {
			return page, nil
		}
	}
	return nil, fmt.Errorf("visitor: no end after %d requests", maxSteps)
}

// cookies returns the visitor's cookie jar.
func (v *Visitor) cookies() (http.CookieJar, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.jar == nil {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return nil, fmt.Errorf("visitor: %w", err)
		}
		v.jar = jar
	}
	return v.jar, nil
}

// open makes one request and puts what came back into page. It goes below http.Client, which puts URLs, and with
// them codes, into its errors.
func (v *Visitor) open(ctx context.Context, transport *http.Transport, jar http.CookieJar, n *navigation, page *Page) error {
	req, err := v.request(ctx, n)
	if err != nil {
		return errors.New("visitor: the URL cannot be requested") // the error itself quotes it
	}
	for _, cookie := range jar.Cookies(n.url) {
		req.AddCookie(cookie)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("visitor: %w", err)
	}
	defer resp.Body.Close()
	jar.SetCookies(n.url, resp.Cookies())
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPageBytes))
	if err != nil {
		return fmt.Errorf("visitor: %w", err)
	}
	page.URL, page.Status, page.Header, page.Body = n.url.String(), resp.StatusCode, resp.Header, body
	page.Trail = append(page.Trail, page.URL)
	return nil
}

// request builds what Chromium sends for a navigation (Fetch Metadata Request Headers, section 2).
func (v *Visitor) request(ctx context.Context, n *navigation) (*http.Request, error) {
	var body io.Reader
	if n.method == http.MethodPost {
		body = strings.NewReader(n.form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, n.method, n.url.String(), body)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"Accept":                    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
		"Accept-Language":           "en",
		"Sec-Fetch-Dest":            "document",
		"Sec-Fetch-Mode":            "navigate",
		"Sec-Fetch-Site":            n.site,
		"Sec-Fetch-User":            "?1",
		"Upgrade-Insecure-Requests": "1",
		"User-Agent":                "Mozilla/5.0 (compatible; oauth-login visitor)",
	} {
		req.Header.Set(name, value)
	}
	if n.method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "null") // the pages of the issuer ask for no referrer
	}
	maps.Copy(req.Header, v.Header)
	return req, nil
}

// next returns the request that follows from a page, nil when there is none.
func (v *Visitor) next(n *navigation, page *Page, start *url.URL) (*navigation, error) {
	if location := page.Header.Get("Location"); location != "" && isRedirect(page.Status) {
		target, err := n.url.Parse(location)
		if err != nil {
			return nil, errors.New("visitor: the page redirects to something that is not a URL")
		}
		if v.Stay && !sameOrigin(target, start) {
			return nil, nil
		}
		return n.redirect(target, page.Status), nil
	}
	if rest, ok := strings.CutPrefix(page.Header.Get("Refresh"), "0; url="); ok { // HTML Standard, The `Refresh` header
		target, err := n.url.Parse(rest)
		if err != nil || !isWeb(target) {
			return nil, errors.New("visitor: the page goes on to something that is not a web page")
		}
		return (&navigation{method: http.MethodGet, site: "same-origin", from: n.url}).redirect(target, http.StatusSeeOther), nil
	}
	if page.Status != http.StatusOK || !sameOrigin(n.url, start) || !isHTML(page.Header) {
		return nil, nil
	}
	f := findForm(bytes.NewReader(page.Body))
	if f == nil {
		return nil, nil
	}
	target, err := n.url.Parse(f.action)
	if err != nil || !sameOrigin(target, start) {
		return nil, errors.New("visitor: the form goes to another server")
	}
	return &navigation{method: http.MethodPost, url: target, form: v.fill(f), site: "same-origin", from: n.url}, nil
}

// fill returns what the person sends with a form.
func (v *Visitor) fill(f *form) url.Values {
	values := maps.Clone(f.hidden)
	if f.asksName {
		name := v.User
		if name == "" {
			name = "ada"
		}
		values.Set("username", name)
		values.Set("password", "any password")
	}
	if f.asksDecision {
		values.Set("decision", "allow")
		if v.Deny {
			values.Set("decision", "deny")
		}
	}
	return values
}

// redirect returns the request that a browser makes when n is answered with a redirect (Fetch, HTTP-redirect fetch: a POST
// becomes a GET, unless the status is 307 or 308), nil when the target is for another application.
func (n *navigation) redirect(target *url.URL, status int) *navigation {
	if !isWeb(target) {
		return nil
	}
	next := &navigation{method: http.MethodGet, url: target, site: n.site, from: n.from}
	if status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect {
		next.method, next.form = n.method, n.form
	}
	switch {
	case n.from == nil || n.site == "cross-site" || sameOrigin(n.from, target): // never better than before
	case n.from.Scheme == target.Scheme && n.from.Hostname() == target.Hostname():
		next.site = "same-site"
	default:
		next.site = "cross-site"
	}
	return next
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func isHTML(h http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && mediaType == "text/html"
}

func isWeb(u *url.URL) bool { return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" }

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && a.Host == b.Host }
