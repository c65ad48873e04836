package issuer

import (
	"crypto/rand"
	"net/http"
	"strings"
	"time"
)

// deviceTTL is the lifetime of a device code and its user code.
const deviceTTL = 10 * time.Minute

// deviceCode is one device authorization request and what has become of it (RFC 8628, section 3).
type deviceCode struct {
	client  *Client
	scopes  []string
	user    string // the code that the person types in
	expires time.Time
	polled  time.Time // when it was asked for last
	grant   *grant    // nil until the person has allowed it
	denied  bool
	used    bool
}

// serveDeviceAuthorization is the device authorization endpoint (RFC 8628, section 3.1).
func (i *Issuer) serveDeviceAuthorization(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	body, failure := i.answerDeviceAuthorization(w, r)
	if failure != nil {
		failure.announce(w)
		writeJSON(w, "application/json", failure.status(), failure.body())
		return
	}
	if i.opts.Device != nil {
		i.opts.Device(body)
	}
	writeJSON(w, "application/json", http.StatusOK, body)
}

// answerDeviceAuthorization makes the two codes (RFC 8628, section 3.2).
func (i *Issuer) answerDeviceAuthorization(w http.ResponseWriter, r *http.Request) (map[string]any, *oauthError) {
	form, client, failure := i.clientRequest(w, r)
	if failure != nil {
		return nil, failure
	}
	scopes, failure := i.grantable(form.Get("scope"))
	if failure != nil {
		return nil, failure
	}
	value, d := i.ledger.newDevice(client, scopes)
	page := i.origin + i.base + devicePath
	return map[string]any{
		"device_code":               value,
		"user_code":                 d.user,
		"verification_uri":          page,
		"verification_uri_complete": page + "?user_code=" + d.user,
		"expires_in":                int64(deviceTTL / time.Second),
		"interval":                  i.opts.DeviceInterval.Seconds(),
	}, nil
}

// deviceView is what the page shows on which the person types the code.
type deviceView struct{ Action, Problem string }

func (deviceView) title() string { return "Sign in on another device" }

func (v deviceView) write(m *markup) {
	invalid := m.problem(v.Problem)
	m.add(`<form method="get" action="%s">
<label for="user_code">Code that your device shows</label>
<input type="text" id="user_code" name="user_code" required maxlength="16" autocomplete="off" autocapitalize="characters" spellcheck="false" autofocus`,
		v.Action)
	m.WriteString(invalid + `>
<div class="buttons"><button type="submit">Continue</button></div>
</form>
`)
}

// serveDevice is the verification URI (RFC 8628, section 3.3): with a right code it hands over to the pages of sign-in and
// consent, which shows the code again (section 3.3.1).
func (i *Issuer) serveDevice(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	view := deviceView{Action: i.base + devicePath}
	typed := r.URL.Query().Get("user_code")
	if typed == "" {
		i.render(w, http.StatusOK, view)
		return
	}
	d := i.ledger.findDevice(typed)
	if d == nil {
		view.Problem = "This code is unknown or has expired."
		i.render(w, http.StatusUnprocessableEntity, view)
		return
	}
	i.interact(w, r, &authRequest{client: d.client, scopes: d.scopes, device: d, maxAge: -1, started: i.opts.Now()})
}

// showDeviceDone is the end of the way of the browser; the device learns the decision by asking.
func (i *Issuer) showDeviceDone(w http.ResponseWriter, _ *http.Request) {
	i.say(w, http.StatusOK, "That was it", "Go back to your device. You can close this window.")
}

// newDevice hands out a device code and a user code.
func (l *ledger) newDevice(client *Client, scopes []string) (string, *deviceCode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	value := l.newSecret()
	l.prune()
	d := &deviceCode{client: client, scopes: scopes, user: userCode(), expires: l.now().Add(deviceTTL), polled: l.now()}
	l.devices[digestOf(value)] = d
	return value, d
}

// findDevice returns the request with a user code that waits for a decision, nil for none. Case and everything that is no
// letter do not matter (RFC 8628, section 6.1).
func (l *ledger) findDevice(typed string) *deviceCode {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.devices {
		if sameSecret(plainCode(d.user), plainCode(typed)) && l.now().Before(d.expires) && d.grant == nil && !d.denied {
			return d
		}
	}
	return nil
}

// decideDevice takes the person's decision: a grant, or nil for a no.
func (l *ledger) decideDevice(d *deviceCode, g *grant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d.grant == nil && !d.denied { // the first decision counts
		d.grant, d.denied = g, g == nil
	}
}

// poll exchanges a device code, once the person has allowed it (RFC 8628, sections 3.4 and 3.5).
func (l *ledger) poll(client *Client, value string, interval time.Duration, jkt string) (*tokens, *oauthError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, now := l.devices[digestOf(value)], l.now()
	switch {
	case d == nil || d.used:
		return nil, invalidGrant("unknown device code")
	case d.client != client:
		return nil, invalidGrant("the device code was given to another client")
	case !now.Before(d.expires):
		return nil, &oauthError{code: "expired_token", description: "the device code has expired"}
	}
	early := now.Sub(d.polled) < interval
	d.polled = now
	switch {
	case early:
		return nil, &oauthError{code: "slow_down", description: "the client asks too often"}
	case d.denied:
		d.used = true
		return nil, &oauthError{code: "access_denied", description: "the user denied access"}
	case d.grant == nil:
		return nil, &oauthError{code: "authorization_pending", description: "the user has not decided yet"}
	case d.grant.revoked:
		return nil, invalidGrant("the device code was revoked")
	}
	d.used = true
	return l.issue(d.grant, d.grant.scopes, jkt, true), nil
}

// userCode returns eight letters without vowels, in two groups (RFC 8628, section 6.1).
func userCode() string {
	const letters = "BCDFGHJKLMNPQRSTVWXZ"
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	for n := range b {
		b[n] = letters[int(b[n])%len(letters)]
	}
	return string(b[:4]) + "-" + string(b[4:])
}

func plainCode(code string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c
		}
		return -1
	}, strings.ToUpper(code))
}
