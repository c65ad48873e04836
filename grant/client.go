// Package grant is the protocol: it signs a person in to an OAuth 2.0 or OpenID
// Connect provider with the authorization code grant and PKCE, as a native
// application should (RFC 8252, RFC 9700). It listens on nothing, opens nothing
// and stores nothing.
//
// # What to call
//
// Most programs need three calls, and package loopback makes two of them:
//
//	client := &grant.Client{Issuer: "https://issuer.example", ClientID: "my-cli", Scopes: []string{"openid"}}
//	flow, err := client.Authorize(ctx, redirectURI) // send the person to flow.URL
//	token, err := flow.Exchange(ctx, params)        // from the raw redirect to a verified token
//
// Exchange leaves nothing to forget: state, iss, PKCE, nonce, and the ID token
// with its signature are checked, always, in the order that the
// specifications demand. There is no option to skip one of them.
//
// Client.Register gets a client ID from a server that gives them out (RFC 7591).
// Where there is no browser on this machine, Client.AuthorizeDevice signs in with
// one on another device (RFC 8628). Client.Refresh gets the next access token
// without the person, and Client.Userinfo asks who the person is. Client.Revoke
// ends a token, and Client.EndSessionURL signs the person out at the provider.
// Token.Authorize puts a token into a request to any API.
//
// A program that does not live until the redirect comes, such as an agent or one
// that the system starts for a link of its own scheme, keeps what Flow.MarshalBinary
// returns. Another process goes on from there:
//
//	flow, err := client.Resume(ctx, pending)
//	token, err := flow.Complete(ctx, redirectURL)
//
// An API may want more of a login than the token that it got comes of: ParseStepUp
// reads its challenge, and WithStepUp has the next login ask for that (RFC 9470).
//
// Client.MetadataCache keeps the metadata of the issuer for later processes, so that
// the browser need not wait for them.
//
// With Client.DPoPBoundAccessTokens, tokens are bound to a private key, which is
// part of what is stored of a Token. A client with a key or a certificate of its own
// needs no secret: see TokenEndpointAuthMethod.
//
// Below these stand the steps by themselves, for programs that split the work
// or want the raw responses: Discover, ValidateAuthResponse and
// ValidateJWTAuthResponse, AuthorizationCodeGrantRequest,
// ProcessAuthorizationCodeResponse, and the same pair for registration, pushed
// authorization requests, the device grant, refresh, userinfo and revocation.
// IssueRequestObject signs an authorization request, ParseChallenges reads what any
// API says when it refuses a token, and DiscoverProtectedResource finds the issuer
// of an API (RFC 9728).
//
// # What is refused
//
// Endpoints that are not https (http only on a loopback host, and only with
// AllowInsecureRequests). Metadata of another issuer. Servers that list PKCE
// methods without S256. Redirects without the right state and iss. ID tokens
// that are unsigned, signed with an algorithm that was not agreed on, or with a
// shared secret where the client does not say so. Redirects of endpoints, answers
// over 1 MiB, and answers that take longer than 30 seconds.
//
// What only differs in form is accepted: token types in any case, a missing or
// quoted expires_in, a missing scope, a wrong content type on good JSON. The
// methods of Client and Flow also accept a missing token_type, an error with the
// status of success for the error that it is, a token response that is a form and
// says so, and commas between scopes.
//
// # Errors
//
// Three kinds, told apart with errors.As and errors.Is:
//
//	*Error       the server refused: code, description, endpoint, status
//	*CheckError  we refused what the server sent: the rule, expected and actual
//	ErrArgument  the caller made a mistake
//
// Two more say what came of no request: ErrNotOurs, that a redirect is noise, and
// ErrNotResumable, that a pending login is of no use.
//
// Errors of the network and of the context pass through. No error holds a code,
// state, verifier or token.
//
// # Log
//
// Nothing is printed. A Client with a Logger tells it
//
//	Debug  every request: method, URL without its query, status or error, and how long it took;
//	       the request that a person is sent to the server with; what package loopback and package
//	       store do in between
//	Info   every token that was received, and how: scopes, expiry, what it is bound to; every login
//	       that is stored, and that is deleted
//	Warn   every refusal, by the server or by one of our checks, and a browser that cannot be opened
//
// and nothing at the level Error, as every error is returned. No line holds a code,
// state, nonce, verifier, token, key or proof, or a claim about the person: bodies and
// headers are not logged, and values of the types that hold secrets redact themselves
// (slog.LogValuer), in lines of the program's own too.
package grant

import (
	"context"
	"crypto"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

const defaultClockTolerance = 30 * time.Second

// A Client is an OAuth client: its metadata (RFC 7591, section 2), what it asks
// for, and how it reaches the server. The literal is the constructor:
//
//	client := &grant.Client{Issuer: "https://issuer.example", ClientID: "my-cli", Scopes: []string{"openid"}}
//
// A Client is safe for concurrent use once its fields are set. Do not copy it
// after its first use.
type Client struct {
	// Issuer is the issuer identifier. Its metadata is fetched on first use,
	// unless Server is set.
	Issuer string
	// Server is the server's metadata for one that publishes none; nothing is
	// discovered then.
	Server *AuthorizationServer

	// ClientID is client_id. Required, but for Register.
	ClientID string
	// ClientSecret is client_secret, empty for a public client.
	ClientSecret Secret
	// Key is the private key that signs for a client with private_key_jwt, and
	// request objects. KeyID is its kid where the server has to be told. The key may live in a
	// device. RSA keys have 2048 bits or more.
	Key   crypto.Signer `json:"-" xml:"-"`
	KeyID string
	// TokenEndpointAuthMethod is how the client was registered to
	// authenticate: none, client_secret_basic, client_secret_post,
	// client_secret_jwt, private_key_jwt, tls_client_auth or
	// self_signed_tls_client_auth. Empty means private_key_jwt with a Key, and
	// with a ClientSecret one that the server offers; with neither it means
	// none, or that of the HTTP client's certificate where the server offers one.
	TokenEndpointAuthMethod string
	// TokenEndpointAuthSigningAlg pins the algorithm of client_secret_jwt and
	// private_key_jwt. Empty: one of those that the server lists and the key can
	// do.
	TokenEndpointAuthSigningAlg string
	// Registration is what made the client known to the server, where Register
	// did; see Registration.Apply.
	Registration *Registration
	// Auth replaces ClientSecret, Key and TokenEndpointAuthMethod; nil for
	// those.
	Auth ClientAuth

	// Scopes are the scopes to ask for. With "openid" among them an ID token
	// is demanded and verified.
	Scopes []string
	// Prompt, LoginHint, ACRValues and UILocales are the parameters of OpenID
	// Connect Core 1.0, section 3.1.2.1. Empty ones are not sent.
	Prompt, LoginHint, ACRValues, UILocales string
	// Claims asks for single claims: a JSON object (OpenID Connect Core 1.0,
	// section 5.5). nil: not sent.
	Claims json.RawMessage
	// MaxAge is max_age in seconds, checked against auth_time. nil: not sent.
	MaxAge *int
	// Audience is the parameter that some providers know; empty: not sent.
	Audience string
	// Resources are resource indicators, sent as they are on every request
	// (RFC 8707, section 2).
	Resources []string
	// AuthorizationDetails are the permissions to ask for: a JSON array of
	// objects with a type (RFC 9396, section 2). nil: not sent. What was granted
	// is in Token.
	AuthorizationDetails json.RawMessage
	// AuthorizationParameters and TokenParameters are sent too, to the
	// authorization and the token endpoint. They cannot override the
	// parameters of the protocol, nor those that have a field here and are
	// set there.
	AuthorizationParameters, TokenParameters url.Values

	// DPoPBoundAccessTokens has every login make a key of its own and bind the
	// tokens to it (RFC 9449), so that they are of no use to whoever steals them. The
	// key is in Token.DPoP. A server may not know DPoP and give bearer tokens;
	// Token.TokenType tells.
	DPoPBoundAccessTokens bool
	// RequirePushedAuthorizationRequests sends the authorization request to the
	// server before the person is sent there (RFC 9126, section 6). It is done
	// too where the server demands it.
	RequirePushedAuthorizationRequests bool

	// RequireSignedRequestObject sends the authorization request as an object that
	// Key has signed (RFC 9101, section 10.5). It is done too where the server
	// demands it.
	RequireSignedRequestObject bool
	// RequestObjectSigningAlg pins the algorithm of request objects. Empty: one of
	// those that the server lists and the key can do.
	RequestObjectSigningAlg string
	// ResponseMode is how the answer of the authorization endpoint comes back:
	// query, form_post, or signed: jwt, query.jwt, form_post.jwt (JARM, section
	// 2.3). Empty means query. An answer that is not signed is refused where a
	// signed one was asked for, and the other way round.
	ResponseMode string
	// AuthorizationSignedResponseAlg pins the algorithm of signed authorization
	// responses. Empty: one of those that the server lists, or else RS256.
	AuthorizationSignedResponseAlg string

	// FAPI2 demands what the FAPI 2.0 Security Profile demands of a client and its
	// server (sections 5.3.3 and 5.4): a pushed request, PKCE, iss, private_key_jwt
	// or a certificate, tokens that are bound to DPoP or to the certificate, PS256,
	// ES256 or EdDSA for every signature, and https. What is missing is refused
	// before the person is sent to the server, and what comes without it too.
	FAPI2 bool

	// IDTokenSignedResponseAlg pins the algorithm of ID tokens. Empty: one of
	// those that the server lists, or else RS256. HS256 is accepted only when it is
	// named here, and needs a ClientSecret of 32 bytes or more that nobody else
	// has, so not one that every copy of a program holds.
	IDTokenSignedResponseAlg string
	// UserinfoSignedResponseAlg is the algorithm of signed userinfo responses. It
	// makes the signature mandatory. Empty: a signed response is taken with one of
	// those that the server lists, and a plain one too.
	UserinfoSignedResponseAlg string
	// RequireAuthTime demands auth_time in every ID token.
	RequireAuthTime bool
	// DefaultMaxAge is max_age in seconds where a request has none of its own;
	// nil for no limit.
	DefaultMaxAge *int
	// ClockSkew is added to this machine's clock. It may be negative.
	ClockSkew time.Duration
	// ClockTolerance is how far the clocks may be apart. 0 means 30 seconds, a
	// negative value none.
	ClockTolerance time.Duration
	// UseMTLSEndpointAliases uses the endpoints for clients with a
	// certificate where the server has them (RFC 8705, section 5). Set it for a
	// client that authenticates otherwise and has its tokens bound to its
	// certificate; tls_client_auth and self_signed_tls_client_auth imply it.
	UseMTLSEndpointAliases bool

	// HTTPClient makes every request; nil means one of the Client's own.
	// Redirects and cookies of it are not used, and without a timeout it gets
	// one of 30 seconds.
	//
	// A Transport of yours that has an *http.Transport send, such as one that logs,
	// should have the methods Unwrap() http.RoundTripper, which returns it, and
	// Wrap(http.RoundTripper) http.RoundTripper, which does around another one what is
	// done around it. Then KeepWarm and the certificates of RFC 8705 work as without
	// it, and it sees every request.
	HTTPClient *http.Client
	// Header is added to every request. It must not have Authorization.
	Header http.Header
	// Logger is told what happens; see the package comment. Package loopback and
	// package store use it too. nil: silence.
	Logger *slog.Logger `json:"-" xml:"-"`
	// AllowInsecureRequests allows http, to loopback hosts only and not for an
	// https issuer: for tests and for development on one machine. The methods of
	// Client and Flow heed it; the single steps take it from their options.
	AllowInsecureRequests bool

	// MetadataCache keeps the metadata of the Issuer for later processes, which then
	// ask for them beside the login, when the browser is on its way, and not before.
	// They are used for a day at most, and for less where the server says so (RFC
	// 9111). nil: every process asks first.
	MetadataCache MetadataCache

	discovering turn // guards discovered and known
	discovered  *AuthorizationServer
	known       *metadataEntry // where discovered is from, nil for the issuer itself
	mu          sync.Mutex     // guards own
	own         *http.Client
	completed   completedLogins
}

// Discover returns the metadata of the client's server (RFC 8414, section 2):
// Server, or that of Issuer, which is fetched when it is first needed, unless the
// MetadataCache has it. See the function Discover.
func (c *Client) Discover(ctx context.Context) (*AuthorizationServer, error) {
	as, _, err := c.discover(ctx)
	return as, err
}

// discover returns also the entry of the cache that the metadata are from, nil
// where the issuer has given them to this process.
func (c *Client) discover(ctx context.Context) (*AuthorizationServer, *metadataEntry, error) {
	if c == nil {
		return nil, nil, argumentError("the client is nil")
	}
	if c.Server != nil {
		return c.Server, nil, c.Server.assert()
	}
	if err := c.discovering.take(ctx); err != nil {
		return nil, nil, fmt.Errorf("discover %s: %w", c.Issuer, err)
	}
	defer c.discovering.pass()
	if c.discovered != nil && (c.known == nil || c.known.fresh()) { // a process may run for longer than a day
		return c.discovered, c.known, nil
	}
	known, as := c.recall(ctx)
	if !known.fresh() {
		var err error
		if as, err = c.ask(ctx, known); err != nil {
			return nil, nil, err
		}
		known = nil
	}
	c.discovered, c.known = as, known
	return as, known, nil
}

func (c *Client) insecureDiscovery() bool { return c.AllowInsecureRequests && !c.FAPI2 }

// Format prints the ID of the client and its issuer for every verb.
func (c *Client) Format(f fmt.State, _ rune) {
	if c == nil {
		io.WriteString(f, "<nil>")
		return
	}
	fmt.Fprintf(f, "client %q of %q", c.ClientID, c.issuer())
}

func (c *Client) issuer() string {
	if c.Server != nil {
		return c.Server.Issuer
	}
	return c.Issuer
}

// CloseIdleConnections closes the connections that nothing uses any more. The
// client stays usable.
func (c *Client) CloseIdleConnections() {
	client := c.httpClient(nil)
	client.CloseIdleConnections()
	if base, _ := unwrap(client); base != nil {
		base.CloseIdleConnections()
	}
}

func (c *Client) httpClient(override *http.Client) *http.Client {
	if override != nil {
		return override
	}
	if c.HTTPClient != nil {
		return c.HTTPClient
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own == nil {
		c.own = newHTTPClient()
	}
	return c.own
}

func (c *Client) requestOptions() *TokenEndpointRequestOptions {
	return &TokenEndpointRequestOptions{AllowInsecureRequests: c.AllowInsecureRequests}
}

// tokenOptions adds what every token request carries.
func (c *Client) tokenOptions() *TokenEndpointRequestOptions {
	opts := c.requestOptions()
	opts.AdditionalParameters = maps.Clone(c.TokenParameters)
	if len(c.Resources) > 0 {
		if opts.AdditionalParameters == nil {
			opts.AdditionalParameters = url.Values{}
		}
		opts.AdditionalParameters["resource"] = slices.Clone(c.Resources) // RFC 8707, section 2.2
	}
	return opts
}

func (c *Client) assert() error {
	if c == nil {
		return argumentError("the client is nil")
	}
	if c.ClientID == "" {
		return argumentError("the client has no client_id")
	}
	if c.DefaultMaxAge != nil && *c.DefaultMaxAge < 0 {
		return argumentError("the default max_age is negative")
	}
	return c.assertFAPI()
}

func assertBoth(as *AuthorizationServer, client *Client) error {
	if err := as.assert(); err != nil {
		return err
	}
	if err := client.assert(); err != nil {
		return err
	}
	return client.Registration.assertAt(as)
}
