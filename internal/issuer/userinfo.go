package issuer

import (
	"net/http"
	"strings"
)

// serveUserinfo is the userinfo endpoint (OpenID Connect Core, section 5.3). The token comes in the header alone.
func (i *Issuer) serveUserinfo(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	i.offerNonce(w)
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "DPoP") && value != "" {
		i.serveUserinfoWithProof(w, r, value)
		return
	}
	if !strings.EqualFold(scheme, "Bearer") || value == "" {
		refuseBearer(w, http.StatusUnauthorized, "") // RFC 6750, section 3.1: no error code without a token
		return
	}
	token := i.ledger.findAccess(value)
	switch {
	case token == nil || token.jkt != "": // RFC 9449, section 7.2: a bound token is no bearer token
		refuseBearer(w, http.StatusUnauthorized, `, error="invalid_token"`)
	case !has(token.scopes, scopeOpenID):
		refuseBearer(w, http.StatusForbidden, `, error="insufficient_scope", scope="openid"`)
	default:
		writeJSON(w, "application/json", http.StatusOK, token.grant.user.claims(token.scopes))
	}
}

// refuseBearer sends the challenge of RFC 6750, section 3.
func refuseBearer(w http.ResponseWriter, status int, attributes string) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="userinfo"`+attributes)
	w.WriteHeader(status)
}

// serveUserinfoWithProof is for tokens that are bound to a key (RFC 9449, section 7.1).
func (i *Issuer) serveUserinfoWithProof(w http.ResponseWriter, r *http.Request, value string) {
	token := i.ledger.findAccess(value)
	jkt, failure := i.checkProof(r, value)
	switch {
	case failure != nil:
		refuseDPoP(w, failure.code)
	case jkt == "":
		refuseDPoP(w, "invalid_dpop_proof")
	case token == nil || token.jkt != jkt || !has(token.scopes, scopeOpenID):
		refuseDPoP(w, "invalid_token")
	default:
		writeJSON(w, "application/json", http.StatusOK, token.grant.user.claims(token.scopes))
	}
}
