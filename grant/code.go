package grant

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

// TokenEndpointRequestOptions are the options of the requests to the token
// endpoint (RFC 6749, section 3.2) and those that are authenticated like them.
// The zero value serves.
type TokenEndpointRequestOptions struct {
	// AdditionalParameters are sent too. They cannot override the parameters
	// of the grant, and client credentials among them are dropped.
	AdditionalParameters url.Values
	// Header is added to the request; it wins over the client's. It must not
	// have Authorization.
	Header http.Header
	// ClientAuth replaces the client's own way to authenticate.
	ClientAuth ClientAuth
	// DPoP is the key to bind the tokens to, nil for none: a proof of it is sent
	// to the token and the pushed authorization request endpoint (RFC 9449,
	// sections 5 and 10.1). A nonce in the response is remembered for the next
	// request, whatever the status; the request is not repeated.
	DPoP *DPoP
	// HTTPClient makes the request; nil means the client's.
	HTTPClient *http.Client
	// AllowInsecureRequests allows http, to loopback hosts only.
	AllowInsecureRequests bool
}

// ProcessAuthorizationCodeOptions say what a token response (OpenID Connect Core
// 1.0, section 3.1.3.3) has to hold beyond what is always demanded. The zero value
// expects neither nonce nor ID token.
type ProcessAuthorizationCodeOptions struct {
	// ExpectedNonce is the nonce of the authorization request. It makes the ID
	// token mandatory. Empty means that none was sent, and then an ID token
	// with a nonce is refused.
	ExpectedNonce string
	// MaxAge is max_age of the authorization request, in seconds; nil means
	// the client's DefaultMaxAge. It makes the ID token and its auth_time
	// mandatory.
	MaxAge *int
	// RequireIDToken makes the ID token mandatory.
	RequireIDToken bool
	// DPoP is that of the request; the token may be bound to its key, and keeps
	// it. nil for none, and then a token of the type "dpop" is refused.
	DPoP *DPoP
	// RecognizedTokenTypes are token types to accept beside bearer, in lower
	// case.
	RecognizedTokenTypes []string
	// HTTPClient fetches the keys; nil means the client's.
	HTTPClient *http.Client
	// AllowInsecureRequests allows http, to loopback hosts only.
	AllowInsecureRequests bool
}

// AuthorizationCodeGrantRequest sends an authorization code to the token
// endpoint: RFC 6749, section 4.1.3, OpenID Connect Core 1.0, section 3.1.3.1,
// and RFC 7636, section 4.5.
//
// params are what ValidateAuthResponse returned for the same server and
// client. redirectURI is the redirect_uri of the authorization request, byte
// for byte. codeVerifier is the PKCE code_verifier.
//
// The response has any status; its body is read already and at most 1 MiB
// large. Hand it to ProcessAuthorizationCodeResponse. One code makes one
// request: a failed one is not repeated here. Only a refusal with use_dpop_nonce
// leaves the code good for one more (RFC 9449, section 8).
func AuthorizationCodeGrantRequest(ctx context.Context, as *AuthorizationServer, client *Client,
	params CallbackParameters, redirectURI, codeVerifier string, opts *TokenEndpointRequestOptions) (*http.Response, error) {
	if err := assertBoth(as, client); err != nil {
		return nil, err
	}
	if err := params.assert(as, client); err != nil {
		return nil, err
	}
	if redirectURI == "" {
		return nil, argumentError("the redirect_uri is empty")
	}
	code, err := params.code()
	if err != nil {
		return nil, err
	}
	if codeVerifier == "" {
		return nil, argumentError("the code_verifier is empty")
	}
	return tokenRequest(ctx, as, client, url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code},
		"redirect_uri":  {redirectURI},
		"code_verifier": {codeVerifier},
	}, opts)
}

// tokenRequest posts a grant to the token endpoint.
func tokenRequest(ctx context.Context, as *AuthorizationServer, client *Client, grant url.Values, opts *TokenEndpointRequestOptions) (*http.Response, error) {
	if opts == nil {
		opts = &TokenEndpointRequestOptions{}
	}
	return post(ctx, as, client, "token_endpoint", "application/json", grant, opts)
}

// post sends an authenticated form. What the library sets wins over what the
// caller added.
func post(ctx context.Context, as *AuthorizationServer, client *Client, endpoint, accept string, own url.Values, opts *TokenEndpointRequestOptions) (*http.Response, error) {
	auth, authErr := client.clientAuth(as, opts.ClientAuth)
	aliases := client.UseMTLSEndpointAliases || usesCertificate(auth)
	u, err := as.endpointURL(endpoint, aliases, opts.AllowInsecureRequests && !client.FAPI2)
	if err = cmp.Or(err, authErr); err != nil {
		return nil, err
	}
	httpClient := client.httpClient(opts.HTTPClient)
	if err := checkCertificate(auth, httpClient); err != nil {
		return nil, err
	}
	credentials := http.Header{}
	proves := opts.DPoP != nil && takesProof(endpoint)
	if proves {
		if err := client.checkFAPIKey(opts.DPoP); err != nil {
			return nil, err
		}
		proof, err := opts.DPoP.proof(http.MethodPost, u, "", client.now())
		if err != nil {
			return nil, err
		}
		credentials.Set("DPoP", proof)
	}
	form := mergeForm(own, opts.AdditionalParameters)
	if err := auth.authenticate(&authentication{as, client, form, credentials}); err != nil {
		return nil, err
	}
	req, err := newPost(ctx, u, form, accept, client.Header, opts.Header)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, credentials)
	resp, err := send(httpClient, client.Logger, req)
	if proves && err == nil {
		opts.DPoP.learn(u, resp.Header)
	}
	return resp, err
}

// mergeForm adds parameters to a request's own, which win.
func mergeForm(own, additional url.Values) url.Values {
	form := url.Values{}
	for name, values := range additional {
		if !isCredential(name) {
			form[name] = slices.Clone(values)
		}
	}
	maps.Copy(form, own)
	return form
}

// takesProof: RFC 9449, sections 5 and 10.1.
func takesProof(endpoint string) bool {
	return endpoint == "token_endpoint" || endpoint == "pushed_authorization_request_endpoint"
}

func isCredential(name string) bool {
	switch name {
	case "client_id", "client_secret", "client_assertion", "client_assertion_type":
		return true
	}
	return false
}

// ProcessAuthorizationCodeResponse checks the answer to
// AuthorizationCodeGrantRequest: RFC 6749, section 5, and OpenID Connect Core
// 1.0, sections 3.1.3.3 to 3.1.3.8. An ID token is verified whenever one came,
// its signature with the server's keys, which are fetched if need be.
//
// A refusal of the server is an *Error, one of ours a *CheckError.
func ProcessAuthorizationCodeResponse(ctx context.Context, as *AuthorizationServer, client *Client,
	resp *http.Response, opts *ProcessAuthorizationCodeOptions) (*Token, error) {
	if opts == nil {
		opts = &ProcessAuthorizationCodeOptions{}
	}
	return processCodeResponse(ctx, as, client, resp, opts, false)
}

func processCodeResponse(ctx context.Context, as *AuthorizationServer, client *Client, resp *http.Response,
	opts *ProcessAuthorizationCodeOptions, lenient bool) (*Token, error) {
	p, err := newTokenProcessor(as, client, opts.MaxAge)
	if err != nil {
		return nil, err
	}
	p.dpop, p.types, p.lenient = opts.DPoP, opts.RecognizedTokenTypes, lenient
	p.requireIDToken = opts.ExpectedNonce != "" || opts.MaxAge != nil || opts.RequireIDToken
	p.idToken.nonce, p.idToken.checkNonce = opts.ExpectedNonce, true
	p.keys = keySource{httpClient: client.httpClient(opts.HTTPClient), insecure: opts.AllowInsecureRequests}
	return p.process(ctx, resp)
}

// A tokenProcessor checks one token response.
type tokenProcessor struct {
	as             *AuthorizationServer
	client         *Client
	dpop           *DPoP // that of the request, nil for none
	types          []string
	lenient        bool // take a missing token_type for bearer, an error for one whatever the status, and a form for JSON
	requireIDToken bool
	idToken        idTokenChecks
	keys           keySource
}

// newTokenProcessor is for a grant that a person has signed in for. maxAge is that
// of the request; nil means the client's own (OpenID Connect Core 1.0, section
// 3.1.2.1).
func newTokenProcessor(as *AuthorizationServer, client *Client, maxAge *int) (*tokenProcessor, error) {
	if err := assertBoth(as, client); err != nil {
		return nil, err
	}
	if maxAge == nil {
		maxAge = client.DefaultMaxAge
	}
	if maxAge != nil && *maxAge < 0 {
		return nil, argumentError("max_age is negative")
	}
	return &tokenProcessor{
		as: as, client: client, idToken: idTokenChecks{maxAge: maxAge, requireAuthTime: client.RequireAuthTime || maxAge != nil},
	}, nil
}

func (p *tokenProcessor) process(ctx context.Context, resp *http.Response) (*Token, error) {
	if resp == nil {
		return nil, argumentError("the response is nil")
	}
	token, err := p.answer(ctx, resp)
	if err != nil {
		return nil, scrub(err, sentSecrets(resp.Request)...)
	}
	return token, nil
}

func (p *tokenProcessor) answer(ctx context.Context, resp *http.Response) (*Token, error) {
	sent := sentAt(resp) // the server issued the token after that
	if err := checkStatus(resp, http.StatusOK, endpointToken, checkTokenStatus); err != nil {
		return nil, err
	}
	body, err := p.body(resp)
	if err != nil {
		return nil, err
	}
	if refusal := (&Error{Endpoint: endpointToken, Status: resp.StatusCode}); p.lenient && !body.has("access_token") && refusal.fromObject(body) {
		return nil, refusal // GitHub sends errors with the status 200
	}
	token, err := p.token(ctx, body, sent)
	if err != nil {
		return nil, scrub(err, receivedSecrets(body)...)
	}
	return token, nil
}

func (p *tokenProcessor) token(ctx context.Context, body object, sent time.Time) (*Token, error) {
	token, err := p.members(body, sent)
	if err != nil {
		return nil, err
	}
	if raw, _ := body.str("id_token"); raw != "" {
		if token.IDToken, err = p.verifyIDToken(ctx, raw, token.AccessToken); err != nil {
			return nil, err
		}
	}
	if err := p.checkType(token.TokenType); err != nil {
		return nil, err
	}
	if p.requireIDToken && token.IDToken == nil {
		return nil, &CheckError{Check: checkTokenIDToken, Code: codeInvalidResponse,
			Reason: "the answer has no id_token, although one was asked for"}
	}
	return token, nil
}

// checkType: a token of a type that we do not know must not be used (RFC 6749,
// section 7.1). Where DPoP was used, a bearer token may come all the same, and the
// refresh token be bound alone (RFC 9449, section 5).
func (p *tokenProcessor) checkType(tokenType string) error {
	known := []string{tokenTypeBearer}
	if p.dpop != nil {
		known = append(known, tokenTypeDPoP)
	}
	known = append(known, p.types...)
	if p.client.FAPI2 {
		known = p.boundTypes()
	}
	if slices.Contains(known, tokenType) {
		return nil
	}
	return &CheckError{Check: checkTokenType, Code: codeUnsupported,
		Reason: "the token type is not supported", Expected: strings.Join(known, " or "), Actual: tokenType}
}

// members reads the members of a token response (RFC 6749, section 5.1).
func (p *tokenProcessor) members(body object, sent time.Time) (*Token, error) {
	accessToken, err := requiredToken(body, "access_token", checkTokenAccessToken) // RFC 6749, appendix A.12
	if err != nil {
		return nil, err
	}
	tokenType := tokenTypeBearer
	if body.has("token_type") || !p.lenient {
		if tokenType, err = required(body, "token_type", checkTokenType); err != nil {
			return nil, err
		}
	}
	token := &Token{AccessToken: Secret(accessToken), TokenType: lowerASCII(tokenType), DPoP: p.dpop}
	if body.has("expires_in") {
		life, err := lifetime(body, checkTokenExpiresIn)
		if err != nil {
			return nil, err
		}
		token.Expiry = sent.Add(life).UTC() // without the monotonic clock, which may stand still while the machine sleeps
	}
	if body.has("refresh_token") {
		refreshToken, err := requiredToken(body, "refresh_token", checkTokenRefreshToken) // appendix A.17
		if err != nil {
			return nil, err
		}
		token.RefreshToken = Secret(refreshToken)
	}
	if body.has("scope") {
		if token.Scopes, err = scopes(body); err != nil {
			return nil, err
		}
		if p.lenient {
			token.Scopes = p.client.splitScopes(token.Scopes)
		}
	}
	if body.has("id_token") {
		if _, err := required(body, "id_token", checkTokenIDToken); err != nil {
			return nil, err
		}
	}
	if details := body["authorization_details"]; len(details) > 0 && details[0] == '[' {
		token.AuthorizationDetails = details // RFC 9396, section 7
	}
	return token, nil
}

// scopes reads scope as RFC 6749, appendix A.4, has it, but takes any white space
// between scopes, and in them whatever is no control character: servers have
// scopes of their own making.
func scopes(body object) ([]string, error) {
	scope, ok := body.str("scope")
	if !ok {
		return nil, &CheckError{Check: checkTokenScope, Code: codeInvalidResponse, Reason: "scope is not a string"}
	}
	scopes := append([]string{}, strings.Fields(scope)...)
	if strings.ContainsFunc(strings.Join(scopes, ""), unicode.IsControl) {
		return nil, &CheckError{Check: checkTokenScope, Code: codeInvalidResponse, Reason: "scope has control characters"}
	}
	return scopes, nil
}

// requiredToken returns a member that has to be a token, 1*VSCHAR. One with a
// line break would become two headers, or two lines, where it is used.
func requiredToken(body object, name, check string) (string, error) {
	value, err := required(body, name, check)
	if err == nil && strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }) {
		err = &CheckError{Check: check, Code: codeInvalidResponse, Reason: name + " has characters that no token has"}
	}
	return value, err
}

// required returns a member that has to be a string with something in it.
func required(body object, name, check string) (string, error) {
	value, ok := body.str(name)
	if !ok || value == "" {
		return "", &CheckError{Check: check, Code: codeInvalidResponse,
			Reason: "the answer has no " + name + ", or one that is not a string with something in it"}
	}
	return value, nil
}
