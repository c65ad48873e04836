package issuer

import (
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// pushTTL is how long a browser may take to bring the reference to a request that was pushed.
const pushTTL = time.Minute

// pushPrefix is that of RFC 9126, section 2.2.
const pushPrefix = "urn:ietf:params:oauth:request_uri:"

// pushedRequests are the requests that clients have pushed, each good for one use. The zero value is ready for use.
type pushedRequests struct {
	mu    sync.Mutex
	byURI map[digest]pushedRequest
}

type pushedRequest struct {
	params  url.Values
	expires time.Time
}

func (p *pushedRequests) put(uri string, request pushedRequest, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byURI == nil {
		p.byURI = make(map[digest]pushedRequest)
	}
	makeRoom(p.byURI, now, func(r pushedRequest) time.Time { return r.expires })
	p.byURI[digestOf(uri)] = request
}

func (p *pushedRequests) take(uri, clientID string, now time.Time) (url.Values, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	request, ok := p.byURI[digestOf(uri)]
	if !ok || request.params.Get("client_id") != clientID || !now.Before(request.expires) {
		return nil, false
	}
	delete(p.byURI, digestOf(uri))
	return request.params, true
}

// servePush is the pushed authorization request endpoint (RFC 9126, section 2).
func (i *Issuer) servePush(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	i.offerNonce(w)
	body, failure := i.answerPush(w, r)
	if failure != nil {
		failure.announce(w)
		writeJSON(w, "application/json", failure.status(), failure.body())
		return
	}
	writeJSON(w, "application/json", http.StatusCreated, body)
}

// answerPush checks a request as the authorization endpoint would, and keeps it (RFC 9126, section 2.1).
func (i *Issuer) answerPush(w http.ResponseWriter, r *http.Request) (map[string]any, *oauthError) {
	form, client, failure := i.clientRequest(w, r)
	if failure != nil {
		return nil, failure
	}
	jkt, failure := i.checkProof(r, i.origin, "")
	if failure != nil {
		return nil, failure
	}
	params := withoutCredentials(form)
	params.Set("client_id", client.ID)
	if jkt != "" && params.Get("dpop_jkt") != "" && params.Get("dpop_jkt") != jkt { // RFC 9449, section 10.1
		return nil, invalidProof("dpop_jkt is not the key of the proof")
	}
	if jkt != "" {
		params.Set("dpop_jkt", jkt)
	}
	if _, _, problem := i.trustedRedirect(params); problem != "" {
		return nil, invalidRequest("redirect_uri is missing or not registered")
	}
	if _, failure := i.checkRequest(client, params.Get("redirect_uri"), params); failure != nil {
		return nil, failure
	}
	uri, now := pushPrefix+randomValue(), i.opts.Now()
	i.pushed.put(uri, pushedRequest{params, now.Add(pushTTL)}, now)
	return map[string]any{"request_uri": uri, "expires_in": int64(pushTTL / time.Second)}, nil
}

// withoutCredentials leaves out what the client has authenticated with (RFC 9126, section 2.1).
func withoutCredentials(form url.Values) url.Values {
	params := maps.Clone(form)
	for _, name := range []string{"client_secret", "client_assertion", "client_assertion_type"} {
		params.Del(name)
	}
	return params
}

// pulled returns the parameters that a request refers to, or those that it has where nothing has to be pushed. The
// problem is for the person at the browser.
func (i *Issuer) pulled(params url.Values) (full url.Values, problem string) {
	if !i.opts.RequirePAR {
		return params, ""
	}
	if len(params["request_uri"]) != 1 || len(params["client_id"]) != 1 {
		return nil, "The application has to push its request (request_uri)." // RFC 9126, section 4
	}
	full, ok := i.pushed.take(params.Get("request_uri"), params.Get("client_id"), i.opts.Now())
	if !ok {
		return nil, "The request of the application has expired, or was used before (request_uri)."
	}
	return full, ""
}

// lastRequest remembers the authorization request that came last. The zero value is ready for use.
type lastRequest struct {
	mu     sync.Mutex
	params url.Values
}

func (l *lastRequest) write(params url.Values) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.params = params
}

func (l *lastRequest) read() url.Values {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.params)
}
