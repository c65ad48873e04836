package issuer_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

const goodbye = "http://127.0.0.1:50000/goodbye"

// signedInBrowser returns a browser whose person has signed in, and the ID token of it.
func signedInBrowser(t *testing.T, iss *issuer.Issuer) (b *browser, idToken string) {
	t.Helper()
	b, consent := atConsent(t, iss)
	allowed := b.send(iss.URL()+"/oauth2/consent", consent.form("decision", "allow"))
	u, err := url.Parse(allowed.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return b, post(t, iss.URL()+"/token", codeGrant(callback, u.Query())).string("id_token")
}

// isSignedIn reports whether the browser is asked for consent, not for a name.
func (b *browser) isSignedIn(iss *issuer.Issuer) bool {
	b.t.Helper()
	return b.open(authorizeURL(iss)).url.Path == "/oauth2/consent"
}

func signOutIssuer(t *testing.T) *issuer.Issuer {
	t.Helper()
	return start(t, &issuer.Options{Clients: []issuer.Client{
		{ID: "demo", PostLogoutRedirectURIs: []string{"http://127.0.0.1/goodbye"}},
		{ID: "other"},
	}})
}

func TestSignOutWithHint(t *testing.T) {
	iss := signOutIssuer(t)
	b, idToken := signedInBrowser(t, iss)
	if !b.isSignedIn(iss) {
		t.Fatal("nobody is signed in")
	}
	query := url.Values{"id_token_hint": {idToken}, "post_logout_redirect_uri": {goodbye}, "state": {"a b"}}
	v := b.open(iss.URL() + "/oauth2/sign-out?" + query.Encode())
	if got := v.header.Get("Location"); got != goodbye+"?state=a+b" || v.status != http.StatusSeeOther {
		t.Errorf("%d to %q", v.status, got)
	}
	if b.isSignedIn(iss) {
		t.Error("still signed in")
	}
}

func TestSignOutAsks(t *testing.T) {
	iss := signOutIssuer(t)
	b, idToken := signedInBrowser(t, iss)
	query := url.Values{"client_id": {"demo"}, "post_logout_redirect_uri": {goodbye}, "state": {"x"}}
	page := b.open(iss.URL() + "/oauth2/sign-out?" + query.Encode())
	if page.status != http.StatusOK || !b.isSignedIn(iss) {
		t.Fatalf("signed out without asking: %d", page.status)
	}
	if got := page.header.Get("Content-Security-Policy"); !strings.Contains(got, "form-action 'self' http://127.0.0.1:50000;") {
		t.Errorf("Content-Security-Policy: %s", got)
	}
	again := b.open(authorizeURL(iss, "prompt", "login"))
	b.send(iss.URL()+"/oauth2/sign-in", again.form("username", "grace", "password", "x"))
	page = b.open(iss.URL() + "/oauth2/sign-out?" + change(query, "id_token_hint", idToken).Encode())
	if page.status != http.StatusOK || !b.isSignedIn(iss) {
		t.Fatalf("signed out by the ID token of somebody else: %d", page.status)
	}
	if v := b.send(iss.URL()+"/oauth2/sign-out", page.form("decision", "deny")); v.status != http.StatusOK || !b.isSignedIn(iss) {
		t.Errorf("signed out in spite of a no: %d", v.status)
	}
	forged := page.form("decision", "allow", "csrf", "x")
	if v := b.send(iss.URL()+"/oauth2/sign-out", forged); v.status != http.StatusBadRequest || !b.isSignedIn(iss) {
		t.Errorf("signed out by a forged form: %d", v.status)
	}
	v := b.send(iss.URL()+"/oauth2/sign-out", page.form("decision", "allow"))
	if got := v.header.Get("Location"); got != goodbye+"?state=x" || b.isSignedIn(iss) {
		t.Errorf("%d to %q", v.status, got)
	}
}

func TestSignOutRefuses(t *testing.T) {
	iss := signOutIssuer(t)
	b, idToken := signedInBrowser(t, iss)
	for name, query := range map[string]url.Values{
		"target without client":    {"post_logout_redirect_uri": {goodbye}},
		"target that is not known": {"client_id": {"demo"}, "post_logout_redirect_uri": {"https://evil.example/"}},
		"target of another client": {"client_id": {"other"}, "post_logout_redirect_uri": {goodbye}},
		"unknown client":           {"client_id": {"x"}},
		"hint of another client":   {"client_id": {"other"}, "id_token_hint": {idToken}},
		"hint that is not our own": {"id_token_hint": {idToken + "x"}, "post_logout_redirect_uri": {goodbye}},
	} {
		v := b.open(iss.URL() + "/oauth2/sign-out?" + query.Encode())
		if v.status != http.StatusBadRequest || v.header.Get("Location") != "" {
			t.Errorf("%s: %d to %q", name, v.status, v.header.Get("Location"))
		}
	}
	if !b.isSignedIn(iss) {
		t.Error("one of these has signed the person out")
	}
	if v := newBrowser(t).open(iss.URL() + "/oauth2/sign-out"); v.status != http.StatusOK || !strings.Contains(v.body, "signed out") {
		t.Errorf("nobody signed in: %d\n%s", v.status, v.body)
	}
}
