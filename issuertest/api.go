package issuertest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// A Demand is what an API wants of an access token, beyond that it is one of the
// provider and still good. The zero value wants nothing more.
type Demand struct {
	// Scopes must all have been granted; else the answer is 403 with
	// insufficient_scope (RFC 6750, section 3.1).
	Scopes []string
	// ACRValues are ways to sign in, one of which must have been used; else the
	// answer is 401 with insufficient_user_authentication (RFC 9470, section 3). The
	// provider has to know it: see Options.ACRValues.
	ACRValues []string
	// MaxAge is how long ago the person may have signed in, in whole seconds; else
	// the answer is the same. 0 means any time.
	MaxAge time.Duration
	// DPoP refuses tokens that are not bound to a key (RFC 9449, section 7.1). Those
	// that are need a proof in any case.
	DPoP bool
}

// API returns the URL of a new API at the provider, which takes its tokens and
// demands something of them. It answers every method with a JSON object with the
// member "user", the name of who has signed in.
func (i *Issuer) API(demand Demand) (url string) {
	handler := i.Protect(demand, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"user": User(r)}) // a client that has gone away is not our error
	}))
	i.mu.Lock()
	defer i.mu.Unlock()
	path := "/apis/" + strconv.Itoa(len(i.apis)+1)
	i.apis[path] = handler
	return i.URL + path
}

// Protect puts the demand in front of a handler, on whatever server that is.
// Requests without a token that will do get the answer that says what is wanted.
func (i *Issuer) Protect(demand Demand, next http.Handler) http.Handler {
	return i.issuer.Protect(issuer.Demand(demand), next)
}

// User returns the name of who has signed in for a request that Protect has let
// through, "" for any other one.
func User(r *http.Request) string { return issuer.User(r) }

// withAPIs serves the APIs beside the provider.
func (i *Issuer) withAPIs(provider http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		handler := i.apis[r.URL.Path]
		if handler != nil {
			i.asked++
		}
		i.mu.Unlock()
		if handler == nil {
			handler = provider
		}
		handler.ServeHTTP(w, r)
	})
}
