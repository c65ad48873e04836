package issuer

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Limits of what a request may carry.
const (
	maxHeaderBytes = 64 << 10
	maxFormBytes   = 64 << 10
)

// Paths below the issuer's own. The cookies are confined to interactivePath, so that the browser does not send
// them to the client's redirect URI: cookies know no ports (RFC 6265, section 8.5).
const (
	interactivePath = "/oauth2"
	authorizePath   = interactivePath + "/authorize"
	signInPath      = interactivePath + "/sign-in"
	consentPath     = interactivePath + "/consent"
	signOutPath     = interactivePath + "/sign-out"
	pushPath        = "/push"
	tokenPath       = "/token"
	revokePath      = "/revoke"
	userinfoPath    = "/userinfo"
	jwksPath        = "/jwks"
	registerPath    = "/register"
	resourcePath    = "/api"
	devicePath      = interactivePath + "/device"
	deviceDonePath  = devicePath + "/done"

	deviceAuthorizationPath = "/device-authorization"
	resourceMetadataPath    = "/.well-known/oauth-protected-resource" // before the path of the API
)

// endpoint is one path, the name it is counted under and what answers there, by method.
type endpoint struct {
	path, name string
	get, post  http.HandlerFunc
}

func (i *Issuer) endpoints() []endpoint {
	list := []endpoint{
		{i.base + authorizePath, "authorize", i.serveAuthorize, i.serveAuthorize}, // OIDC Core, section 3.1.2.1: GET and POST
		{i.base + signInPath, "signin", i.showSignIn, i.acceptSignIn},
		{i.base + consentPath, "consent", i.showConsent, i.acceptConsent},
		{i.base + signOutPath, "signout", i.serveSignOut, i.serveSignOut}, // RP-Initiated Logout, section 2: GET and POST
		{i.base + tokenPath, "token", nil, i.serveToken},
		{i.base + revokePath, "revoke", nil, i.serveRevoke},
		{i.base + userinfoPath, "userinfo", i.serveUserinfo, i.serveUserinfo}, // OIDC Core, section 5.3.1: GET and POST
		{i.base + jwksPath, "jwks", i.serveJWKS, nil},
		{i.base + deviceAuthorizationPath, "device-authorization", nil, i.serveDeviceAuthorization},
		{i.base + devicePath, "device", i.serveDevice, nil},
		{i.base + deviceDonePath, "device", i.showDeviceDone, nil},
		{i.base + resourcePath, "api", i.serveResource, nil},
		{resourceMetadataPath + i.base + resourcePath, "api-metadata", i.serveResourceMetadata, nil},
	}
	if i.opts.RequirePAR {
		list = append(list, endpoint{i.base + pushPath, "push", nil, i.servePush})
	}
	if i.opts.OpenRegistration {
		list = append(list, endpoint{i.base + registerPath, "register", nil, i.serveRegister})
	}
	for _, path := range i.metadataPaths() {
		list = append(list, endpoint{path, "discovery", i.serveMetadata, nil})
	}
	return list
}

// handler returns the whole issuer: count, delay, Options.Wrap, then the endpoints.
func (i *Issuer) handler() http.Handler {
	mux := http.NewServeMux()
	names := make(map[string]string)
	for _, e := range i.endpoints() {
		names[e.path] = e.name
		if e.get != nil {
			mux.HandleFunc("GET "+e.path, e.get)
		}
		if e.post != nil {
			mux.HandleFunc("POST "+e.path, e.post)
		}
	}
	if i.opts.OpenRegistration {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			mux.HandleFunc(method+" "+i.base+registerPath+"/{id}", i.serveRegistered)
		}
	}
	inner := i.guard(mux)
	if i.opts.Wrap != nil {
		inner = i.opts.Wrap(inner)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := names[r.URL.Path]
		switch {
		case !ok && strings.HasPrefix(r.URL.Path, i.base+registerPath+"/"):
			name = "registered"
		case !ok:
			name = "other"
		}
		i.counters.add(name)
		if i.pause(r) {
			inner.ServeHTTP(w, r)
		}
	})
}

// pause waits for Options.Delay and reports whether there is still somebody to answer.
func (i *Issuer) pause(r *http.Request) bool {
	if i.opts.Delay == 0 {
		return true
	}
	timer := time.NewTimer(i.opts.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// guard refuses requests that were sent to another name, so that no web page can reach the issuer by making its own
// host name resolve to 127.0.0.1, and sets the headers that every answer has.
func (i *Issuer) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		if r.Host != i.host {
			http.Error(w, "this server has another name", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// readForm returns the parameters of a form body. Those of the URL are not among them: credentials must not be sent
// there (RFC 6749, section 2.3.1). The form stays parsed in r.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		return nil, errors.New("not a form")
	}
	return withoutEmpty(r.PostForm), nil
}

// withoutEmpty returns the parameters that have a value: one that is sent without is treated as if it were
// omitted (RFC 6749, sections 3.1 and 3.2).
func withoutEmpty(params url.Values) url.Values {
	kept := make(url.Values, len(params))
	for name, values := range params {
		for _, value := range values {
			if value != "" {
				kept.Add(name, value)
			}
		}
	}
	return kept
}

// repeated returns the name of a parameter that is there more than once, which none may be (RFC 6749, sections 3.1
// and 3.2), resource indicators excepted (RFC 8707, section 2).
func repeated(params url.Values) (string, bool) {
	for name, values := range params {
		if len(values) > 1 && name != "resource" {
			return name, true
		}
	}
	return "", false
}

// writeJSON sends body, or nothing but the status when body is nil.
func writeJSON(w http.ResponseWriter, mediaType string, status int, body map[string]any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	data, err := json.Marshal(body)
	if err != nil { // only a hook can put something there that JSON cannot hold
		http.Error(w, "the answer cannot be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_, _ = w.Write(data) // a client that has gone away is not our error
}

// noStore forbids to keep the answer (RFC 6749, section 5.1).
func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}

// notUnreserved reports whether c is outside the unreserved set of RFC 3986, section 2.3.
func notUnreserved(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return false
	}
	return c != '-' && c != '.' && c != '_' && c != '~'
}

// counters counts requests by endpoint name. The zero value is ready for use.
type counters struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counters) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[string]int)
	}
	c.n[name]++
}

func (c *counters) read(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[name]
}
