package grant

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// DiscoverOptions are the options of Discover. The zero value serves.
type DiscoverOptions struct {
	// HTTPClient makes the requests; nil means one with this package's limits.
	HTTPClient *http.Client
	// Header is added to the requests. It must not have Authorization.
	Header http.Header
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
// Network errors end the search and pass through. Redirects are followed here
// alone: to the same origin, at most three times.
func Discover(ctx context.Context, issuer string, opts *DiscoverOptions) (*AuthorizationServer, error) {
	if opts == nil {
		opts = &DiscoverOptions{}
	}
	u, err := parseIssuer(issuer)
	if err != nil {
		return nil, err
	}
	if err := checkScheme(u, opts.AllowInsecureRequests); err != nil {
		return nil, err
	}
	d := discovery{opts: opts, client: opts.HTTPClient}
	if d.client == nil {
		d.client = newHTTPClient()
		defer d.client.CloseIdleConnections()
	}
	return d.search(ctx, issuer, wellKnown(u))
}

// parseIssuer applies RFC 8414, section 2: an issuer has no query and no
// fragment.
func parseIssuer(issuer string) (*url.URL, error) {
	if issuer == "" {
		return nil, argumentError("the issuer is empty")
	}
	u, err := parseEndpoint(issuer)
	switch {
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
	at := func(path string) string { return issuer.Scheme + "://" + issuer.Host + path }
	urls := []string{at(path + oidc), at(oauth + path)}
	if path != "" {
		urls = append(urls, at(oidc+path))
	}
	return urls
}

type discovery struct {
	opts     *DiscoverOptions
	client   *http.Client
	attempts []string
}

func (d *discovery) search(ctx context.Context, issuer string, urls []string) (*AuthorizationServer, error) {
	for _, u := range urls {
		as, err := d.fetch(ctx, u)
		if err != nil {
			if check, ok := errors.AsType[*CheckError](err); !ok || check.Check != checkMetadata {
				return nil, fmt.Errorf("discover %s: %w", issuer, err)
			}
			d.attempts = append(d.attempts, err.(*CheckError).Reason)
			continue
		}
		if err := d.checkIssuer(as, issuer, u); err != nil {
			return nil, err
		}
		return as, nil
	}
	return nil, &CheckError{Check: checkMetadataLocation, Code: codeNotConform,
		Reason: "no metadata of " + issuer + " was found; tried " + strings.Join(d.attempts, "; ")}
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
	if len(d.attempts) > 0 {
		reason += "; tried before: " + strings.Join(d.attempts, "; ")
	}
	return &CheckError{Check: checkMetadataIssuer, Code: codeAttributeComparison,
		Reason: reason, Expected: issuer, Actual: as.Issuer}
}

// fetch returns the document of one place. A *CheckError of checkMetadata says
// that the place has none and the next one may be tried.
func (d *discovery) fetch(ctx context.Context, from string) (*AuthorizationServer, error) {
	resp, err := d.get(ctx, from)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &CheckError{Check: checkMetadata, Code: codeNotConform, Status: resp.StatusCode,
			Reason: fmt.Sprintf("%s: status %d", from, resp.StatusCode)}
	}
	doc, err := readObject(resp, checkMetadata)
	if check, ok := errors.AsType[*CheckError](err); ok && check.Check == checkMetadata {
		check.Reason = fmt.Sprintf("%s: status 200, but %s", from, check.Reason)
		return nil, check
	}
	if err != nil {
		return nil, err
	}
	as := new(AuthorizationServer)
	as.decode(doc)
	if as.Issuer == "" {
		return nil, &CheckError{Check: checkMetadata, Code: codeInvalidResponse,
			Reason: from + ": status 200, but the document has no issuer"}
	}
	return as, nil
}

// get follows redirects by itself, as the HTTP client must not.
func (d *discovery) get(ctx context.Context, from string) (*http.Response, error) {
	const maxRedirects = 3
	u, err := url.Parse(from)
	if err != nil {
		return nil, argumentError("%v", err)
	}
	for hop := 0; ; hop++ {
		req, err := newGet(ctx, u, "application/json", d.opts.Header)
		if err != nil {
			return nil, err
		}
		resp, err := send(d.client, req)
		if err != nil || !isRedirect(resp.StatusCode) {
			return resp, err
		}
		next, err := resp.Location()
		if err != nil || hop == maxRedirects || next.Scheme != u.Scheme || next.Host != u.Host {
			return nil, &CheckError{Check: checkMetadataRedirect, Code: codeNotConform, Status: resp.StatusCode,
				Reason: fmt.Sprintf("%s redirects%s; only three redirects within the same origin are followed", from, redirectTarget(resp))}
		}
		u = next
	}
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}
