package issuer

import (
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// How long and how many visits are remembered. The oldest go first.
const (
	interactionTTL = 10 * time.Minute
	sessionTTL     = 8 * time.Hour
	maxVisits      = 1000
)

// visits holds what is known about the browsers that come by.
type visits struct {
	now func() time.Time

	mu           sync.Mutex
	interactions map[digest]*interaction
	sessions     map[digest]*session
}

// interaction is an authorization request that a person is answering.
type interaction struct {
	request *authRequest
	browser digest // of the cookie of the browser that brought it
	csrf    string // goes with the sign-in form
	expires time.Time

	mu    sync.Mutex
	fresh *session // started for this request

	once   sync.Once
	answer string // where the decision sends the browser: the same at every repetition
}

// session is a person who has signed in. It never changes.
type session struct {
	user     user
	authTime time.Time
	acr      string
	csrf     string // goes with the forms that this person, and no other, may send
	expires  time.Time
}

func newVisits(now func() time.Time) *visits {
	return &visits{now: now, interactions: make(map[digest]*interaction), sessions: make(map[digest]*session)}
}

// begin remembers a request, and returns the name under which it is found.
func (v *visits) begin(req *authRequest, browser string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	makeRoom(v.interactions, v.now(), func(it *interaction) time.Time { return it.expires })
	id := randomValue()
	v.interactions[digestOf(id)] = &interaction{
		request: req,
		browser: digestOf(browser),
		csrf:    randomValue(),
		expires: v.now().Add(interactionTTL),
	}
	return id
}

// find returns an interaction if it was begun in the same browser, else nil.
func (v *visits) find(id, browser string) *interaction {
	v.mu.Lock()
	defer v.mu.Unlock()
	it := v.interactions[digestOf(id)]
	if it == nil || browser == "" || it.browser != digestOf(browser) || !v.now().Before(it.expires) {
		return nil
	}
	return it
}

// signIn starts a session, under a name that nobody knew before, and returns that name.
func (v *visits) signIn(it *interaction, u user) string {
	name := randomValue()
	now := v.now()
	s := &session{user: u, authTime: now, acr: it.request.acr, csrf: randomValue(), expires: now.Add(sessionTTL)}
	v.mu.Lock()
	makeRoom(v.sessions, now, func(s *session) time.Time { return s.expires })
	v.sessions[digestOf(name)] = s
	v.mu.Unlock()
	it.mu.Lock()
	it.fresh = s
	it.mu.Unlock()
	return name
}

// session returns the session of that name, nil if there is none.
func (v *visits) session(name string) *session {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.sessions[digestOf(name)]
	if s == nil || !v.now().Before(s.expires) {
		return nil
	}
	return s
}

func (v *visits) signOut(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.sessions, digestOf(name))
}

// needsSignIn reports whether the person with session s, or nobody, has to sign in first.
func (it *interaction) needsSignIn(s *session) bool {
	it.mu.Lock()
	defer it.mu.Unlock()
	return it.request.needsSignIn(s, it.fresh)
}

// makeRoom deletes what has expired, and the oldest as long as there are too many.
func makeRoom[V any](m map[digest]V, now time.Time, expires func(V) time.Time) {
	maps.DeleteFunc(m, func(_ digest, value V) bool { return !now.Before(expires(value)) })
	for len(m) >= maxVisits {
		var oldest digest
		var first time.Time
		for key, value := range m {
			if at := expires(value); first.IsZero() || at.Before(first) {
				oldest, first = key, at
			}
		}
		delete(m, oldest)
	}
}

// The cookies of the issuer. The first one ties forms to the browser, the second one to the person.
const (
	browserCookie = "browser"
	sessionCookie = "session"
)

// cookieName is different on each port, because a browser keeps one set of cookies for all ports of a host.
func (i *Issuer) cookieName(kind string) string {
	_, port, _ := net.SplitHostPort(i.host) // as the listener wrote it
	return "issuer_" + kind + "_" + port
}

func (i *Issuer) cookie(r *http.Request, kind string) string {
	c, err := r.Cookie(i.cookieName(kind))
	if err != nil {
		return ""
	}
	return c.Value
}

// setCookie sets a cookie, or deletes it when value is empty. It cannot be Secure, since the issuer has no TLS.
func (i *Issuer) setCookie(w http.ResponseWriter, kind, value string) {
	c := &http.Cookie{
		Name:     i.cookieName(kind),
		Value:    value,
		Path:     i.base + interactivePath,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// session returns the session of the browser that sent r, nil if nobody is signed in.
func (i *Issuer) session(r *http.Request) *session {
	return i.visits.session(i.cookie(r, sessionCookie))
}

// interact hands a request over to the person at the browser.
func (i *Issuer) interact(w http.ResponseWriter, r *http.Request, req *authRequest) {
	browser := i.cookie(r, browserCookie)
	if browser == "" {
		browser = randomValue()
		i.setCookie(w, browserCookie, browser)
	}
	id := i.visits.begin(req, browser)
	page := consentPath
	if req.needsSignIn(i.session(r), nil) {
		page = signInPath
	}
	i.goTo(w, r, page, id)
}

// interaction returns the interaction that a request names, nil if it is not one of the same browser.
func (i *Issuer) interaction(r *http.Request, params url.Values) *interaction {
	return i.visits.find(params.Get("interaction"), i.cookie(r, browserCookie))
}

// goTo sends the browser to one of our pages, always with GET (RFC 9700, section 4.12: 303, so that a password is not sent on).
func (i *Issuer) goTo(w http.ResponseWriter, r *http.Request, page, interaction string) {
	query := url.Values{"interaction": {interaction}}
	http.Redirect(w, r, i.base+page+"?"+query.Encode(), http.StatusSeeOther)
}
