package grant

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A ClientAuth authenticates a client at the endpoints of its server (RFC
// 6749, section 2.3). None, ClientSecretBasic, ClientSecretPost,
// ClientSecretJWT, PrivateKeyJWT, TLSClientAuth and SelfSignedTLSClientAuth
// return one.
type ClientAuth interface {
	// Method is the registered name, as in token_endpoint_auth_method.
	Method() string
	// check finds mistakes before a request, or a person, is sent anywhere.
	check(as *AuthorizationServer, client *Client) error
	authenticate(*authentication) error
}

// An authentication is one request that a ClientAuth completes.
type authentication struct {
	as     *AuthorizationServer
	client *Client
	form   url.Values
	header http.Header
}

// None is the method of a public client: only client_id is sent (RFC 6749,
// section 3.2.1).
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

// The methods of OpenID Connect Core 1.0, section 9, and RFC 8705, section 2.
const (
	methodNone                    = "none"
	methodClientSecretBasic       = "client_secret_basic"
	methodClientSecretPost        = "client_secret_post"
	methodClientSecretJWT         = "client_secret_jwt"
	methodPrivateKeyJWT           = "private_key_jwt"
	methodTLSClientAuth           = "tls_client_auth"
	methodSelfSignedTLSClientAuth = "self_signed_tls_client_auth"
)

type none struct{}

func (none) Method() string { return methodNone }

func (none) check(*AuthorizationServer, *Client) error { return nil }

func (none) authenticate(r *authentication) error {
	r.form.Set("client_id", r.client.ClientID)
	return nil
}

// The secrets are kept in functions, so that no way of printing shows them.
type clientSecretBasic struct{ secret func() Secret }

func (*clientSecretBasic) Method() string { return methodClientSecretBasic }

func (a *clientSecretBasic) Format(f fmt.State, _ rune) { io.WriteString(f, a.Method()) }

func (a *clientSecretBasic) check(*AuthorizationServer, *Client) error {
	return checkSecret(a.secret())
}

func (a *clientSecretBasic) authenticate(r *authentication) error {
	credentials := encodeCredential(r.client.ClientID) + ":" + encodeCredential(string(a.secret()))
	r.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(credentials)))
	return nil
}

type clientSecretPost struct{ secret func() Secret }

func (*clientSecretPost) Method() string { return methodClientSecretPost }

func (a *clientSecretPost) Format(f fmt.State, _ rune) { io.WriteString(f, a.Method()) }

func (a *clientSecretPost) check(*AuthorizationServer, *Client) error { return checkSecret(a.secret()) }

func (a *clientSecretPost) authenticate(r *authentication) error {
	r.form.Set("client_id", r.client.ClientID)
	r.form.Set("client_secret", string(a.secret()))
	return nil
}

func checkSecret(secret Secret) error {
	if secret == "" {
		return argumentError("the client secret is empty")
	}
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
		var err error
		if auth, err = c.registeredAuth(as); err != nil {
			return nil, err
		}
	}
	if err := cmp.Or(c.checkFAPIAuth(auth), auth.check(as, c)); err != nil {
		return nil, err
	}
	return auth, nil
}

// checkAuth finds now that the client could not authenticate.
func (c *Client) checkAuth(as *AuthorizationServer) error {
	auth, err := c.clientAuth(as, nil)
	if err != nil {
		return err
	}
	return checkCertificate(auth, c.httpClient(nil))
}

func (c *Client) registeredAuth(as *AuthorizationServer) (ClientAuth, error) {
	method := c.TokenEndpointAuthMethod
	if method == "" {
		var err error
		if method, err = c.chooseMethod(as); err != nil {
			return nil, err
		}
	}
	auth := c.authFor(method)
	if auth == nil {
		return nil, argumentError("the client authentication method %q is not supported", method)
	}
	switch takesSecret := strings.HasPrefix(method, "client_secret_"); {
	case takesSecret && c.ClientSecret == "":
		return nil, argumentError("the method %s needs a client secret", method)
	case !takesSecret && c.ClientSecret != "":
		return nil, argumentError("a client with the method %s has no client secret", method)
	case method == methodPrivateKeyJWT && c.Key == nil:
		return nil, argumentError("the method %s needs a key", method)
	}
	return auth, nil
}

// authFor returns nil for a method that is not known.
func (c *Client) authFor(method string) ClientAuth {
	switch method {
	case methodNone:
		return None()
	case methodClientSecretBasic:
		return ClientSecretBasic(c.ClientSecret)
	case methodClientSecretPost:
		return ClientSecretPost(c.ClientSecret)
	case methodClientSecretJWT:
		return ClientSecretJWT(c.ClientSecret)
	case methodPrivateKeyJWT:
		return PrivateKeyJWT(c.Key, c.KeyID)
	case methodTLSClientAuth:
		return TLSClientAuth()
	case methodSelfSignedTLSClientAuth:
		return SelfSignedTLSClientAuth()
	}
	return nil
}

// chooseMethod picks the method that fits what the client has: a key, a secret,
// or neither.
func (c *Client) chooseMethod(as *AuthorizationServer) (string, error) {
	switch {
	case c.Key != nil && c.ClientSecret != "":
		return "", argumentError("a client with a key and a secret needs a client authentication method")
	case c.Key != nil:
		return methodPrivateKeyJWT, nil
	case c.ClientSecret != "":
		return c.chooseSecretMethod(as), nil
	}
	return c.chooseBareMethod(as), nil
}

// chooseSecretMethod picks client_secret_basic, as RFC 6749 wants every server
// to support it. It picks client_secret_post where the server offers only that,
// and where it offers both and the credentials have characters that some servers
// decode and others do not; and client_secret_jwt where it offers neither.
func (c *Client) chooseSecretMethod(as *AuthorizationServer) string {
	offered := as.TokenEndpointAuthMethodsSupported
	basic, post := slices.Contains(offered, methodClientSecretBasic), slices.Contains(offered, methodClientSecretPost)
	credentials := c.ClientID + string(c.ClientSecret)
	switch {
	case post && (!basic || encodeCredential(credentials) != credentials):
		return methodClientSecretPost
	case !basic && slices.Contains(offered, methodClientSecretJWT):
		return methodClientSecretJWT
	}
	return methodClientSecretBasic
}
