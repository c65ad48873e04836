package issuertest

import (
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
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

// API returns the URL of a new API, which takes tokens of the provider and demands
// something of them. It answers every method with a JSON object with the member
// "user", the name of who has signed in. It is on a port of its own, as another origin
// than the provider: nonces and cookies of the one are not those of the other.
func (i *Issuer) API(demand Demand) (url string) {
	return i.apis.add(i.Protect(demand, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"user": User(r)}) // a client that has gone away is not our error
	})))
}

// Protect puts the demand in front of a handler, on whatever server that is.
// Requests without a token that will do get the answer that says what is wanted.
func (i *Issuer) Protect(demand Demand, next http.Handler) http.Handler {
	return i.issuer.Protect(issuer.Demand(demand), next)
}

// User returns the name of who has signed in for a request that Protect has let
// through, "" for any other one.
func User(r *http.Request) string { return issuer.User(r) }

// apis are the APIs of a provider, on one port.
type apis struct {
	server  *http.Server
	url     string
	serving sync.WaitGroup

	mu       sync.Mutex
	handlers map[string]http.Handler // by path
	asked    int
}

func (a *apis) start() error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	a.url, a.handlers = "http://"+listener.Addr().String(), make(map[string]http.Handler)
	a.server = &http.Server{Handler: a, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	a.serving.Go(func() { _ = a.server.Serve(listener) }) // always http.ErrServerClosed, after Close
	return nil
}

func (a *apis) close() error {
	err := a.server.Close()
	a.serving.Wait()
	return err
}

func (a *apis) add(handler http.Handler) (url string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	path := "/" + strconv.Itoa(len(a.handlers)+1)
	a.handlers[path] = handler
	return a.url + path
}

func (a *apis) requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// ServeHTTP counts, and hands on to the API with the path of the request.
func (a *apis) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.asked++
	handler := a.handlers[r.URL.Path]
	a.mu.Unlock()
	if handler == nil {
		http.NotFound(w, r)
		return
	}
	handler.ServeHTTP(w, r)
}
