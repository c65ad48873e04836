package issuer

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Demand is what an API wants of an access token, beyond that it is one of the issuer and still good. The zero value
// wants nothing more.
type Demand struct {
	// Scopes must all have been granted; else the answer is insufficient_scope (RFC 6750, section 3.1).
	Scopes []string
	// ACRValues are the ways to sign in, one of which must have been used; else the answer is insufficient_user_authentication
	// (RFC 9470, section 3).
	ACRValues []string
	// MaxAge is how long ago the person may have signed in; else the answer is the same. 0 means any time. It is
	// announced in whole seconds.
	MaxAge time.Duration
	// DPoP refuses tokens that are not bound to a key (RFC 9449, section 7.1). Those that are need a proof in any case.
	DPoP bool
}

// Protect is the handler of an API that takes tokens of the issuer, in the header alone, and hands on to next what
// meets the demand. It works on any server, and on several paths.
func (i *Issuer) Protect(demand Demand, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.offerNonce(w)
		scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		bound := strings.EqualFold(scheme, "DPoP")
		c := challenge{scheme: "Bearer", status: http.StatusUnauthorized}
		if demand.DPoP || bound {
			c.scheme = "DPoP"
		}
		if bound || strings.EqualFold(scheme, "Bearer") { // RFC 6750, section 3.1: no error code without a token
			i.examine(&c, demand, r, value, bound)
		}
		if !c.passed {
			c.write(w)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, c.user)))
	})
}

type userKey struct{}

// User returns the name of the person behind a request that Protect has handed on, "" for another request.
func User(r *http.Request) string {
	u, _ := r.Context().Value(userKey{}).(user)
	return u.name
}

// challenge is why a request to an API is refused.
type challenge struct {
	passed     bool // it is not
	user       user // who has asked then
	scheme     string
	status     int
	attributes []string
}

func (c *challenge) refuse(status int, code string, attributes ...string) {
	c.status, c.attributes = status, append([]string{`error="` + code + `"`}, attributes...)
}

func (c *challenge) write(w http.ResponseWriter) {
	attributes := append([]string{`realm="api"`}, c.attributes...)
	if c.scheme == "DPoP" {
		attributes = append(attributes, `algs="`+strings.Join(algsSupported[:], " ")+`"`)
	}
	noStore(w)
	w.Header().Set("WWW-Authenticate", c.scheme+" "+strings.Join(attributes, ", "))
	w.WriteHeader(c.status)
}

// examine looks at the token of a request, and then at what it is good for. One that was sent as bound needs a proof.
func (i *Issuer) examine(c *challenge, demand Demand, r *http.Request, value string, bound bool) {
	token := i.ledger.findAccess(value)
	jkt := ""
	if bound {
		var failure *oauthError
		if jkt, failure = i.checkProof(r, originOf(r), value); failure == nil && jkt == "" {
			failure = invalidProof("there is no proof")
		}
		if failure != nil {
			c.refuse(http.StatusUnauthorized, failure.code)
			return
		}
	}
	switch {
	case token == nil || token.jkt != jkt || demand.DPoP && jkt == "": // RFC 9449, section 7.2: a bound token is no bearer token
		c.refuse(http.StatusUnauthorized, "invalid_token")
	case slices.ContainsFunc(demand.Scopes, func(scope string) bool { return !has(token.scopes, scope) }):
		c.refuse(http.StatusForbidden, "insufficient_scope", `scope="`+strings.Join(demand.Scopes, " ")+`"`)
	case !demand.signedInWell(token.grant, i.opts.Now()):
		c.refuse(http.StatusUnauthorized, "insufficient_user_authentication", demand.authentication()...)
	default:
		c.passed, c.user = true, token.grant.user
	}
}

// signedInWell reports whether the sign-in behind a token is good enough (RFC 9470, section 3).
func (d *Demand) signedInWell(g *grant, now time.Time) bool {
	return (len(d.ACRValues) == 0 || slices.Contains(d.ACRValues, g.acr)) && (d.MaxAge == 0 || now.Sub(g.authTime) <= d.MaxAge)
}

// authentication says how to sign in (RFC 9470, section 3).
func (d *Demand) authentication() (attributes []string) {
	if len(d.ACRValues) > 0 {
		attributes = append(attributes, `acr_values="`+strings.Join(d.ACRValues, " ")+`"`)
	}
	if d.MaxAge > 0 {
		attributes = append(attributes, `max_age="`+strconv.FormatInt(int64(d.MaxAge/time.Second), 10)+`"`)
	}
	return attributes
}

// originOf is where a client has sent a request to.
func originOf(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
