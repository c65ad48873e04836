package grant

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"sync/atomic"
)

// An AuthorizationServer is the metadata of an authorization server: RFC 8414,
// section 2, and OpenID Connect Discovery 1.0, section 3. Discover returns one;
// a literal serves for a server without metadata. Its keys are cached in it, so
// hand on the pointer and do not copy the value.
//
// Decoding from JSON takes members of a wrong type without complaint. They
// are refused when they are used.
type AuthorizationServer struct {
	// Issuer is the issuer identifier, compared character by character with
	// every iss that the server sends. Required.
	Issuer string
	// The endpoints are absolute URLs: https, or http on a loopback host.
	AuthorizationEndpoint              string
	TokenEndpoint                      string
	JWKSURI                            string
	UserinfoEndpoint                   string
	RevocationEndpoint                 string
	DeviceAuthorizationEndpoint        string // RFC 8628, section 4
	PushedAuthorizationRequestEndpoint string // RFC 9126, section 5
	RegistrationEndpoint               string
	EndSessionEndpoint                 string // OpenID Connect RP-Initiated Logout 1.0, section 2.1

	// ScopesSupported are some of the scopes; nil when the server lists none.
	ScopesSupported []string
	// ResponseModesSupported are the ways in which the authorization response
	// can come back; nil means query and fragment.
	ResponseModesSupported []string
	// GrantTypesSupported are the grants; nil means authorization_code and
	// implicit.
	GrantTypesSupported []string
	// CodeChallengeMethodsSupported must have S256 unless it is nil (RFC 8414
	// makes it optional, and large providers leave it out).
	CodeChallengeMethodsSupported []string
	// TokenEndpointAuthMethodsSupported helps to choose a ClientAuth, and
	// TokenEndpointAuthSigningAlgValuesSupported the algorithm of its assertions.
	TokenEndpointAuthMethodsSupported          []string
	TokenEndpointAuthSigningAlgValuesSupported []string
	// IDTokenSigningAlgValuesSupported pins the algorithms of ID tokens,
	// unless Client.IDTokenSignedResponseAlg does. nil means RS256.
	IDTokenSigningAlgValuesSupported []string
	// UserinfoSigningAlgValuesSupported are the algorithms of signed userinfo
	// responses.
	UserinfoSigningAlgValuesSupported []string
	// RequestObjectSigningAlgValuesSupported are the algorithms of request
	// objects (RFC 9101).
	RequestObjectSigningAlgValuesSupported []string
	// AuthorizationSigningAlgValuesSupported are the algorithms of signed
	// authorization responses (JARM, section 4).
	AuthorizationSigningAlgValuesSupported []string
	// DPoPSigningAlgValuesSupported are the algorithms of DPoP proofs (RFC 9449,
	// section 5.1).
	DPoPSigningAlgValuesSupported []string

	// RequirePushedAuthorizationRequests says that the server takes pushed
	// authorization requests only (RFC 9126, section 5).
	RequirePushedAuthorizationRequests bool
	// RequireSignedRequestObject says that it takes signed request objects only
	// (RFC 9101, section 10.5).
	RequireSignedRequestObject bool
	// AuthorizationResponseIssParameterSupported makes iss mandatory in the
	// authorization response (RFC 9207, section 3).
	AuthorizationResponseIssParameterSupported bool
	// TLSClientCertificateBoundAccessTokens says that the server binds tokens to
	// the client's certificate (RFC 8705, section 3.3).
	TLSClientCertificateBoundAccessTokens bool
	// MTLSEndpointAliases are endpoints for clients with a certificate (RFC
	// 8705, section 5), by member name.
	MTLSEndpointAliases map[string]string

	wrongType map[string]bool // members that were present with a wrong type
	keys      atomic.Pointer[keyCache]
}

// members binds the names of the metadata document to the fields.
func (as *AuthorizationServer) members() map[string]any {
	return map[string]any{
		"issuer":                                           &as.Issuer,
		"authorization_endpoint":                           &as.AuthorizationEndpoint,
		"token_endpoint":                                   &as.TokenEndpoint,
		"jwks_uri":                                         &as.JWKSURI,
		"userinfo_endpoint":                                &as.UserinfoEndpoint,
		"revocation_endpoint":                              &as.RevocationEndpoint,
		"device_authorization_endpoint":                    &as.DeviceAuthorizationEndpoint,
		"pushed_authorization_request_endpoint":            &as.PushedAuthorizationRequestEndpoint,
		"registration_endpoint":                            &as.RegistrationEndpoint,
		"end_session_endpoint":                             &as.EndSessionEndpoint,
		"scopes_supported":                                 &as.ScopesSupported,
		"response_modes_supported":                         &as.ResponseModesSupported,
		"grant_types_supported":                            &as.GrantTypesSupported,
		"code_challenge_methods_supported":                 &as.CodeChallengeMethodsSupported,
		"token_endpoint_auth_methods_supported":            &as.TokenEndpointAuthMethodsSupported,
		"token_endpoint_auth_signing_alg_values_supported": &as.TokenEndpointAuthSigningAlgValuesSupported,
		"id_token_signing_alg_values_supported":            &as.IDTokenSigningAlgValuesSupported,
		"userinfo_signing_alg_values_supported":            &as.UserinfoSigningAlgValuesSupported,
		"request_object_signing_alg_values_supported":      &as.RequestObjectSigningAlgValuesSupported,
		"authorization_signing_alg_values_supported":       &as.AuthorizationSigningAlgValuesSupported,
		"dpop_signing_alg_values_supported":                &as.DPoPSigningAlgValuesSupported,
		"require_pushed_authorization_requests":            &as.RequirePushedAuthorizationRequests,
		"require_signed_request_object":                    &as.RequireSignedRequestObject,
		"authorization_response_iss_parameter_supported":   &as.AuthorizationResponseIssParameterSupported,
		"tls_client_certificate_bound_access_tokens":       &as.TLSClientCertificateBoundAccessTokens,
		"mtls_endpoint_aliases":                            &as.MTLSEndpointAliases,
	}
}

// UnmarshalJSON decodes a metadata document.
func (as *AuthorizationServer) UnmarshalJSON(data []byte) error {
	doc, err := parseObject(data)
	if err != nil {
		return err
	}
	as.decode(doc)
	return nil
}

func (as *AuthorizationServer) decode(doc object) { as.wrongType = doc.decode(as.members()) }

// MarshalJSON encodes the metadata that this package knows, under the names
// of RFC 8414. Unset members are left out.
func (as *AuthorizationServer) MarshalJSON() ([]byte, error) {
	return json.Marshal(encodeMembers(as.members()))
}

// assert checks what every operation needs of the server.
func (as *AuthorizationServer) assert() error {
	if as == nil {
		return argumentError("the authorization server is nil")
	}
	if as.Issuer == "" {
		return argumentError("the authorization server has no issuer")
	}
	return nil
}

// endpoint returns the URL of a member, or of its mTLS alias where the client
// uses those.
func (as *AuthorizationServer) endpoint(name string, client *Client, insecure bool) (*url.URL, error) {
	return as.endpointURL(name, client.usesAliases(as), insecure && !client.FAPI2)
}

// endpointURL: a client with a certificate "MUST use the alias URL of the
// endpoint [...] when present" (RFC 8705, section 5).
func (as *AuthorizationServer) endpointURL(name string, aliases, insecure bool) (*url.URL, error) {
	value, present := *as.members()[name].(*string), false
	if aliases && !neverAliased[name] {
		if alias, ok := as.MTLSEndpointAliases[name]; ok {
			// An alias that is unusable is an error; it does not fall back.
			value, present, name = alias, true, "mtls_endpoint_aliases."+name
		}
	}
	if value == "" && !present && !as.wrongType[name] {
		return nil, &CheckError{Check: checkEndpoint, Code: codeMissingServerMetadata,
			Reason: "the server's metadata has no " + name}
	}
	u, err := parseEndpoint(value)
	if err != nil {
		return nil, &CheckError{Check: checkEndpoint, Code: codeInvalidServerMetadata,
			Reason: name + " in the server's metadata is not an absolute URL"}
	}
	if err := checkScheme(u, as.insecure(insecure)); err != nil {
		return nil, err
	}
	return u, nil
}

// insecure reports whether http is allowed, which it never is for an https
// issuer.
func (as *AuthorizationServer) insecure(allowed bool) bool {
	return allowed && !strings.HasPrefix(lowerASCII(as.Issuer), "https:")
}

// neverAliased are endpoints that no certificate is shown to.
var neverAliased = map[string]bool{"jwks_uri": true, "authorization_endpoint": true, "end_session_endpoint": true}

// parseEndpoint accepts absolute URLs with a host and without credentials.
func parseEndpoint(value string) (*url.URL, error) {
	u, err := url.Parse(value)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "" || u.Opaque != "" || u.Hostname() == "" || u.User != nil {
		return nil, errors.New("it is not an absolute URL without credentials")
	}
	return u, nil
}

// hasURICharacters: a URI is printable ASCII without blanks (RFC 3986, section 2).
func hasURICharacters(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}

// checkScheme refuses what is not https. With insecure, http is allowed too,
// but to loopback hosts only, where nobody is on the line (RFC 8252, section
// 8.3).
func checkScheme(u *url.URL, insecure bool) error {
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && insecure && isLoopback(u.Hostname()):
		return nil
	case u.Scheme == "http" || !insecure:
		return &CheckError{Check: checkURLScheme, Code: codeHTTPForbidden,
			Reason: printable(u.Scheme+"://"+u.Host) + " is not https"}
	default:
		return &CheckError{Check: checkURLScheme, Code: codeProtocolForbidden,
			Reason: printable(u.Scheme+"://"+u.Host) + " is neither https nor http"}
	}
}
