package grant

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"time"
)

// confirmTime is how long a redirect waits for the issuer to say whether metadata
// out of the cache still hold. Nearly always it has said so while the person signed
// in.
const confirmTime = 3 * time.Second

// current returns the metadata to go on with. Where Authorize had them from the
// cache, the issuer is asked whether they still hold, once in the life of the flow.
func (f *Flow) current(ctx context.Context) (*AuthorizationServer, error) {
	if f.known == nil {
		return f.as, nil
	}
	if err := f.confirming.take(ctx); err != nil {
		return nil, err
	}
	defer f.confirming.pass()
	if f.confirmed == nil && f.outdated == nil {
		as, err := f.client.confirm(ctx, f.as, f.known, f.asked)
		if ctx.Err() != nil {
			return nil, ctx.Err() // who asks next may have more time
		}
		f.confirmed, f.outdated = as, err
	}
	return f.confirmed, f.outdated
}

// currentSoon is current for a redirect that has come. What is not known by then
// is not waited for: metadata in the cache are good for their time without asking
// (RFC 9111, section 4.2).
func (f *Flow) currentSoon(ctx context.Context) (*AuthorizationServer, error) {
	bounded, cancel := context.WithTimeout(ctx, confirmTime)
	defer cancel()
	as, err := f.current(bounded)
	if err != nil && errors.Is(err, bounded.Err()) && ctx.Err() == nil { // and not what the issuer has said at the last moment
		return f.as, nil
	}
	return as, err
}

// confirm asks the issuer whether metadata out of the cache still hold, when the
// person has been sent to the server already (RFC 9111, section 4.3). An issuer that
// cannot be reached, or is in trouble, or has no document any more, leaves them in
// force for this login. A document that has changed is the one to go on with, if
// a login could have begun with it: what was lost since, such as PKCE with S256,
// is refused before the code is sent to anybody. So is a document of another
// issuer, and one with another authorization endpoint: the answer comes from a
// place that the issuer no longer names.
func (c *Client) confirm(ctx context.Context, old *AuthorizationServer, known *metadataEntry, asked asked) (*AuthorizationServer, error) {
	as, err := c.ask(ctx, known)
	check, ours := errors.AsType[*CheckError](err)
	switch {
	case err != nil && !ours, ours && check.Check == checkMetadataLocation:
		return old, nil
	case err != nil:
		c.doubt(ctx, old, err) // so that the next login is refused before the person has signed in
		return nil, err
	}
	if as.same(old) {
		as = old
	}
	if err := c.discovering.take(ctx); err != nil {
		return nil, err
	}
	c.discovered, c.known = as, nil
	c.discovering.pass()
	if as == old {
		return old, nil
	}
	if as.AuthorizationEndpoint != old.AuthorizationEndpoint {
		return nil, &CheckError{Check: checkEndpoint, Code: codeAttributeComparison,
			Reason:   "the issuer has another authorization_endpoint since its metadata were cached; sign in again",
			Expected: as.AuthorizationEndpoint, Actual: old.AuthorizationEndpoint}
	}
	return as, c.checkLogin(as, asked)
}

// ask gets the metadata from the issuer, and has the cache keep them. known is what
// the cache had, nil for nothing.
func (c *Client) ask(ctx context.Context, known *metadataEntry) (*AuthorizationServer, error) {
	as, received, err := discover(ctx, c.Issuer, &DiscoverOptions{
		HTTPClient: c.httpClient(nil), Header: c.Header, Logger: c.Logger, AllowInsecureRequests: c.insecureDiscovery(),
	}, known)
	check, ours := errors.AsType[*CheckError](err)
	switch {
	case err == nil:
		c.keep(ctx, received)
	case ours && check.Status != http.StatusTooManyRequests && check.Status < 500:
		c.forget(ctx) // it is out of date
	}
	return as, err
}

// renew gets the metadata from the issuer in place of those out of the cache that
// do not do: nobody is refused for what was wrong yesterday.
func (c *Client) renew(ctx context.Context, old *AuthorizationServer) (*AuthorizationServer, error) {
	if err := c.discovering.take(ctx); err != nil {
		return nil, err
	}
	defer c.discovering.pass()
	if c.discovered != nil && c.discovered != old {
		return c.discovered, nil
	}
	as, err := c.ask(ctx, c.known)
	if err == nil {
		c.discovered, c.known = as, nil
	}
	return as, err
}

// moved asks the issuer whether metadata out of the cache still hold, after their
// token endpoint has ended a login. It returns those with the endpoint of now, nil
// where that is the same, or nobody knows.
func (c *Client) moved(ctx context.Context, old *AuthorizationServer) *AuthorizationServer {
	as, err := c.renew(ctx, old)
	if err != nil {
		c.doubt(ctx, old, err)
		return nil
	}
	if as.sameTokenEndpoint(old) {
		return nil
	}
	return as
}

// doubt forgets metadata out of the cache with which something has failed, so that
// the next try asks the issuer first: an endpoint may have moved. A server that
// refuses in the words of OAuth is at its place.
func (c *Client) doubt(ctx context.Context, as *AuthorizationServer, err error) {
	if _, refused := errors.AsType[*Error](err); err == nil || refused || errors.Is(err, ErrArgument) {
		return
	}
	if c.discovering.take(ctx) != nil {
		return
	}
	defer c.discovering.pass()
	if c.known != nil && c.discovered == as {
		c.discovered, c.known = nil, nil
		c.forget(ctx)
	}
}

// sameTokenEndpoint reports whether two documents have the same one, also for clients
// with a certificate.
func (as *AuthorizationServer) sameTokenEndpoint(other *AuthorizationServer) bool {
	return as.TokenEndpoint == other.TokenEndpoint && maps.Equal(as.MTLSEndpointAliases, other.MTLSEndpointAliases)
}

// same reports whether two documents say the same, as far as this package reads
// them.
func (as *AuthorizationServer) same(other *AuthorizationServer) bool {
	a, errA := as.MarshalJSON()
	b, errB := other.MarshalJSON()
	return errA == nil && errB == nil && bytes.Equal(a, b) && maps.Equal(as.wrongType, other.wrongType)
}
