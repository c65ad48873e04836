package grant

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"time"
)

// A Registration is what a server registered (RFC 7591, section 3.2.1), after all
// checks. Give it to a Client with Apply.
type Registration struct {
	// Issuer is that of the server which registered the client. A client_id says
	// nothing to another one, and the secrets are not for it: requests to it are
	// refused with ErrArgument. Empty where that is not known.
	Issuer string
	// ClientID is client_id, ClientSecret client_secret; the secret is empty for
	// a public client.
	ClientID     string
	ClientSecret Secret
	// ClientSecretExpiry is when the secret ends. It is the zero time when it does
	// not, or when there is none.
	ClientSecretExpiry time.Time
	// RegistrationAccessToken and RegistrationClientURI are for reading and
	// deleting the registration (RFC 7592, section 3); empty when the server does
	// not offer that.
	RegistrationAccessToken Secret
	RegistrationClientURI   string
	// Metadata is what was registered. It may differ from what was asked for, and
	// what the server says counts.
	Metadata ClientMetadata
}

// Format prints a placeholder for every verb.
func (Registration) Format(f fmt.State, _ rune) { io.WriteString(f, "registration "+redacted) }

// LogValue returns a placeholder.
func (Registration) LogValue() slog.Value { return slog.StringValue("registration " + redacted) }

// Apply makes a client the one that was registered (RFC 7591, section 3.2.1):
// it sets ClientID, ClientSecret, TokenEndpointAuthMethod, Registration, and
// the algorithms and demands that the server registered. Nobody else may use
// the client meanwhile.
func (r *Registration) Apply(c *Client) {
	m := &r.Metadata
	c.Registration, c.ClientID, c.ClientSecret = r, r.ClientID, r.ClientSecret
	if c.Auth == nil {
		c.TokenEndpointAuthMethod = m.TokenEndpointAuthMethod
	}
	c.TokenEndpointAuthSigningAlg = cmp.Or(m.TokenEndpointAuthSigningAlg, c.TokenEndpointAuthSigningAlg)
	c.IDTokenSignedResponseAlg = cmp.Or(m.IDTokenSignedResponseAlg, c.IDTokenSignedResponseAlg)
	if !c.needsSecret() {
		c.ClientSecret = "" // some servers give one all the same
	}
	c.UserinfoSignedResponseAlg = cmp.Or(m.UserinfoSignedResponseAlg, c.UserinfoSignedResponseAlg)
	c.AuthorizationSignedResponseAlg = cmp.Or(m.AuthorizationSignedResponseAlg, c.AuthorizationSignedResponseAlg)
	c.RequestObjectSigningAlg = cmp.Or(m.RequestObjectSigningAlg, c.RequestObjectSigningAlg)
	c.RequireAuthTime = c.RequireAuthTime || m.RequireAuthTime
	if c.DefaultMaxAge == nil || m.DefaultMaxAge != nil && *m.DefaultMaxAge < *c.DefaultMaxAge {
		c.DefaultMaxAge = m.DefaultMaxAge // the server cannot relax what the client demands
	}
	c.DPoPBoundAccessTokens = c.DPoPBoundAccessTokens || m.DPoPBoundAccessTokens
	c.RequirePushedAuthorizationRequests = c.RequirePushedAuthorizationRequests || m.RequirePushedAuthorizationRequests
}

// assertAt refuses another server than the one that registered the client, if
// that is known: client identifiers are "unique at the authorization server" (RFC
// 7591, section 3.2.1), and secrets are between the two.
func (r *Registration) assertAt(as *AuthorizationServer) error {
	if r == nil || r.Issuer == "" || r.Issuer == as.Issuer {
		return nil
	}
	return argumentError("the client is registered at %s, and not at %s", r.Issuer, as.Issuer)
}

// needsSecret reports whether the client authenticates with its secret, or verifies
// ID tokens with it. Without a method that is so: RFC 7591, section 2.
func (c *Client) needsSecret() bool {
	switch c.TokenEndpointAuthMethod {
	case "", methodClientSecretBasic, methodClientSecretPost, methodClientSecretJWT:
		return true
	}
	return c.IDTokenSignedResponseAlg == "HS256"
}

// registrationIssuer is a member that servers do not send.
const registrationIssuer = "issuer"

// MarshalBinary encodes the registration for a store, with every secret in clear:
// one line of JSON in ASCII, in the form of RFC 7591, section 3.2.1, and the issuer
// beside it.
func (r *Registration) MarshalBinary() ([]byte, error) {
	doc := encodeMembers(r.Metadata.members())
	doc["client_id"] = r.ClientID
	if r.Issuer != "" {
		doc[registrationIssuer] = r.Issuer
	}
	if r.ClientSecret != "" {
		doc["client_secret"], doc["client_secret_expires_at"] = string(r.ClientSecret), 0
		if !r.ClientSecretExpiry.IsZero() {
			doc["client_secret_expires_at"] = r.ClientSecretExpiry.Unix()
		}
	}
	if r.RegistrationAccessToken != "" {
		doc["registration_access_token"] = string(r.RegistrationAccessToken)
		doc["registration_client_uri"] = r.RegistrationClientURI
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return asciiJSON(data), nil
}

// UnmarshalBinary decodes what MarshalBinary encoded.
func (r *Registration) UnmarshalBinary(data []byte) error {
	o, err := parseObject(data)
	if err == nil {
		var decoded *Registration
		if decoded, err = newRegistration(o); err == nil {
			*r = *decoded
			r.Issuer, _ = o.str(registrationIssuer)
			return nil
		}
	}
	return fmt.Errorf("decode a stored registration: %w", err)
}

// RegistrationRequestOptions are the options of RegistrationRequest (RFC 7591,
// section 3.1). The zero value serves.
type RegistrationRequestOptions struct {
	// InitialAccessToken allows the registration where the server does not leave
	// it to everybody (RFC 7591, section 3).
	InitialAccessToken Secret
	// Header is added to the request. It must not have Authorization.
	Header http.Header
	// HTTPClient makes the request; nil means one with this package's limits.
	HTTPClient *http.Client
	// Logger is told of the request, at the level Debug; nil for silence.
	Logger *slog.Logger
	// AllowInsecureRequests allows http, to loopback hosts only.
	AllowInsecureRequests bool
}

// RegistrationRequest asks a server to register a client: RFC 7591, section 3.1.
// The metadata is sent as it is. The response has any status; hand it to
// ProcessRegistrationResponse.
func RegistrationRequest(ctx context.Context, as *AuthorizationServer, metadata *ClientMetadata,
	opts *RegistrationRequestOptions) (*http.Response, error) {
	if err := as.assert(); err != nil {
		return nil, err
	}
	if metadata == nil {
		return nil, argumentError("the client metadata is nil")
	}
	if opts == nil {
		opts = &RegistrationRequestOptions{}
	}
	u, err := as.endpointURL("registration_endpoint", false, opts.AllowInsecureRequests)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(metadata)
	if err != nil {
		return nil, argumentError("the client metadata cannot be encoded: %v", err)
	}
	req, err := newRequest(ctx, http.MethodPost, u, bytes.NewReader(body), "application/json", []http.Header{opts.Header})
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return sendWithToken(req, opts.InitialAccessToken, opts.HTTPClient, opts.Logger)
}

// sendWithToken sends a request that a token allows, if there is one.
func sendWithToken(req *http.Request, token Secret, client *http.Client, logger *slog.Logger) (*http.Response, error) {
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+string(token)) // RFC 6750, section 2.1
	}
	if client == nil {
		client = newHTTPClient()
		defer client.CloseIdleConnections()
	}
	return send(client, logger, req)
}

// ProcessRegistrationResponse checks the answer to RegistrationRequest: RFC 7591,
// section 3.2. A refusal of the server is an *Error, one of ours a *CheckError.
func ProcessRegistrationResponse(as *AuthorizationServer, resp *http.Response) (*Registration, error) {
	return processRegistration(as, resp, http.StatusCreated)
}

func processRegistration(as *AuthorizationServer, resp *http.Response, status int) (*Registration, error) {
	if err := as.assert(); err != nil {
		return nil, err
	}
	if resp == nil {
		return nil, argumentError("the response is nil")
	}
	registration, err := readRegistration(resp, status)
	if err != nil {
		return nil, scrub(err, sentSecrets(resp.Request)...)
	}
	registration.Issuer = as.Issuer
	return registration, nil
}

func readRegistration(resp *http.Response, status int) (*Registration, error) {
	if err := checkStatus(resp, status, endpointRegistration, checkRegistrationStatus); err != nil {
		return nil, err
	}
	body, err := readObject(resp, checkRegistrationBody)
	if err != nil {
		return nil, err
	}
	registration, err := newRegistration(body)
	if err != nil {
		return nil, scrub(err, receivedSecrets(body)...)
	}
	return registration, nil
}

// newRegistration reads the members of a client information response: RFC 7591,
// section 3.2.1, and RFC 7592, section 3.
func newRegistration(body object) (*Registration, error) {
	clientID, err := required(body, "client_id", checkRegistrationClientID)
	if err != nil {
		return nil, err
	}
	r := &Registration{ClientID: clientID}
	body.decode(r.Metadata.members())
	if body.has("client_secret") {
		if err := r.readSecret(body); err != nil {
			return nil, err
		}
	}
	token, _ := body.str("registration_access_token")
	uri, _ := body.str("registration_client_uri")
	if token != "" && uri != "" { // neither is of use without the other
		r.RegistrationAccessToken, r.RegistrationClientURI = Secret(token), uri
	}
	return r, nil
}

// readSecret: client_secret_expires_at is "REQUIRED if client_secret is issued",
// and 0 means never (RFC 7591, section 3.2.1).
func (r *Registration) readSecret(body object) error {
	secret, err := required(body, "client_secret", checkRegistrationClientSecret)
	if err != nil {
		return err
	}
	expires, ok := body.number("client_secret_expires_at")
	if !ok || expires < 0 {
		return &CheckError{Check: checkRegistrationExpiresAt, Code: codeInvalidResponse,
			Reason: "the answer has a client_secret, and no client_secret_expires_at that is a point in time"}
	}
	r.ClientSecret = Secret(secret)
	if expires > 0 {
		r.ClientSecretExpiry = time.Unix(int64(math.Min(expires, 1<<40)), 0).UTC()
	}
	return nil
}

// Register registers a client at the server: RFC 7591, section 3. Apply the
// result to make the client that one. metadata may be nil; what it leaves unset
// becomes that of a native application: application_type native, no client
// secret where the server allows that, the authorization code grant with
// refresh tokens.
//
// opts may be nil; what it leaves unset is taken from the client. A server without
// a registration endpoint leads to a *CheckError with the code
// OAUTH_MISSING_SERVER_METADATA.
func (c *Client) Register(ctx context.Context, metadata *ClientMetadata, opts *RegistrationRequestOptions) (*Registration, error) {
	registration, err := c.register(ctx, metadata, opts)
	c.logRefusal(ctx, "registration", err)
	return registration, err
}

func (c *Client) register(ctx context.Context, metadata *ClientMetadata, opts *RegistrationRequestOptions) (*Registration, error) {
	as, err := c.Discover(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.assertFAPI(); err != nil {
		return nil, err
	}
	full := RegistrationRequestOptions{}
	if opts != nil {
		full = *opts
	}
	full.HTTPClient, full.Logger = c.httpClient(full.HTTPClient), cmp.Or(full.Logger, c.Logger)
	full.AllowInsecureRequests = full.AllowInsecureRequests || c.AllowInsecureRequests
	if full.Header == nil {
		full.Header = c.Header
	}
	resp, err := RegistrationRequest(ctx, as, metadata.withDefaults(as, c), &full)
	if err != nil {
		c.doubt(ctx, as, err)
		return nil, err
	}
	status := http.StatusCreated
	if resp.StatusCode == http.StatusOK {
		status = http.StatusOK // as several servers send
	}
	return processRegistration(as, resp, status)
}

// ReadRegistration asks the server what it has registered: RFC 7592, section
// 2.1. A client that the server has forgotten leads to an *Error or a *CheckError
// with a status from 401 to 404.
func (c *Client) ReadRegistration(ctx context.Context) (*Registration, error) {
	registration, err := c.readRegistration(ctx)
	c.logRefusal(ctx, "registration", err)
	return registration, err
}

func (c *Client) readRegistration(ctx context.Context) (*Registration, error) {
	resp, as, err := c.registrationRequest(ctx, http.MethodGet)
	if err != nil {
		return nil, err
	}
	registration, err := processRegistration(as, resp, http.StatusOK)
	if err != nil {
		return nil, err
	}
	if registration.ClientID != c.Registration.ClientID {
		return nil, &CheckError{Check: checkRegistrationClientID, Code: codeAttributeComparison,
			Reason: "the answer is about another client", Expected: c.Registration.ClientID, Actual: registration.ClientID}
	}
	if registration.RegistrationAccessToken == "" { // it stays then
		registration.RegistrationAccessToken = c.Registration.RegistrationAccessToken
		registration.RegistrationClientURI = c.Registration.RegistrationClientURI
	}
	return registration, nil
}

// DeleteRegistration has the server forget the client: RFC 7592, section 2.3.
func (c *Client) DeleteRegistration(ctx context.Context) error {
	resp, _, err := c.registrationRequest(ctx, http.MethodDelete)
	if err != nil {
		return err
	}
	err = scrub(checkStatus(resp, http.StatusNoContent, endpointRegistration, checkRegistrationStatus), sentSecrets(resp.Request)...)
	c.logRefusal(ctx, "registration", err)
	return err
}

// registrationRequest sends a request to the client configuration endpoint.
func (c *Client) registrationRequest(ctx context.Context, method string) (*http.Response, *AuthorizationServer, error) {
	as, err := c.Discover(ctx)
	if err != nil {
		return nil, nil, err
	}
	if c.Registration == nil || c.Registration.RegistrationAccessToken == "" {
		return nil, nil, argumentError("the client has no registration that can be read")
	}
	if err := c.Registration.assertAt(as); err != nil {
		return nil, nil, err
	}
	u, err := c.registrationURL(as)
	if err != nil {
		return nil, nil, err
	}
	req, err := newRequest(ctx, method, u, nil, "application/json", []http.Header{c.Header})
	if err != nil {
		return nil, nil, err
	}
	resp, err := sendWithToken(req, c.Registration.RegistrationAccessToken, c.httpClient(nil), c.Logger)
	return resp, as, err
}

func (c *Client) registrationURL(as *AuthorizationServer) (*url.URL, error) {
	u, err := parseEndpoint(c.Registration.RegistrationClientURI)
	if err != nil {
		return nil, &CheckError{Check: checkEndpoint, Code: codeInvalidServerMetadata,
			Reason: "registration_client_uri is not an absolute URL without credentials"}
	}
	return u, checkScheme(u, as.insecure(c.AllowInsecureRequests))
}
