package issuer

import "net/http"

// serveRevoke is the revocation endpoint (RFC 7009, section 2). token_type_hint is not needed to find a token.
func (i *Issuer) serveRevoke(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	if failure := i.answerRevoke(w, r); failure != nil {
		failure.announce(w)
		writeJSON(w, "application/json", failure.status(), failure.body())
		return
	}
	w.WriteHeader(http.StatusOK) // section 2.2: also for a token that does not exist
}

func (i *Issuer) answerRevoke(w http.ResponseWriter, r *http.Request) *oauthError {
	form, client, failure := i.clientRequest(w, r)
	if failure != nil {
		return failure
	}
	if !form.Has("token") {
		return invalidRequest("token is missing")
	}
	if !i.ledger.revoke(client, form.Get("token")) {
		return invalidGrant("the token was given to another client") // section 2.1
	}
	return nil
}
