package grant

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A ClientAuth authenticates a client at the endpoints of its server (RFC
// 6749, section 2.3). None, ClientSecretBasic and ClientSecretPost return one.
type ClientAuth interface {
	// Method is the registered name, as in token_endpoint_auth_method.
	Method() string
	authenticate(*authentication) error
}

// An authentication is one request that a ClientAuth completes.
type authentication struct {
	as     *AuthorizationServer
	client *Client
	form   url.Values
	header http.Header
}

// None is the method of a public client: only client_id is sent.
func None() ClientAuth { return none{} }

// ClientSecretBasic sends the client_id and the secret in the Authorization
// header, each form-encoded first (RFC 6749, section 2.3.1).
func ClientSecretBasic(secret Secret) ClientAuth {
	return &clientSecretBasic{func() Secret { return secret }}
}

// ClientSecretPost sends the secret in the body (RFC 6749, section 2.3.1).
func ClientSecretPost(secret Secret) ClientAuth {
	return &clientSecretPost{func() Secret { return secret }}
}

const (
	methodNone              = "none"
	methodClientSecretBasic = "client_secret_basic"
	methodClientSecretPost  = "client_secret_post"
)

type none struct{}

func (none) Method() string { return methodNone }

func (none) authenticate(r *authentication) error {
	r.form.Set("client_id", r.client.ClientID)
	return nil
}

// The secrets are kept in functions, so that no way of printing shows them.
type clientSecretBasic struct{ secret func() Secret }

func (*clientSecretBasic) Method() string { return methodClientSecretBasic }

func (a *clientSecretBasic) Format(f fmt.State, _ rune) { io.WriteString(f, a.Method()) }

func (a *clientSecretBasic) authenticate(r *authentication) error {
	credentials := encodeCredential(r.client.ClientID) + ":" + encodeCredential(string(a.secret()))
	r.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(credentials)))
	return nil
}

type clientSecretPost struct{ secret func() Secret }

func (*clientSecretPost) Method() string { return methodClientSecretPost }

func (a *clientSecretPost) Format(f fmt.State, _ rune) { io.WriteString(f, a.Method()) }

func (a *clientSecretPost) authenticate(r *authentication) error {
	r.form.Set("client_id", r.client.ClientID)
	r.form.Set("client_secret", string(a.secret()))
	return nil
}

// encodeCredential is application/x-www-form-urlencoded with every byte
// encoded that is not a letter or a digit: servers disagree about the marks,
// and all of them decode what is encoded (RFC 6749, appendix B).
func encodeCredential(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case isAlphanumeric(c):
			b.WriteByte(c)
		case c == ' ':
			b.WriteByte('+')
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// clientAuth decides how the client authenticates: the call's own choice, the
// client's, the method of its registration, or one that fits the server. It is
// decided once; a second method is never tried, as the first attempt may have
// used up the code.
func (c *Client) clientAuth(as *AuthorizationServer, override ClientAuth) (ClientAuth, error) {
	auth := override
	if auth == nil {
		auth = c.Auth
	}
	if auth == nil {
		return c.registeredAuth(as)
	}
	if a, ok := auth.(*clientSecretBasic); ok && a.secret() == "" {
		return nil, argumentError("the client secret is empty")
	}
	if a, ok := auth.(*clientSecretPost); ok && a.secret() == "" {
		return nil, argumentError("the client secret is empty")
	}
	return auth, nil
}

func (c *Client) registeredAuth(as *AuthorizationServer) (ClientAuth, error) {
	method := c.TokenEndpointAuthMethod
	if method == "" {
		method = c.chooseMethod(as)
	}
	if !slices.Contains([]string{methodNone, methodClientSecretBasic, methodClientSecretPost}, method) {
		return nil, argumentError("the client authentication method %q is not supported", method)
	}
	if method == methodNone && c.ClientSecret != "" {
		return nil, argumentError("a client with the method none has no client secret")
	}
	if method != methodNone && c.ClientSecret == "" {
		return nil, argumentError("the method %s needs a client secret", method)
	}
	switch method {
	case methodClientSecretBasic:
		return ClientSecretBasic(c.ClientSecret), nil
	case methodClientSecretPost:
		return ClientSecretPost(c.ClientSecret), nil
	}
	return None(), nil
}

// chooseMethod picks client_secret_basic for a client with a secret, as RFC
// 6749 wants every server to support it. It picks client_secret_post where the
// server offers only that, and where it offers both and the credentials have
// characters that some servers decode and others do not.
func (c *Client) chooseMethod(as *AuthorizationServer) string {
	if c.ClientSecret == "" {
		return methodNone
	}
	offered := as.TokenEndpointAuthMethodsSupported
	if !slices.Contains(offered, methodClientSecretPost) {
		return methodClientSecretBasic
	}
	credentials := c.ClientID + string(c.ClientSecret)
	if slices.Contains(offered, methodClientSecretBasic) && encodeCredential(credentials) == credentials {
		return methodClientSecretBasic
	}
	return methodClientSecretPost
}
