package loopback

import (
	"net/http"
	"strings"
)

// maxQuery is how long the query of a redirect may be, in bytes. Codes that are
// encrypted tokens come close to 4 KiB.
const maxQuery = 16 << 10

// noise is a reason to ignore a request, in words for the person.
type noise string

const (
	wrongMethod   noise = "wrong method"
	wrongHost     noise = "wrong host"
	wrongPath     noise = "wrong path"
	foreignOrigin noise = "foreign origin"
	prefetched    noise = "prefetch"
	subresource   noise = "not a page load"
	longQuery     noise = "query too long"
	badQuery      noise = "malformed query"
	notForm       noise = "not a form"
	largeForm     noise = "form too large"
	badForm       noise = "malformed form"
	wrongState    noise = "wrong or missing state"
	noOutcome     noise = "nothing has ended yet"
	withBody      noise = "request with a body"
	malformed     noise = "malformed request"
	tooLarge      noise = "request too large"
)

// status returns the status of the answer.
func (n noise) status() int {
	switch n {
	case wrongMethod:
		return http.StatusMethodNotAllowed
	case wrongHost:
		return http.StatusMisdirectedRequest // RFC 9110, section 15.5.20
	case wrongPath, noOutcome:
		return http.StatusNotFound
	case foreignOrigin, prefetched, subresource:
		return http.StatusForbidden
	case notForm:
		return http.StatusUnsupportedMediaType
	case largeForm:
		return http.StatusRequestEntityTooLarge
	case longQuery:
		return http.StatusRequestURITooLong
	case tooLarge:
		return http.StatusRequestHeaderFieldsTooLarge
	default:
		return http.StatusBadRequest
	}
}

// onlyMethods refuses all methods but GET, and POST where forms are taken. That
// takes OPTIONS in: as no answer has an Access-Control-Allow header, no page of
// another origin may read or send anything but forms (Fetch, section 3.3.4), also
// where that is asked for in the name of private network access.
func (r *Receiver) onlyMethods(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && (req.Method != http.MethodPost || !r.opts.FormPost) {
			r.refuseMethod(w, req)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// refuseMethod names what is allowed: RFC 9110, section 15.5.6.
func (r *Receiver) refuseMethod(w http.ResponseWriter, req *http.Request) {
	allowed := http.MethodGet
	if r.opts.FormPost && req.URL.Path == r.redirect.path {
		allowed = http.MethodPost
	}
	w.Header().Set("Allow", allowed)
	r.ignore(w, wrongMethod)
}

// onlyHost refuses requests to another name, so that no web page can reach the
// receiver by making its own name resolve to this machine.
func (r *Receiver) onlyHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.EqualFold(req.Host, r.redirect.host) {
			r.ignore(w, wrongHost)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// onlyNavigation refuses what is not a person's browser that loads a page.
func (r *Receiver) onlyNavigation(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.Method != http.MethodPost && r.isForeign(req.Header): // servePosted says why not
			r.ignore(w, foreignOrigin)
		case isPrefetch(req.Header):
			r.ignore(w, prefetched)
		case !isNavigation(req.Header):
			r.ignore(w, subresource)
		case req.Method != http.MethodPost && req.ContentLength != 0: // RFC 9110, section 9.3.1
			r.ignore(w, withBody)
		case len(req.URL.RawQuery) > maxQuery:
			r.ignore(w, longQuery)
		default:
			next.ServeHTTP(w, req)
		}
	})
}

// isForeign looks at Origin, which a browser leaves out of the GET of a
// navigation. "null" hides an origin and names none.
func (r *Receiver) isForeign(h http.Header) bool {
	for _, origin := range h.Values("Origin") {
		if origin != "null" && !strings.EqualFold(origin, r.redirect.origin) {
			return true
		}
	}
	return false
}

// isPrefetch finds loads that nobody has asked for: Sec-Purpose of Fetch,
// section 3.7, and its predecessors in Chromium, Firefox and Safari.
func isPrefetch(h http.Header) bool {
	return len(h.Values("Sec-Purpose")) > 0 || len(h.Values("Purpose")) > 0 ||
		len(h.Values("X-Moz")) > 0 || len(h.Values("X-Purpose")) > 0
}

// isNavigation looks at Fetch Metadata Request Headers, sections 2.1 and 2.2. A
// browser that is too old for them sends none.
func isNavigation(h http.Header) bool {
	for _, dest := range h.Values("Sec-Fetch-Dest") {
		if dest != "document" {
			return false
		}
	}
	for _, mode := range h.Values("Sec-Fetch-Mode") {
		if mode != "navigate" {
			return false
		}
	}
	return true
}
