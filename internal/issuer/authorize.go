package issuer

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// authRequest is an authorization request that has been found right.
type authRequest struct {
	client      *Client
	redirectURI string
	state       string
	scopes      []string
	challenge   string
	jkt         string // dpop_jkt
	nonce       string
	loginHint   string
	prompt      []string
	maxAge      time.Duration // negative: not given
	acr         string        // of acr_values, "" for any
	resources   []string      // RFC 8707, section 2
	device      *deviceCode   // nil for a request that came through the browser
	started     time.Time
}

// serveAuthorize is the authorization endpoint (RFC 6749, section 4.1.1; OpenID Connect Core, section 3.1.2).
func (i *Issuer) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	params, err := requestParams(w, r)
	if err != nil {
		i.refuse(w, "The request cannot be read.")
		return
	}
	params, problem := i.pulled(params)
	if problem != "" {
		i.refuse(w, problem)
		return
	}
	i.asked.write(params)
	client, redirectURI, problem := i.trustedRedirect(params)
	if problem != "" {
		i.refuse(w, problem) // RFC 6749, section 4.1.2.1: no redirect to where nobody has checked
		return
	}
	req, failure := i.checkRequest(client, redirectURI, params)
	if failure == nil && slices.Contains(req.prompt, "none") {
		failure = i.cannotBeSilent(r, req)
	}
	if failure != nil {
		response := url.Values{"error": {failure.code}, "error_description": {failure.description}}
		http.Redirect(w, r, i.authorizationResponse(redirectURI, params["state"], response), http.StatusSeeOther)
		return
	}
	i.interact(w, r, req)
}

// requestParams returns the parameters of the query of a GET, or of the form of a POST.
func requestParams(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method == http.MethodPost {
		return readForm(w, r)
	}
	params, err := url.ParseQuery(r.URL.RawQuery)
	return withoutEmpty(params), err
}

// trustedRedirect finds the client and checks where the answer is to go. The problem is for the person at the browser.
func (i *Issuer) trustedRedirect(params url.Values) (client *Client, redirectURI, problem string) {
	if len(params["client_id"]) == 1 {
		client = i.registry.find(params.Get("client_id"))
	}
	if client == nil {
		return nil, "", "The application that sent you here is not registered (client_id)."
	}
	if len(params["redirect_uri"]) != 1 || !i.registeredURI(client.RedirectURIs, params.Get("redirect_uri")) {
		return nil, "", "The application asks to send you to an address that is not registered for it (redirect_uri)."
	}
	return client, params.Get("redirect_uri"), ""
}

// checkRequest checks all that is not yet known to be right.
func (i *Issuer) checkRequest(client *Client, redirectURI string, params url.Values) (*authRequest, *oauthError) {
	if _, ok := repeated(params); ok {
		return nil, invalidRequest("a parameter is there more than once")
	}
	if failure := checkUnsupported(params); failure != nil {
		return nil, failure
	}
	// RFC 7636, section 4.4.1: required here, and the method is "plain" when it is left out.
	if len(params.Get("code_challenge")) != 43 || strings.ContainsFunc(params.Get("code_challenge"), notBase64URL) ||
		params.Get("code_challenge_method") != "S256" {
		return nil, invalidRequest("a code_challenge with the method S256 is required")
	}
	scopes, failure := i.grantable(params.Get("scope"))
	if failure != nil {
		return nil, failure
	}
	prompt, failure := parsePrompt(params.Get("prompt"))
	if failure != nil {
		return nil, failure
	}
	maxAge := time.Duration(-1)
	if params.Has("max_age") {
		seconds, err := strconv.ParseUint(params.Get("max_age"), 10, 31)
		if err != nil {
			return nil, invalidRequest("max_age is not a number of seconds")
		}
		maxAge = time.Duration(seconds) * time.Second
	}
	return &authRequest{
		client:      client,
		redirectURI: redirectURI,
		state:       params.Get("state"),
		scopes:      scopes,
		challenge:   params.Get("code_challenge"),
		jkt:         params.Get("dpop_jkt"),
		nonce:       params.Get("nonce"),
		loginHint:   params.Get("login_hint"),
		prompt:      prompt,
		maxAge:      maxAge,
		acr:         i.acr(params.Get("acr_values")),
		resources:   params["resource"],
		started:     i.opts.Now(),
	}, nil
}

// checkUnsupported refuses what would change the meaning of a request if it were ignored.
func checkUnsupported(params url.Values) *oauthError {
	switch {
	case !params.Has("response_type"):
		return invalidRequest("response_type is missing")
	case params.Get("response_type") != "code":
		return &oauthError{code: "unsupported_response_type", description: "the only response_type is code"}
	case params.Has("response_mode") && params.Get("response_mode") != "query":
		return invalidRequest("the only response_mode is query")
	case params.Has("request"): // OIDC Core, section 3.1.2.6, here and below
		return &oauthError{code: "request_not_supported", description: "request objects are not supported"}
	case params.Has("request_uri"):
		return &oauthError{code: "request_uri_not_supported", description: "request_uri is not supported"}
	case params.Has("registration"):
		return &oauthError{code: "registration_not_supported", description: "registration is not supported"}
	}
	return nil
}

// notBase64URL reports whether c is outside the alphabet of RFC 4648, section 5.
func notBase64URL(c rune) bool { return notUnreserved(c) || c == '.' || c == '~' }

// grantable returns the scopes that may be granted. The others are left out, and the token response says so (RFC 6749,
// section 3.3). A request without a scope is one for the profile.
func (i *Issuer) grantable(parameter string) ([]string, *oauthError) {
	if parameter == "" {
		return []string{scopeProfile}, nil
	}
	asked, ok := parseScopes(parameter)
	if !ok {
		return nil, invalidScope("scope is malformed")
	}
	var scopes []string
	for _, scope := range i.scopes() {
		if has(asked, scope) {
			scopes = append(scopes, scope)
		}
	}
	if scopes == nil {
		return nil, invalidScope("none of the scopes is known")
	}
	return scopes, nil
}

// acr returns how the person has to sign in: the first one that is known, in the client's order of preference (OpenID
// Connect Core, section 3.1.2.1). It is a voluntary claim, so "" for none is no failure.
func (i *Issuer) acr(parameter string) string {
	for _, value := range strings.Fields(parameter) {
		if slices.Contains(i.opts.ACRValues, value) {
			return value
		}
	}
	return ""
}

// parsePrompt splits prompt (OpenID Connect Core, section 3.1.2.1).
func parsePrompt(parameter string) ([]string, *oauthError) {
	prompt := strings.Fields(parameter)
	for _, value := range prompt {
		switch {
		case !slices.Contains([]string{"none", "login", "consent", "select_account"}, value):
			return nil, invalidRequest("prompt has an unknown value")
		case value == "none" && len(prompt) > 1:
			return nil, invalidRequest("prompt=none stands alone")
		}
	}
	return prompt, nil
}

// cannotBeSilent says why a request with prompt=none fails, which it always does: consent is asked for every time,
// as no client here can prove who it is (RFC 8252, section 8.6).
func (i *Issuer) cannotBeSilent(r *http.Request, req *authRequest) *oauthError {
	if req.needsSignIn(i.session(r), nil) {
		return &oauthError{code: "login_required", description: "nobody is signed in"} // OIDC Core, section 3.1.2.6
	}
	return &oauthError{code: "consent_required", description: "consent is asked for every time"}
}

// needsSignIn reports whether s, which may be nil, is not good enough. fresh is the session that was
// started while this request was being answered, if there is one.
func (req *authRequest) needsSignIn(s, fresh *session) bool {
	switch {
	case s == nil:
		return true
	case s == fresh:
		return false
	case req.acr != "" && s.acr != req.acr:
		return true
	case slices.Contains(req.prompt, "login"), slices.Contains(req.prompt, "select_account"):
		return true
	}
	// OIDC Core, section 3.1.2.1: max_age=0 is the same as prompt=login.
	return req.maxAge == 0 || req.maxAge > 0 && req.started.Sub(s.authTime) > req.maxAge
}

// authorizationResponse returns the URL that carries a response back to the client: with the state, when there was
// exactly one, and with the issuer (RFC 6749, section 4.1.2; RFC 9207, section 2).
func (i *Issuer) authorizationResponse(redirectURI string, state []string, response url.Values) string {
	response.Set("iss", i.url)
	if len(state) == 1 {
		response.Set("state", state[0])
	}
	if i.opts.Redirect != nil {
		i.opts.Redirect(response)
	}
	return addQuery(redirectURI, response)
}

// addQuery appends params to a URI, whose own query is retained (RFC 6749, section 3.1.2).
func addQuery(uri string, params url.Values) string {
	separator := "?"
	switch {
	case len(params) == 0:
		return uri
	case strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&"):
		separator = ""
	case strings.Contains(uri, "?"):
		separator = "&"
	}
	return uri + separator + params.Encode()
}
