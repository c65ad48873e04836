package issuer

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"sync"
	"time"
)

// codeTTL is the lifetime of an authorization code. RFC 6749, section 4.1.2, allows ten minutes at most.
const codeTTL = time.Minute

// ledger holds everything that was handed out; what can be used no more is kept as far as it is needed to recognise a
// replay, so the ledger grows by some hundred bytes with every sign-in and refresh. Codes and tokens are found by
// their hash, so that the time of a search tells nothing about a code or token that exists.
type ledger struct {
	now func() time.Time
	ttl time.Duration // of access tokens

	rotates bool // refresh tokens are good for one use

	mu       sync.Mutex
	codes    map[digest]*code
	access   map[digest]*accessToken
	refresh  map[digest]*refreshToken
	idTokens map[digest]*grant
	devices  map[digest]*deviceCode
	secrets  []string // all that was handed out, in order
}

// digest is the hash of a secret, the key under which it is found.
type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

// grant is what a user has allowed a client in one consent. All codes and tokens that come of it die with it.
type grant struct {
	client    *Client
	user      user
	scopes    []string
	resources []string // that the tokens are for (RFC 8707)
	nonce     string
	authTime  time.Time
	acr       string // how the user has signed in, "" for nothing in particular
	revoked   bool
}

type code struct {
	grant       *grant
	redirectURI string
	challenge   string
	jkt         string // dpop_jkt, "" for none
	expires     time.Time
	used        bool
}

type accessToken struct {
	grant   *grant
	scopes  []string
	jkt     string // thumbprint of the key that it is bound to, "" for a bearer token
	expires time.Time
}

type refreshToken struct {
	grant *grant
	jkt   string // as in accessToken
	used  bool
}

// tokens is what one successful token request gives.
type tokens struct {
	grant     *grant
	scopes    []string
	access    string
	refresh   string // "" without offline_access
	jkt       string // "" for bearer tokens
	firstTime bool   // from a code: the ID token carries the nonce
}

func newLedger(now func() time.Time, ttl time.Duration, rotates bool) *ledger {
	return &ledger{
		now:      now,
		ttl:      ttl,
		rotates:  rotates,
		codes:    make(map[digest]*code),
		access:   make(map[digest]*accessToken),
		refresh:  make(map[digest]*refreshToken),
		idTokens: make(map[digest]*grant),
		devices:  make(map[digest]*deviceCode),
	}
}

// newCode hands out a code for g. jkt is the key that has to be used with it (RFC 9449, section 10), "" for any.
func (l *ledger) newCode(g *grant, redirectURI, challenge, jkt string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	value := l.newSecret()
	l.prune()
	l.codes[digestOf(value)] = &code{
		grant:       g,
		redirectURI: redirectURI,
		challenge:   challenge,
		jkt:         jkt,
		expires:     l.now().Add(codeTTL),
	}
	return value
}

// redeem exchanges a code. The first request of the right client uses it up, whether it succeeds or not.
func (l *ledger) redeem(client *Client, value, redirectURI, verifier, jkt string) (*tokens, *oauthError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.codes[digestOf(value)]
	switch {
	case c == nil:
		return nil, invalidGrant("unknown code")
	case c.used:
		c.grant.revoked = true // RFC 6749, section 4.1.2: what the first use gave is revoked
		return nil, invalidGrant("the code was used before")
	case c.grant.client != client:
		return nil, invalidGrant("the code was given to another client") // RFC 6749, section 4.1.3
	}
	c.used = true
	switch {
	case !l.now().Before(c.expires):
		return nil, invalidGrant("the code has expired")
	case c.grant.revoked:
		return nil, invalidGrant("the code was revoked")
	case c.redirectURI != redirectURI: // RFC 6749, section 4.1.3: identical
		return nil, invalidGrant("redirect_uri differs from the one in the authorization request")
	case challengeOf(verifier) != c.challenge: // RFC 7636, section 4.6
		return nil, invalidGrant("code_verifier does not fit the code_challenge")
	case c.jkt != "" && c.jkt != jkt: // RFC 9449, section 10
		return nil, invalidGrant("the proof has not the key of dpop_jkt")
	}
	return l.issue(c.grant, c.grant.scopes, jkt, true), nil
}

// renew exchanges a refresh token for new tokens with the given scopes, or with all that were granted when none are
// given. The refresh token is replaced; when it comes a second time, then one of the two who have it has
// stolen it, and the whole grant ends (RFC 9700, section 4.14.2).
func (l *ledger) renew(client *Client, value string, scopes []string, jkt string) (*tokens, *oauthError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.refresh[digestOf(value)]
	switch {
	case t == nil:
		return nil, invalidGrant("unknown refresh token")
	case t.grant.client != client:
		return nil, invalidGrant("the refresh token was given to another client")
	case t.used:
		t.grant.revoked = true
		return nil, invalidGrant("the refresh token was used before")
	case t.grant.revoked:
		return nil, invalidGrant("the refresh token was revoked")
	case t.jkt != "" && t.jkt != jkt: // RFC 9449, section 5
		return nil, invalidGrant("the refresh token is bound to another key")
	}
	if scopes == nil {
		scopes = t.grant.scopes
	}
	for _, scope := range scopes {
		if !slices.Contains(t.grant.scopes, scope) { // RFC 6749, section 6: nothing that was not granted
			return nil, invalidScope("the scope is larger than what was granted")
		}
	}
	t.used = l.rotates
	return l.issue(t.grant, scopes, jkt, false), nil
}

// issue hands out an access token and, with offline_access, a refresh token, unless there is one that stays. The
// refresh token of a client that authenticates is bound to the client already (RFC 9449, section 5). The lock is held.
func (l *ledger) issue(g *grant, scopes []string, jkt string, firstTime bool) *tokens {
	l.prune()
	t := &tokens{grant: g, scopes: scopes, access: l.newSecret(), jkt: jkt, firstTime: firstTime}
	l.access[digestOf(t.access)] = &accessToken{grant: g, scopes: scopes, jkt: jkt, expires: l.now().Add(l.ttl)}
	if slices.Contains(g.scopes, scopeOffline) && (firstTime || l.rotates) {
		t.refresh = l.newSecret()
		l.refresh[digestOf(t.refresh)] = &refreshToken{grant: g}
		if g.client.AuthMethod == AuthNone {
			l.refresh[digestOf(t.refresh)].jkt = jkt
		}
	}
	return t
}

// prune forgets what has expired. Codes are kept ten minutes longer, so that a replay is still recognised. The lock is held.
func (l *ledger) prune() {
	now := l.now()
	maps.DeleteFunc(l.codes, func(_ digest, c *code) bool { return now.Sub(c.expires) > 10*time.Minute })
	maps.DeleteFunc(l.access, func(_ digest, t *accessToken) bool { return !now.Before(t.expires) })
	maps.DeleteFunc(l.devices, func(_ digest, d *deviceCode) bool { return now.Sub(d.expires) > 10*time.Minute })
}

// handOut returns a secret that is kept elsewhere.
func (l *ledger) handOut() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newSecret()
}

// newSecret returns 256 random bits and remembers them. The lock is held.
func (l *ledger) newSecret() string {
	value := randomValue()
	l.secrets = append(l.secrets, value)
	return value
}

// findAccess returns what a valid access token stands for, nil for every other string.
func (l *ledger) findAccess(value string) *accessToken {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.access[digestOf(value)]
	if t == nil || t.grant.revoked || !l.now().Before(t.expires) {
		return nil
	}
	return t
}

// revoke ends a token (RFC 7009, section 2.1): an access token alone, a refresh token with all that came of its grant. It
// reports false when the token belongs to another client; an unknown token is as good as a revoked one.
func (l *ledger) revoke(client *Client, value string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := digestOf(value)
	if t := l.access[key]; t != nil {
		if t.grant.client == client {
			delete(l.access, key)
		}
		return t.grant.client == client
	}
	if t := l.refresh[key]; t != nil {
		if t.grant.client == client {
			t.grant.revoked = true
		}
		return t.grant.client == client
	}
	return true
}

func (l *ledger) expireAccessTokens() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.access)
}

func (l *ledger) endGrants() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.codes {
		c.grant.revoked = true
	}
	for _, d := range l.devices {
		if d.grant != nil {
			d.grant.revoked = true
		}
	}
	for _, t := range l.access {
		t.grant.revoked = true
	}
	for _, t := range l.refresh {
		t.grant.revoked = true
	}
}

func (l *ledger) addIDToken(value string, g *grant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secrets = append(l.secrets, value)
	l.idTokens[digestOf(value)] = g
}

// findIDToken returns what an ID token of this issuer was made from, nil for every other string. Its age does not
// matter: it is used as a hint (RP-Initiated Logout, section 4).
func (l *ledger) findIDToken(value string) *grant {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.idTokens[digestOf(value)]
}

func (l *ledger) allSecrets() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.secrets)
}

// randomValue returns 256 random bits as 43 URL-safe characters (RFC 6749, section 10.10, asks for 160).
func randomValue() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// challengeOf is the transformation S256 of RFC 7636, section 4.2.
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
