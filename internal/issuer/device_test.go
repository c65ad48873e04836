package issuer_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// device asks for codes.
func device(t *testing.T, iss *issuer.Issuer) *reply {
	t.Helper()
	r := post(t, iss.URL()+"/device-authorization", url.Values{"client_id": {"demo"}, "scope": {"openid offline_access other"}})
	if r.status != http.StatusOK {
		t.Fatalf("%d %v", r.status, r.body)
	}
	return r
}

// poll asks whether the person has decided.
func poll(t *testing.T, iss *issuer.Issuer, codes *reply, changes ...string) *reply {
	t.Helper()
	return post(t, iss.URL()+"/token", change(url.Values{
		"grant_type":  {"urn:ietf:params:oauth:grant-type:device_code"},
		"client_id":   {"demo"},
		"device_code": {codes.string("device_code")},
	}, changes...))
}

// decide goes through the pages of the issuer.
func decide(t *testing.T, v *issuer.Visitor, address string) *issuer.Page {
	t.Helper()
	page, err := v.Visit(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestDeviceGrant(t *testing.T) {
	now := newClock()
	iss := start(t, &issuer.Options{Now: now.now})
	codes := device(t, iss)
	if codes.body["interval"] != 5.0 || codes.body["expires_in"] != 600.0 || codes.header.Get("Cache-Control") != "no-store" ||
		!regexp.MustCompile(`^[B-Z]{4}-[B-Z]{4}$`).MatchString(codes.string("user_code")) ||
		codes.string("verification_uri_complete") != codes.string("verification_uri")+"?user_code="+codes.string("user_code") {
		t.Errorf("%v with %v", codes.body, codes.header)
	}
	refused(t, poll(t, iss, codes), http.StatusBadRequest, "slow_down")
	now.advance(5 * time.Second)
	refused(t, poll(t, iss, codes), http.StatusBadRequest, "authorization_pending")
	now.advance(4 * time.Second)
	refused(t, poll(t, iss, codes), http.StatusBadRequest, "slow_down")
	page := decide(t, new(issuer.Visitor), codes.string("verification_uri_complete"))
	if !strings.HasSuffix(page.URL, "/oauth2/device/done") || page.Status != http.StatusOK {
		t.Errorf("the visit ended with %d at %s", page.Status, page.URL)
	}
	now.advance(5 * time.Second)
	r := poll(t, iss, codes)
	if r.status != http.StatusOK || r.string("access_token") == "" || r.string("refresh_token") == "" || r.body["scope"] != "openid offline_access" {
		t.Fatalf("%d %v", r.status, r.body)
	}
	if claims := part(t, r.string("id_token"), 1); claims["nonce"] != nil || claims["aud"] != "demo" {
		t.Errorf("ID token with %v", claims)
	}
	now.advance(5 * time.Second)
	refused(t, poll(t, iss, codes), http.StatusBadRequest, "invalid_grant") // once
}

func TestDeviceGrantRefuses(t *testing.T) {
	now := newClock()
	iss := start(t, &issuer.Options{Now: now.now, Clients: []issuer.Client{{ID: "demo"}, {ID: "other"}}, DeviceInterval: time.Second})
	denied, late := device(t, iss), device(t, iss)
	decide(t, &issuer.Visitor{Deny: true}, denied.string("verification_uri_complete"))
	decide(t, new(issuer.Visitor), denied.string("verification_uri_complete")) // the first decision counts
	now.advance(time.Second)
	refused(t, poll(t, iss, denied), http.StatusBadRequest, "access_denied")
	refused(t, poll(t, iss, late, "client_id", "other"), http.StatusBadRequest, "invalid_grant")
	refused(t, poll(t, iss, late, "device_code", "x"), http.StatusBadRequest, "invalid_grant")
	refused(t, poll(t, iss, late, "device_code", "-"), http.StatusBadRequest, "invalid_request")
	now.advance(10 * time.Minute)
	refused(t, poll(t, iss, late), http.StatusBadRequest, "expired_token")
	refused(t, post(t, iss.URL()+"/device-authorization", url.Values{"client_id": {"unknown"}}), http.StatusBadRequest, "invalid_client")
	refused(t, post(t, iss.URL()+"/device-authorization", url.Values{"client_id": {"demo"}, "scope": {"other"}}), http.StatusBadRequest, "invalid_scope")
	if page := decide(t, new(issuer.Visitor), late.string("verification_uri_complete")); page.Status != http.StatusUnprocessableEntity {
		t.Errorf("an expired code: %d at %s", page.Status, page.URL)
	}
}

// The person types the code in as they like, and compares it with the one on the consent page.
func TestDevicePages(t *testing.T) {
	iss := start(t, nil)
	codes := device(t, iss)
	b := newBrowser(t)
	entry := b.open(codes.string("verification_uri"))
	if entry.status != http.StatusOK || !strings.Contains(entry.body, `name="user_code"`) {
		t.Errorf("%d %s", entry.status, entry.body)
	}
	if wrong := b.open(codes.string("verification_uri") + "?user_code=AAAA-AAAA"); wrong.status != http.StatusUnprocessableEntity || !strings.Contains(wrong.body, "unknown") {
		t.Errorf("%d %s", wrong.status, wrong.body)
	}
	typed := strings.ToLower(strings.ReplaceAll(codes.string("user_code"), "-", " "))
	signIn := b.open(codes.string("verification_uri") + "?user_code=" + url.QueryEscape(typed))
	consent := b.send(iss.URL()+"/oauth2/sign-in", signIn.form("username", "ada", "password", "x"))
	if !strings.Contains(consent.body, codes.string("user_code")) {
		t.Errorf("the consent page does not show the code: %s", consent.body)
	}
}
