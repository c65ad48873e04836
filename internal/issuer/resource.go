package issuer

import (
	"net/http"
	"slices"
)

// ResourceURL returns the identifier of an API that takes tokens of this issuer which were asked for with it as resource
// (RFC 8707). Its metadata is where RFC 9728, section 3.1, has it, and its challenge names that place.
func (i *Issuer) ResourceURL() string { return i.origin + i.base + resourcePath }

// serveResource is the API. It says who the token is for.
func (i *Issuer) serveResource(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	metadata := `, resource_metadata="` + i.origin + resourceMetadataPath + i.base + resourcePath + `"` // RFC 9728, section 5.1
	value, ok := bearerToken(r)
	token := i.ledger.findAccess(value)
	switch {
	case !ok:
		refuseBearer(w, "api", http.StatusUnauthorized, metadata)
	case token == nil || token.jkt != "" || !slices.Contains(token.grant.resources, i.ResourceURL()):
		refuseBearer(w, "api", http.StatusUnauthorized, `, error="invalid_token"`+metadata)
	default:
		writeJSON(w, "application/json", http.StatusOK, map[string]any{"sub": token.grant.user.subject()})
	}
}

// serveResourceMetadata describes the API (RFC 9728, section 2).
func (i *Issuer) serveResourceMetadata(w http.ResponseWriter, _ *http.Request) {
	doc := map[string]any{
		"resource":                 i.ResourceURL(),
		"authorization_servers":    []string{i.url},
		"scopes_supported":         []string{scopeOpenID, scopeProfile},
		"bearer_methods_supported": []string{"header"},
	}
	if i.opts.Resource != nil {
		i.opts.Resource(doc)
	}
	writeJSON(w, "application/json", http.StatusOK, doc)
}
