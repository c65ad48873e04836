package grant

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A ProtectedResource is the metadata of a protected resource, such as an API:
// RFC 9728, section 2. DiscoverProtectedResource returns one.
type ProtectedResource struct {
	// Resource is the resource identifier. Ask for it with Client.Resources.
	Resource string
	// AuthorizationServers are the issuers whose tokens the resource takes; nil
	// when it names none. The first will do as Client.Issuer.
	AuthorizationServers []string
	// ScopesSupported are some of the scopes to ask for; nil when none are named.
	ScopesSupported []string
	// BearerMethodsSupported are the ways to send a token: header, body, query;
	// nil when it does not say.
	BearerMethodsSupported []string
	// AuthorizationDetailsTypesSupported are those of RFC 9396.
	AuthorizationDetailsTypesSupported []string
	// ResourceName is the name for people, ResourceDocumentation, ResourcePolicyURI
	// and ResourceTOSURI are pages. They are text from the server.
	ResourceName, ResourceDocumentation, ResourcePolicyURI, ResourceTOSURI string
	// JWKSURI and ResourceSigningAlgValuesSupported are about what the resource
	// signs.
	JWKSURI                           string
	ResourceSigningAlgValuesSupported []string
	// DPoPBoundAccessTokensRequired and TLSClientCertificateBoundAccessTokens say
	// what tokens have to be bound to, DPoPSigningAlgValuesSupported with which
	// algorithms.
	DPoPBoundAccessTokensRequired, TLSClientCertificateBoundAccessTokens bool
	DPoPSigningAlgValuesSupported                                        []string
}

// members binds the names of the metadata document to the fields.
func (r *ProtectedResource) members() map[string]any {
	return map[string]any{
		"resource":                                   &r.Resource,
		"authorization_servers":                      &r.AuthorizationServers,
		"scopes_supported":                           &r.ScopesSupported,
		"bearer_methods_supported":                   &r.BearerMethodsSupported,
		"authorization_details_types_supported":      &r.AuthorizationDetailsTypesSupported,
		"resource_name":                              &r.ResourceName,
		"resource_documentation":                     &r.ResourceDocumentation,
		"resource_policy_uri":                        &r.ResourcePolicyURI,
		"resource_tos_uri":                           &r.ResourceTOSURI,
		"jwks_uri":                                   &r.JWKSURI,
		"resource_signing_alg_values_supported":      &r.ResourceSigningAlgValuesSupported,
		"dpop_bound_access_tokens_required":          &r.DPoPBoundAccessTokensRequired,
		"tls_client_certificate_bound_access_tokens": &r.TLSClientCertificateBoundAccessTokens,
		"dpop_signing_alg_values_supported":          &r.DPoPSigningAlgValuesSupported,
	}
}

// MarshalJSON encodes the metadata under the names of RFC 9728. Unset members are
// left out.
func (r *ProtectedResource) MarshalJSON() ([]byte, error) {
	return json.Marshal(encodeMembers(r.members()))
}

// DiscoverProtectedResource fetches the metadata of a protected resource: RFC
// 9728, sections 3 and 5. Three places are tried, in this order, until one answers
// with a metadata document:
//
//	/.well-known/oauth-protected-resource{path and query of resource}
//	the resource_metadata of the challenge with which the resource answers to a GET without a token
//	/.well-known/oauth-protected-resource
//
// The document's resource must equal the argument, character by character
// (section 3.3), and the issuers that it names must be https. A place whose
// document does not comply is passed over. When no place has one that does, the
// error is a *CheckError; it says what was wrong, or lists every URL tried and
// what came back. Network errors end the search.
func DiscoverProtectedResource(ctx context.Context, resource string, opts *DiscoverOptions) (*ProtectedResource, error) {
	d, end, err := newResourceDiscovery(resource, opts)
	if err != nil {
		return nil, err
	}
	defer end()
	return d.search(ctx)
}

// DiscoverProtectedResourceAt fetches the metadata of a protected resource from
// where a challenge of that resource says that it is: RFC 9728, section 5.1.
// metadataURL is the parameter resource_metadata of a Challenge, and resource the
// URL that was asked for and answered with it (section 3.3). See
// DiscoverProtectedResource for the checks.
func DiscoverProtectedResourceAt(ctx context.Context, resource, metadataURL string, opts *DiscoverOptions) (*ProtectedResource, error) {
	d, end, err := newResourceDiscovery(resource, opts)
	if err != nil {
		return nil, err
	}
	defer end()
	found, err := d.fetch(ctx, metadataURL)
	if d.passOver(excerpt(metadataURL), err) {
		return nil, d.failure()
	}
	return found, err
}

// parseResource applies RFC 9728, section 1.2: a resource identifier has no
// fragment. It may have a query.
func parseResource(resource string, insecure bool) (*url.URL, error) {
	u, err := parseEndpoint(resource)
	if err != nil && strings.Contains(resource, "@") {
		return nil, argumentError("the resource is not an absolute URL without credentials") // which are not repeated
	}
	if err != nil || strings.Contains(resource, "#") {
		return nil, argumentError("the resource %q is not an absolute URL without a fragment", resource)
	}
	return u, checkScheme(u, insecure)
}

// A resourceDiscovery is the search for the metadata of one resource.
type resourceDiscovery struct {
	*discovery
	resource string
	url      *url.URL
}

// newResourceDiscovery takes options that may be nil. The caller calls end in the end.
func newResourceDiscovery(resource string, opts *DiscoverOptions) (d *resourceDiscovery, end func(), err error) {
	if opts == nil {
		opts = &DiscoverOptions{}
	}
	u, err := parseResource(resource, opts.AllowInsecureRequests)
	if err != nil {
		return nil, nil, err
	}
	common, end := newDiscovery(opts)
	common.check = checkResourceLocation
	return &resourceDiscovery{discovery: common, resource: resource, url: u}, end, nil
}

func (d *resourceDiscovery) search(ctx context.Context) (*ProtectedResource, error) {
	for _, place := range []func(context.Context) (string, error){d.wellKnown, d.challenged, d.root} {
		from, err := place(ctx)
		if err != nil {
			return nil, fmt.Errorf("discover %s: %w", d.resource, err)
		}
		if from == "" {
			continue
		}
		found, err := d.fetch(ctx, from)
		if d.passOver(excerpt(from), err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("discover %s: %w", d.resource, err)
		}
		return found, nil
	}
	return nil, d.failure()
}

const wellKnownResource = "/.well-known/oauth-protected-resource"

// wellKnown: RFC 9728, section 3.1. Only the slash of an empty path goes away.
func (d *resourceDiscovery) wellKnown(context.Context) (string, error) {
	path := d.url.EscapedPath()
	if path == "/" {
		path = ""
	}
	if d.url.RawQuery != "" || d.url.ForceQuery {
		path += "?" + d.url.RawQuery
	}
	return d.origin() + wellKnownResource + path, nil
}

// root is where several servers publish the metadata of whatever they have.
func (d *resourceDiscovery) root(ctx context.Context) (string, error) {
	root := d.origin() + wellKnownResource
	if first, _ := d.wellKnown(ctx); first == root {
		return "", nil
	}
	return root, nil
}

func (d *resourceDiscovery) origin() string {
	return (&url.URL{Scheme: d.url.Scheme, Host: d.url.Host}).String()
}

// challenged asks the resource itself: RFC 9728, section 5.1.
func (d *resourceDiscovery) challenged(ctx context.Context) (string, error) {
	req, err := newGet(ctx, d.url, "*/*", d.opts.Header)
	if err != nil {
		return "", err
	}
	resp, err := sendForHeader(d.client, d.opts.Logger, req)
	if err != nil {
		return "", err
	}
	if resp.StatusCode == http.StatusUnauthorized {
		for _, challenge := range ParseChallenges(resp.Header) {
			if from := challenge.Parameters["resource_metadata"]; from != "" {
				return from, nil
			}
		}
	}
	d.passOver(d.resource, &CheckError{Check: d.check, Code: codeNotConform, Status: resp.StatusCode,
		Reason: fmt.Sprintf("status %d and no challenge that names the metadata", resp.StatusCode)})
	return "", nil
}

// fetch returns the document of one place, for our resource.
func (d *resourceDiscovery) fetch(ctx context.Context, from string) (*ProtectedResource, error) {
	u, err := parseEndpoint(from)
	if err != nil {
		return nil, &CheckError{Check: d.check, Code: codeInvalidResponse, Reason: "it is not an absolute URL"}
	}
	if err := checkScheme(u, d.insecure()); err != nil {
		return nil, err
	}
	doc, err := d.document(ctx, from)
	if err != nil {
		return nil, err
	}
	r := new(ProtectedResource)
	wrongType := doc.decode(r.members())
	if r.Resource == "" {
		return nil, &CheckError{Check: d.check, Code: codeInvalidResponse, Reason: "the document has no resource"}
	}
	if r.Resource != d.resource { // RFC 9728, section 3.3
		return nil, &CheckError{Check: checkResourceResource, Code: codeAttributeComparison,
			Reason: "the document belongs to another resource", Expected: d.resource, Actual: r.Resource}
	}
	return r, d.checkServers(r, wrongType["authorization_servers"])
}

// checkServers: an issuer is https (RFC 8414, section 2), so that no resource can
// send us to ask something of this machine.
func (d *resourceDiscovery) checkServers(r *ProtectedResource, wrongType bool) error {
	if wrongType {
		return &CheckError{Check: checkResourceServers, Code: codeInvalidResponse, Reason: "authorization_servers is not an array of strings"}
	}
	for _, issuer := range r.AuthorizationServers {
		u, err := parseIssuer(issuer)
		if err != nil || checkScheme(u, d.insecure()) != nil {
			return &CheckError{Check: checkResourceServers, Code: codeInvalidResponse,
				Reason: "an authorization server of the resource is no issuer", Actual: issuer}
		}
	}
	return nil
}

// insecure reports whether http is allowed, which it never is for an https
// resource.
func (d *resourceDiscovery) insecure() bool {
	return d.opts.AllowInsecureRequests && d.url.Scheme == "http"
}

// failure says what was tried. A document that was refused counts more than places
// without one.
func (d *resourceDiscovery) failure() error {
	for _, failure := range d.failures {
		if slices.Contains([]string{checkResourceResource, checkResourceServers, checkURLScheme}, failure.Check) {
			return failure
		}
	}
	worst := d.worst()
	return &CheckError{Check: checkResourceLocation, Code: worst.Code, Status: worst.Status,
		Reason: "no metadata of " + d.resource + " was found; tried " + d.tried()}
}
