package issuer

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// deviceGrant is the grant type of RFC 8628, section 3.4.
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// serveToken is the token endpoint (RFC 6749, section 3.2).
func (i *Issuer) serveToken(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	i.offerNonce(w)
	body, failure := i.answerToken(w, r)
	status := http.StatusOK
	if failure != nil {
		failure.announce(w)
		status, body = failure.status(), failure.body()
	}
	if i.opts.Token != nil {
		status, body = i.opts.Token(r, status, body)
	}
	writeJSON(w, "application/json", status, body)
}

func (i *Issuer) answerToken(w http.ResponseWriter, r *http.Request) (map[string]any, *oauthError) {
	form, client, failure := i.clientRequest(w, r)
	if failure != nil {
		return nil, failure
	}
	jkt, failure := i.checkProof(r, i.origin, "")
	if failure == nil && client.DPoPBound && jkt == "" {
		failure = invalidProof("the client has to send a proof")
	}
	if failure != nil {
		return nil, failure // before the code or refresh token is touched
	}
	t, failure := i.exchange(client, form, jkt)
	if failure != nil {
		return nil, failure
	}
	return i.tokenResponse(t)
}

// clientRequest reads a form and authenticates the client that sends it.
func (i *Issuer) clientRequest(w http.ResponseWriter, r *http.Request) (url.Values, *Client, *oauthError) {
	form, err := readForm(w, r)
	if err != nil {
		return nil, nil, invalidRequest("the request has no readable form")
	}
	if _, ok := repeated(form); ok {
		return nil, nil, invalidRequest("a parameter is there more than once")
	}
	client, failure := i.authenticate(r, form)
	return form, client, failure
}

// exchange turns a code or a refresh token into new tokens. jkt is the thumbprint of the key to bind them to, "" for none.
func (i *Issuer) exchange(client *Client, form url.Values, jkt string) (*tokens, *oauthError) {
	switch form.Get("grant_type") {
	case "authorization_code": // RFC 6749, section 4.1.3
		verifier := form.Get("code_verifier")
		switch {
		case !form.Has("code"):
			return nil, invalidRequest("code is missing")
		case !form.Has("redirect_uri"):
			return nil, invalidRequest("redirect_uri is missing")
		case !wellFormedVerifier(verifier):
			return nil, invalidRequest("code_verifier is missing or is not 43 to 128 unreserved characters")
		}
		return i.ledger.redeem(client, form.Get("code"), form.Get("redirect_uri"), verifier, jkt)
	case "refresh_token": // RFC 6749, section 6
		if !form.Has("refresh_token") {
			return nil, invalidRequest("refresh_token is missing")
		}
		scopes, ok := parseScopes(form.Get("scope"))
		if !ok {
			return nil, invalidScope("scope is malformed")
		}
		return i.ledger.renew(client, form.Get("refresh_token"), scopes, jkt)
	case deviceGrant: // RFC 8628, section 3.4
		if !form.Has("device_code") {
			return nil, invalidRequest("device_code is missing")
		}
		return i.ledger.poll(client, form.Get("device_code"), i.opts.DeviceInterval, jkt)
	case "":
		return nil, invalidRequest("grant_type is missing")
	default:
		return nil, &oauthError{code: "unsupported_grant_type", description: "the issuer does not know this grant_type"}
	}
}

// wellFormedVerifier checks the syntax of RFC 7636, section 4.1.
func wellFormedVerifier(v string) bool {
	return len(v) >= 43 && len(v) <= 128 && !strings.ContainsFunc(v, notUnreserved)
}

// tokenResponse is the successful answer of RFC 6749, section 5.1, and OpenID Connect Core, section 3.1.3.3.
func (i *Issuer) tokenResponse(t *tokens) (map[string]any, *oauthError) {
	body := map[string]any{
		"access_token": t.access,
		"token_type":   "Bearer",
		"expires_in":   int64(i.opts.AccessTokenTTL / time.Second),
		"scope":        strings.Join(t.scopes, " "),
	}
	if t.jkt != "" {
		body["token_type"] = "DPoP" // RFC 9449, section 5
	}
	if t.refresh != "" {
		body["refresh_token"] = t.refresh
	}
	if has(t.scopes, scopeOpenID) {
		idToken, err := i.idToken(t)
		if err != nil {
			return nil, &oauthError{code: "server_error", description: "the ID token cannot be signed"}
		}
		body["id_token"] = idToken
	}
	return body, nil
}
