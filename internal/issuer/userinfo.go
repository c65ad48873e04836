package issuer

import (
	"net/http"
	"strings"
)

// serveUserinfo is the userinfo endpoint (OpenID Connect Core, section 5.3). The token comes in the header alone.
func (i *Issuer) serveUserinfo(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	i.offerNonce(w)
	if scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "DPoP") && value != "" {
		i.serveUserinfoWithProof(w, r, value)
		return
	}
	value, ok := bearerToken(r)
	if !ok {
		refuseBearer(w, "userinfo", http.StatusUnauthorized, "") // RFC 6750, section 3.1: no error code without a token
		return
	}
	token := i.ledger.findAccess(value)
	switch {
	case token == nil || token.jkt != "": // RFC 9449, section 7.2: a bound token is no bearer token
		refuseBearer(w, "userinfo", http.StatusUnauthorized, `, error="invalid_token"`)
	case !has(token.scopes, scopeOpenID):
		refuseBearer(w, "userinfo", http.StatusForbidden, `, error="insufficient_scope", scope="openid"`)
	default:
		i.writeUserinfo(w, token)
	}
}

// writeUserinfo sends the claims, signed where the client was registered for that (section 5.3.2).
func (i *Issuer) writeUserinfo(w http.ResponseWriter, token *accessToken) {
	client := token.grant.client
	claims := token.grant.user.claims(token.scopes)
	if client.UserinfoAlg != "" {
		claims["iss"], claims["aud"] = i.url, client.ID
	}
	if i.opts.Userinfo != nil {
		i.opts.Userinfo(claims)
	}
	if client.UserinfoAlg == "" {
		writeJSON(w, "application/json", http.StatusOK, claims)
		return
	}
	key := i.keys.current(client.UserinfoAlg)
	signed, err := key.signJWT(map[string]any{"alg": key.alg, "kid": key.id}, claims)
	if err != nil {
		http.Error(w, "the answer cannot be signed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/jwt")
	_, _ = w.Write([]byte(signed)) // a client that has gone away is not our error
}

// bearerToken returns the token of a request (RFC 6750, section 2.1).
func bearerToken(r *http.Request) (string, bool) {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return value, strings.EqualFold(scheme, "Bearer") && value != ""
}

// refuseBearer sends the challenge of RFC 6750, section 3.
func refuseBearer(w http.ResponseWriter, realm string, status int, attributes string) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`"`+attributes)
	w.WriteHeader(status)
}

// serveUserinfoWithProof is for tokens that are bound to a key (RFC 9449, section 7.1).
func (i *Issuer) serveUserinfoWithProof(w http.ResponseWriter, r *http.Request, value string) {
	token := i.ledger.findAccess(value)
	jkt, failure := i.checkProof(r, i.origin, value)
	switch {
	case failure != nil:
		refuseDPoP(w, failure.code)
	case jkt == "":
		refuseDPoP(w, "invalid_dpop_proof")
	case token == nil || token.jkt != jkt || !has(token.scopes, scopeOpenID):
		refuseDPoP(w, "invalid_token")
	default:
		i.writeUserinfo(w, token)
	}
}
