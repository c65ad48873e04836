package grant

import (
	"net/http"
	"slices"
)

// TLSClientAuth authenticates with the certificate of the TLS connection, which
// an authority vouches for (RFC 8705, section 2.1). The HTTP client shows it: the
// TLSClientConfig of its http.Transport has Certificates or
// GetClientCertificate. The request holds client_id alone, and goes to the
// server's mtls_endpoint_aliases where it has them.
func TLSClientAuth() ClientAuth { return mutualTLS(methodTLSClientAuth) }

// SelfSignedTLSClientAuth is like TLSClientAuth with a certificate that was
// registered itself (RFC 8705, section 2.2). Give it with GetClientCertificate: of
// Certificates, crypto/tls shows those alone that come from an authority that the
// server names, and a server that knows both methods names some.
func SelfSignedTLSClientAuth() ClientAuth { return mutualTLS(methodSelfSignedTLSClientAuth) }

// A mutualTLS is the name of its method. On the wire the two are the same.
type mutualTLS string

func (a mutualTLS) Method() string { return string(a) }

func (mutualTLS) check(*AuthorizationServer, *Client) error { return nil }

// authenticate: "the client MUST include the client_id" (RFC 8705, section 2).
func (mutualTLS) authenticate(r *authentication) error {
	r.form.Set("client_id", r.client.ClientID)
	return nil
}

func usesCertificate(auth ClientAuth) bool {
	_, ok := auth.(mutualTLS)
	return ok
}

// usesAliases reports whether the client talks to the endpoints for clients
// with a certificate.
func (c *Client) usesAliases(as *AuthorizationServer) bool {
	if c.UseMTLSEndpointAliases || len(as.MTLSEndpointAliases) == 0 {
		return c.UseMTLSEndpointAliases
	}
	auth, err := c.clientAuth(as, nil)
	return err == nil && usesCertificate(auth)
}

// checkCertificate finds now that a method of RFC 8705 would come to nothing.
func checkCertificate(auth ClientAuth, client *http.Client) error {
	if !usesCertificate(auth) {
		return nil
	}
	if has, known := hasCertificate(client); known && !has {
		return argumentError("the method %s needs an HTTP client whose transport has a client certificate", auth.Method())
	}
	return nil
}

// hasCertificate looks into the transports of the standard library; of another
// one nothing is known.
func hasCertificate(client *http.Client) (has, known bool) {
	if client == nil {
		return false, true // the client's own HTTP client has none
	}
	transport, _ := unwrap(client)
	if transport == nil {
		return false, false
	}
	// Its first request, which may be made right now, completes the configuration of
	// a transport. Clone waits for that, or does it.
	config := transport.Clone().TLSClientConfig
	if config == nil {
		return false, true
	}
	return len(config.Certificates) > 0 || config.GetClientCertificate != nil, true
}

// chooseBareMethod is for a client without a key and a secret. The certificate
// of its HTTP client may be what it was registered with, if the server says that
// it takes one; the request is that of a public client in any case.
func (c *Client) chooseBareMethod(as *AuthorizationServer) string {
	for _, method := range []string{methodTLSClientAuth, methodSelfSignedTLSClientAuth} {
		if !slices.Contains(as.TokenEndpointAuthMethodsSupported, method) {
			continue
		}
		if has, _ := hasCertificate(c.HTTPClient); has {
			return method
		}
		break
	}
	return methodNone
}
