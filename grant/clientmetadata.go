package grant

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
)

// ClientMetadata is what a client is registered with: RFC 7591, section 2, and
// OpenID Connect Dynamic Client Registration 1.0, section 2. Unset members are not
// sent, and the server has a default for each.
type ClientMetadata struct {
	// RedirectURIs are redirect_uris. Servers that follow RFC 8252, section 7.3,
	// take any port with a loopback IP address that is registered without one;
	// others want the very URI.
	RedirectURIs []string
	// PostLogoutRedirectURIs are where the browser may be sent after signing out.
	PostLogoutRedirectURIs []string
	// ApplicationType is "native" or "web".
	ApplicationType string
	// TokenEndpointAuthMethod is how the client authenticates, and
	// TokenEndpointAuthSigningAlg the algorithm of its assertions.
	TokenEndpointAuthMethod, TokenEndpointAuthSigningAlg string
	// GrantTypes and ResponseTypes are what the client may use.
	GrantTypes, ResponseTypes []string
	// Scope is what the client may ask for, separated by blanks.
	Scope string
	// ClientName is shown to the person.
	ClientName string
	// ClientURI, LogoURI, TOSURI and PolicyURI are pages about the client.
	ClientURI, LogoURI, TOSURI, PolicyURI string
	// Contacts are people responsible for the client.
	Contacts []string
	// SoftwareID names the software, the same for every installation of it, and
	// SoftwareVersion the version.
	SoftwareID, SoftwareVersion string
	// SoftwareStatement is a JWT about the software from somebody whom the server
	// trusts (RFC 7591, section 2.3).
	SoftwareStatement string
	// JWKSURI and JWKS are the client's public keys; one of the two is enough.
	JWKSURI string
	JWKS    json.RawMessage
	// IDTokenSignedResponseAlg, UserinfoSignedResponseAlg and
	// AuthorizationSignedResponseAlg are the algorithms of what the server signs
	// for the client.
	IDTokenSignedResponseAlg, UserinfoSignedResponseAlg, AuthorizationSignedResponseAlg string
	// RequestObjectSigningAlg is that of request objects (RFC 9101).
	RequestObjectSigningAlg string
	// DefaultMaxAge and RequireAuthTime are as in Client.
	DefaultMaxAge   *int
	RequireAuthTime bool
	// RequirePushedAuthorizationRequests (RFC 9126, section 6),
	// DPoPBoundAccessTokens (RFC 9449, section 5.2) and
	// TLSClientCertificateBoundAccessTokens (RFC 8705, section 3.4) bind the client
	// to what they name.
	RequirePushedAuthorizationRequests, DPoPBoundAccessTokens, TLSClientCertificateBoundAccessTokens bool
	// Additional are other members. They cannot override those above.
	Additional map[string]any
}

// members binds the names of the metadata to the fields.
func (m *ClientMetadata) members() map[string]any {
	return map[string]any{
		"redirect_uris":                         &m.RedirectURIs,
		"post_logout_redirect_uris":             &m.PostLogoutRedirectURIs,
		"application_type":                      &m.ApplicationType,
		"token_endpoint_auth_method":            &m.TokenEndpointAuthMethod,
		"token_endpoint_auth_signing_alg":       &m.TokenEndpointAuthSigningAlg,
		"grant_types":                           &m.GrantTypes,
		"response_types":                        &m.ResponseTypes,
		"scope":                                 &m.Scope,
		"client_name":                           &m.ClientName,
		"client_uri":                            &m.ClientURI,
		"logo_uri":                              &m.LogoURI,
		"tos_uri":                               &m.TOSURI,
		"policy_uri":                            &m.PolicyURI,
		"contacts":                              &m.Contacts,
		"software_id":                           &m.SoftwareID,
		"software_version":                      &m.SoftwareVersion,
		"software_statement":                    &m.SoftwareStatement,
		"jwks_uri":                              &m.JWKSURI,
		"jwks":                                  &m.JWKS,
		"id_token_signed_response_alg":          &m.IDTokenSignedResponseAlg,
		"userinfo_signed_response_alg":          &m.UserinfoSignedResponseAlg,
		"authorization_signed_response_alg":     &m.AuthorizationSignedResponseAlg,
		"request_object_signing_alg":            &m.RequestObjectSigningAlg,
		"default_max_age":                       &m.DefaultMaxAge,
		"require_auth_time":                     &m.RequireAuthTime,
		"require_pushed_authorization_requests": &m.RequirePushedAuthorizationRequests,
		"dpop_bound_access_tokens":              &m.DPoPBoundAccessTokens,
		"tls_client_certificate_bound_access_tokens": &m.TLSClientCertificateBoundAccessTokens,
	}
}

// MarshalJSON encodes the metadata as it is sent.
func (m *ClientMetadata) MarshalJSON() ([]byte, error) {
	doc := map[string]any{}
	maps.Copy(doc, m.Additional)
	for name := range m.members() {
		delete(doc, name)
	}
	maps.Copy(doc, encodeMembers(m.members()))
	return json.Marshal(doc)
}

// UnmarshalJSON decodes metadata. Members of a wrong type are left out, and those
// that this package does not know are not kept.
func (m *ClientMetadata) UnmarshalJSON(data []byte) error {
	doc, err := parseObject(data)
	if err != nil {
		return err
	}
	*m = ClientMetadata{}
	doc.decode(m.members())
	return nil
}

// withDefaults fills in what a native client needs, as far as the server offers
// it.
func (m *ClientMetadata) withDefaults(as *AuthorizationServer, c *Client) *ClientMetadata {
	full := ClientMetadata{}
	if m != nil {
		full = *m
	}
	full.ApplicationType = cmp.Or(full.ApplicationType, "native") // OpenID Connect Dynamic Client Registration 1.0, section 2
	full.TokenEndpointAuthMethod = cmp.Or(full.TokenEndpointAuthMethod, c.wantedMethod(as))
	full.TokenEndpointAuthSigningAlg = cmp.Or(full.TokenEndpointAuthSigningAlg, c.TokenEndpointAuthSigningAlg)
	full.IDTokenSignedResponseAlg = cmp.Or(full.IDTokenSignedResponseAlg, c.IDTokenSignedResponseAlg)
	full.UserinfoSignedResponseAlg = cmp.Or(full.UserinfoSignedResponseAlg, c.UserinfoSignedResponseAlg)
	full.AuthorizationSignedResponseAlg = cmp.Or(full.AuthorizationSignedResponseAlg, c.AuthorizationSignedResponseAlg)
	full.RequestObjectSigningAlg = cmp.Or(full.RequestObjectSigningAlg, c.RequestObjectSigningAlg)
	if full.GrantTypes == nil {
		full.GrantTypes = []string{"authorization_code"}
		if as.GrantTypesSupported == nil || slices.Contains(as.GrantTypesSupported, "refresh_token") {
			full.GrantTypes = append(full.GrantTypes, "refresh_token")
		}
	}
	if full.ResponseTypes == nil && slices.Contains(full.GrantTypes, "authorization_code") {
		full.ResponseTypes = []string{"code"}
	}
	return &full
}

// wantedMethod is none, as a native client can keep no secret (RFC 8252, section
// 8.4), unless the client says otherwise or the server does not offer it: a secret
// of one installation alone does no harm.
func (c *Client) wantedMethod(as *AuthorizationServer) string {
	switch {
	case c.Auth != nil:
		return c.Auth.Method()
	case c.TokenEndpointAuthMethod != "":
		return c.TokenEndpointAuthMethod
	case c.Key != nil:
		return methodPrivateKeyJWT
	}
	offered := as.TokenEndpointAuthMethodsSupported
	for _, method := range []string{methodNone, methodClientSecretBasic, methodClientSecretPost} {
		if slices.Contains(offered, method) {
			return method
		}
	}
	return methodNone
}
