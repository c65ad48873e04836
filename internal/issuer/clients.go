package issuer

import (
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The values of Client.AuthMethod (OpenID Connect Core, section 9).
const (
	AuthNone          = "none"
	AuthBasic         = "client_secret_basic"
	AuthPost          = "client_secret_post"
	AuthSecretJWT     = "client_secret_jwt"
	AuthPrivateKeyJWT = "private_key_jwt"
)

var authMethodsSupported = [...]string{AuthNone, AuthBasic, AuthPost, AuthSecretJWT, AuthPrivateKeyJWT}

// Client is a client that is registered at the issuer.
type Client struct {
	// ID is the client_id.
	ID string
	// Name is shown on the consent page; default: the ID.
	Name string
	// Secret is the client_secret; a client without one and without Key is public.
	Secret string
	// Key is the public key of a client with AuthPrivateKeyJWT: RSA, P-256 or Ed25519.
	Key crypto.PublicKey
	// AuthMethod is the one way in which the client may authenticate: AuthNone (default without a secret or key),
	// AuthBasic (default with a secret), AuthPost, AuthSecretJWT or AuthPrivateKeyJWT (default with a key).
	AuthMethod string
	// DPoPBound refuses token requests of the client without a DPoP proof (RFC 9449, section 5.2).
	DPoPBound bool
	// Alg signs the client's ID tokens (id_token_signed_response_alg); default: Options.Alg.
	Alg string
	// UserinfoAlg signs the client's userinfo responses (userinfo_signed_response_alg); default: they are not signed.
	UserinfoAlg string
	// RedirectURIs are compared as strings, but for the port of http URIs to 127.0.0.1, [::1] and localhost
	// (RFC 8252, section 7.3); default: the path /callback on each of these.
	RedirectURIs []string
	// PostLogoutRedirectURIs are where a browser may be sent after signing out, compared in the same way; default: none.
	PostLogoutRedirectURIs []string
}

// registerClients checks clients and fills in their defaults.
func registerClients(clients []Client, alg string) (map[string]*Client, error) {
	registered := make(map[string]*Client, len(clients))
	for _, c := range clients {
		if c.ID == "" || registered[c.ID] != nil {
			return nil, fmt.Errorf("client ID %q is empty or there twice", c.ID)
		}
		if err := c.setDefaults(alg); err != nil {
			return nil, fmt.Errorf("client %q: %w", c.ID, err)
		}
		registered[c.ID] = &c
	}
	return registered, nil
}

func (c *Client) setDefaults(alg string) error {
	if c.Name == "" {
		c.Name = c.ID
	}
	if c.AuthMethod == "" {
		c.AuthMethod = AuthNone
		switch {
		case c.Key != nil:
			c.AuthMethod = AuthPrivateKeyJWT
		case c.Secret != "":
			c.AuthMethod = AuthBasic
		}
	}
	if c.Alg == "" {
		c.Alg = alg
	}
	if c.RedirectURIs == nil {
		c.RedirectURIs = []string{
			"http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost/callback",
		}
	}
	if !slices.Contains(authMethodsSupported[:], c.AuthMethod) {
		return fmt.Errorf("unknown authentication method %q", c.AuthMethod)
	}
	if strings.HasPrefix(c.AuthMethod, "client_secret_") != (c.Secret != "") {
		return errors.New("the authentication method does not fit the secret")
	}
	if (c.AuthMethod == AuthPrivateKeyJWT) != (c.Key != nil) {
		return errors.New("the authentication method does not fit the key")
	}
	c.RedirectURIs = slices.Clone(c.RedirectURIs) // the caller may change theirs
	c.PostLogoutRedirectURIs = slices.Clone(c.PostLogoutRedirectURIs)
	for _, uri := range slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs) {
		u, err := url.Parse(uri)
		if err != nil || !u.IsAbs() || strings.Contains(uri, "#") { // RFC 6749, section 3.1.2
			return fmt.Errorf("redirect URI %q is not absolute or has a fragment", uri)
		}
	}
	return nil
}

// registeredURI reports whether uri is one of those registered. It compares text, never parsed forms: what was
// compared is what is then sent to the browser.
func (i *Issuer) registeredURI(registered []string, uri string) bool {
	return slices.ContainsFunc(registered, func(r string) bool {
		return r == uri || !i.opts.ExactRedirectURIs && portless(r) != "" && portless(r) == portless(uri)
	})
}

// portless returns an http URI to a loopback host without its port, "" for any other URI.
func portless(uri string) string {
	for _, host := range [...]string{"http://127.0.0.1", "http://[::1]", "http://localhost"} {
		rest, ok := strings.CutPrefix(uri, host)
		if !ok {
			continue
		}
		if port, ok := strings.CutPrefix(rest, ":"); ok {
			rest = strings.TrimLeft(port, "0123456789")
			if n := len(port) - len(rest); n < 1 || n > 5 {
				return ""
			}
		}
		if rest == "" || rest[0] == '/' || rest[0] == '?' { // else it is a longer host name, or user info
			return host + rest
		}
	}
	return ""
}

// authenticate identifies the client of a request to the token or revocation endpoint (RFC 6749, section 2.3).
func (i *Issuer) authenticate(r *http.Request, form url.Values) (*Client, *oauthError) {
	if form.Has("client_assertion") {
		return i.authenticateAssertion(r, form)
	}
	id, secret, method := form.Get("client_id"), form.Get("client_secret"), AuthNone
	if form.Has("client_secret") {
		method = AuthPost
	}
	if r.Header.Get("Authorization") != "" {
		if method == AuthPost {
			// RFC 6749, section 2.3: no more than one method in a request.
			return nil, invalidRequest("the client authenticates in two ways at once")
		}
		var ok bool
		if id, secret, ok = basicCredentials(r); !ok {
			return nil, invalidClient("the Authorization header is not usable", true)
		}
		if form.Has("client_id") && form.Get("client_id") != id {
			return nil, invalidRequest("client_id differs from the one in the Authorization header")
		}
		method = AuthBasic
	}
	client := i.registry.find(id)
	switch {
	case client == nil:
		return nil, invalidClient("unknown client", method == AuthBasic)
	case client.AuthMethod != method:
		return nil, invalidClient("the client is not registered for this authentication method", method == AuthBasic)
	case !sameSecret(client.Secret, secret):
		return nil, invalidClient("wrong client secret", method == AuthBasic)
	}
	return client, nil
}

// basicCredentials returns the client's ID and secret. Both are form-encoded before they are put into the header
// (RFC 6749, section 2.3.1 and appendix B).
func basicCredentials(r *http.Request) (id, secret string, ok bool) {
	user, password, ok := r.BasicAuth()
	if !ok || len(r.Header.Values("Authorization")) > 1 {
		return "", "", false
	}
	id, err := url.QueryUnescape(user)
	if err != nil {
		return "", "", false
	}
	secret, err = url.QueryUnescape(password)
	return id, secret, err == nil
}

// sameSecret compares in a time that tells nothing of either, not even the length.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
