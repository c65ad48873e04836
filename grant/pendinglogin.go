package grant

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"
)

// ErrNotResumable says that a pending login is of no use: it is damaged, too old,
// of a newer version of this package, or of another client. Start a new one.
var ErrNotResumable = errors.New("the pending login cannot be resumed; start a new one")

const (
	// maxPending is how long a login may wait for its redirect. Codes live for ten
	// minutes at most (RFC 6749, section 4.1.2), and the person needs some time.
	maxPending = time.Hour

	pendingMagic   = "OLP" // then the version, a checksum, and JSON
	pendingVersion = "1"
	newerThanKnown = "it was written by a newer version of this program"
)

// pendingLogin is the form of a Flow outside its process.
type pendingLogin struct {
	Issuer       string      `json:"issuer"`
	Endpoint     string      `json:"authorization_endpoint"`
	PromisesISS  bool        `json:"authorization_response_iss_parameter_supported,omitempty"`
	ClientID     string      `json:"client_id"`
	RedirectURI  string      `json:"redirect_uri"`
	URL          string      `json:"url"`
	URLExpiry    time.Time   `json:"url_expiry,omitzero"`
	CreatedAt    time.Time   `json:"created_at"`
	State        string      `json:"state"`
	Nonce        string      `json:"nonce,omitempty"`
	CodeVerifier string      `json:"code_verifier"`
	Scopes       []string    `json:"scopes"`
	ACRValues    string      `json:"acr_values,omitempty"`
	MaxAge       *int        `json:"max_age,omitempty"`
	ResponseMode string      `json:"response_mode,omitempty"`
	FAPI2        bool        `json:"fapi2,omitempty"`
	DPoP         *storedDPoP `json:"dpop,omitempty"`
}

// MarshalBinary encodes a login that waits for its redirect, so that another
// process can complete it with Client.Resume: one line of printable ASCII. It holds
// state, nonce, code verifier (RFC 7636, section 4.1) and DPoP key in clear: whoever
// has it and sees the redirect has the tokens. Keep it where you would keep those,
// and delete it when the login is over. It is of use for an hour. encoding/json, fmt
// and slog do not call this method.
//
// A flow that has had its redirect leads to ErrArgument.
func (f *Flow) MarshalBinary() ([]byte, error) {
	if !f.made() {
		return nil, argumentError("the flow does not wait for a redirect")
	}
	f.copied.Store(true) // before the look: an Exchange at the same time sees this, or is seen
	if f.spent.Load() {
		return nil, argumentError("the flow does not wait for a redirect")
	}
	dpop, err := f.dpop.store()
	if err != nil {
		return nil, err
	}
	secrets := f.secret()
	payload, err := json.Marshal(pendingLogin{
		Issuer: f.as.Issuer, Endpoint: f.as.AuthorizationEndpoint, PromisesISS: f.promisesISS,
		ClientID: f.client.ClientID, RedirectURI: f.RedirectURI, URL: f.URL, URLExpiry: f.URLExpiry,
		CreatedAt: f.created.UTC().Round(0), State: secrets.state, Nonce: secrets.nonce, CodeVerifier: secrets.verifier,
		Scopes: f.asked.scopes, ACRValues: f.asked.acrValues, MaxAge: f.asked.maxAge, ResponseMode: f.asked.responseMode,
		FAPI2: f.client.FAPI2, DPoP: dpop,
	})
	if err != nil {
		return nil, err
	}
	return sealPending(asciiJSON(payload)), nil
}

// sealPending adds what proves that nothing got lost. It proves no more: who can
// write to where pending logins are kept can write what they like.
func sealPending(payload []byte) []byte {
	sum := sha256.Sum256(payload)
	return append([]byte(pendingMagic+pendingVersion+" "+hex.EncodeToString(sum[:])+" "), payload...)
}

// Resume returns the login that Flow.MarshalBinary has encoded, in this process or
// another one. Its redirect goes through the same checks as if nothing had happened
// in between, by what was asked for then, whatever the client would ask for now.
// The client has to have the same issuer, client ID and credentials.
//
// Data that is of no use leads to ErrNotResumable. A Client completes a login once,
// from however many copies; of several processes, it is the server that lets one
// alone have the tokens: "The client MUST NOT use the authorization code more than
// once" (RFC 6749, section 4.1.2).
func (c *Client) Resume(ctx context.Context, data []byte) (*Flow, error) {
	flow, err := c.resume(ctx, data)
	c.logRefusal(ctx, "authorization", err)
	return flow, err
}

func (c *Client) resume(ctx context.Context, data []byte) (*Flow, error) {
	pending, err := parsePending(data)
	if err != nil {
		return nil, err
	}
	as, known, err := c.discover(ctx)
	if err == nil && known != nil && as.AuthorizationEndpoint != pending.Endpoint {
		as, err = c.renew(ctx, as) // the other process knew more than the cache
		known = nil
	}
	if err != nil {
		return nil, err
	}
	flow, err := pending.flow(c, as)
	if err != nil {
		return nil, err
	}
	flow.known = known
	if err := cmp.Or(assertBoth(as, c), assertHeader(c.Header)); err != nil {
		return nil, err
	}
	err = cmp.Or(c.checkAuth(as), c.checkHS256(), c.checkFAPIServer(as, flow.asked), c.checkEndpoints(as, c.endpoints(flow.asked)))
	if err != nil {
		c.doubt(ctx, as, err)
		return nil, err
	}
	c.log(ctx, slog.LevelDebug, "authorization request resumed", slog.String("redirect_uri", flow.RedirectURI),
		slog.Any("scopes", flow.asked.scopes), slog.Time("created_at", flow.created))
	return flow, nil
}

// parsePending opens the envelope. Its errors do not quote what is in it.
func parsePending(data []byte) (*pendingLogin, error) {
	text := string(data)
	rest, ok := strings.CutPrefix(text, pendingMagic)
	version, rest, found := strings.Cut(rest, " ")
	_, payload, _ := strings.Cut(rest, " ")
	switch {
	case !ok || !found || len(data) > maxBody:
		return nil, notResumable("it is none")
	case version != pendingVersion && strings.Trim(version, "0123456789") == "" && version != "":
		return nil, notResumable(newerThanKnown)
	case text != string(sealPending([]byte(payload))):
		return nil, notResumable("it is damaged")
	}
	var pending *pendingLogin
	if err := json.Unmarshal([]byte(payload), &pending); err != nil || pending == nil {
		return nil, notResumable("it is damaged")
	}
	return pending, nil
}

// flow checks everything that Exchange relies on.
func (p *pendingLogin) flow(c *Client, as *AuthorizationServer) (*Flow, error) {
	asked := asked{scopes: p.Scopes, acrValues: p.ACRValues, maxAge: p.MaxAge, responseMode: p.ResponseMode}
	age := time.Since(p.CreatedAt)
	switch {
	case p.Issuer != as.Issuer:
		return nil, notResumable("it is one at another issuer")
	case p.Endpoint != as.AuthorizationEndpoint: // as in Client.confirm
		return nil, notResumable("the issuer has another authorization_endpoint since")
	case p.ClientID != c.ClientID || p.FAPI2 != c.FAPI2:
		return nil, notResumable("it is one of another client")
	case age > maxPending:
		return nil, notResumable("it has waited for too long")
	case age < -defaultClockTolerance:
		return nil, notResumable("it is from the future; is the clock of this machine right?")
	case len(p.State) < minValue || len(p.CodeVerifier) < minValue || asked.openID() != (len(p.Nonce) >= minValue),
		p.MaxAge != nil && *p.MaxAge < 0, checkRedirectURI(p.RedirectURI) != nil:
		return nil, notResumable("it is incomplete")
	}
	dpop, err := p.DPoP.dpop()
	if err != nil {
		return nil, notResumable("its DPoP key cannot be read")
	}
	secrets := flowSecrets{state: p.State, nonce: p.Nonce, verifier: p.CodeVerifier}
	flow := &Flow{
		URL: p.URL, URLExpiry: p.URLExpiry, RedirectURI: p.RedirectURI, client: c, as: as, asked: asked, created: p.CreatedAt,
		promisesISS: p.PromisesISS, dpop: dpop, secret: func() flowSecrets { return secrets },
	}
	flow.copied.Store(true)
	return flow, nil
}

func notResumable(reason string) error { return fmt.Errorf("%w: %s", ErrNotResumable, reason) }

// Complete is Exchange for a whole redirect URL: as the person copies it from the
// browser, or as the system hands it to a program that takes the links of its scheme
// (RFC 8252, section 7.1). Its scheme, host and path have to be those of
// RedirectURI; another page's address leads to ErrNotOurs.
//
// Where the answer is posted, that is where ResponseMode is form_post or
// form_post.jwt, it is in no address: give the form to Exchange.
func (f *Flow) Complete(ctx context.Context, redirectURL string) (*Token, error) {
	if !f.made() {
		return nil, argumentError("the flow does not come from Authorize or Resume")
	}
	if strings.HasPrefix(f.asked.responseMode, modeFormPost) {
		return nil, argumentError("the answer of this login is posted, and in no address")
	}
	address, err := url.Parse(strings.TrimSpace(redirectURL))
	if err != nil || !samePlace(address, f.RedirectURI) {
		return nil, fmt.Errorf("%w: it is the address of another page, or incomplete", ErrNotOurs) // the cause quotes it
	}
	params, err := ParseAuthResponse(address.RawQuery)
	if err != nil {
		return nil, err
	}
	return f.Exchange(ctx, params)
}

// samePlace compares an address as a browser shows it with a redirect URI, without
// the query, which the answer is in, and the fragment, which some providers add.
func samePlace(address *url.URL, redirectURI string) bool {
	u, err := url.Parse(redirectURI)
	if err != nil || address.User != nil || address.Scheme != u.Scheme || address.Opaque != u.Opaque {
		return false
	}
	return origin(address) == origin(u) && cmp.Or(address.EscapedPath(), "/") == cmp.Or(u.EscapedPath(), "/")
}

// spend reports whether the flow, or any copy of it that the client has, has not
// had its redirect before.
func (f *Flow) spend() bool {
	return f.spent.CompareAndSwap(false, true) && (!f.copied.Load() || f.client.completed.add(f.secret().state))
}

// completedLogins are those of which there may be copies. The zero value is ready
// for use.
type completedLogins struct {
	mu   sync.Mutex
	seen map[[sha256.Size]byte]time.Time // by the hash of their state
}

// add reports whether a login was not there.
func (c *completedLogins) add(state string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[[sha256.Size]byte]time.Time{}
	}
	for login, since := range c.seen {
		if time.Since(since) > maxPending+defaultClockTolerance { // its copies are too old
			delete(c.seen, login)
		}
	}
	login := sha256.Sum256([]byte(state))
	if _, seen := c.seen[login]; seen {
		return false
	}
	c.seen[login] = time.Now()
	return true
}
