package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
	"github.com/oauth-login/oauth-login/store"
)

// TestNotes is how the authors of such a program test it: without network, account or browser.
func TestNotes(t *testing.T) {
	iss := issuertest.NewWith(t, &issuertest.Options{Scopes: []string{"private"}})
	var out, say bytes.Buffer
	n := &notes{out: &out, say: &say, open: iss.Open, pending: filepath.Join(t.TempDir(), "pending")}
	n.use(&grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid", "offline_access"}, AllowInsecureRequests: true}, new(store.Memory))
	does := func(verb, argument, want string) {
		t.Helper()
		out.Reset()
		if err := n.run(t.Context(), verb, argument); err != nil || strings.TrimSpace(out.String()) != want {
			t.Errorf("%s printed %q, %v, want %q", verb, out.String(), err, want)
		}
	}
	public, private := iss.API(issuertest.Demand{}), iss.API(issuertest.Demand{Scopes: []string{"private"}})
	does("get", public, `{"user":"ada"}`)
	does("get", private, `{"user":"ada"}`)
	if got := iss.LastAuthorization().Get("scope"); got != "openid offline_access private" || !strings.Contains(say.String(), "private") {
		t.Errorf("it asked for %q and said %s", got, &say)
	}
	iss.ExpireAccessTokens()
	logins := iss.Requests("authorize")
	does("get", public, `{"user":"ada"}`)
	if iss.Requests("authorize") != logins {
		t.Error("the person had to sign in for a refresh")
	}
	does("logout", "", "")
	if n.run(t.Context(), "whoami", "") == nil {
		t.Error("somebody is signed in")
	}
}

// TestTwoPhases: the person answers later, to another run of the program.
func TestTwoPhases(t *testing.T) {
	iss := issuertest.New(t)
	var out bytes.Buffer
	n := &notes{out: &out, say: &out, pending: filepath.Join(t.TempDir(), "pending")}
	n.use(&grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid"}, AllowInsecureRequests: true}, new(store.Memory))
	if err := n.run(t.Context(), "start", ""); err != nil {
		t.Fatal(err)
	}
	redirectURL, err := iss.Redirect(t.Context(), strings.TrimSpace(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	if n.run(t.Context(), "complete", "http://127.0.0.1/callback?code=x&state=y") == nil {
		t.Error("the address of another login will do")
	}
	if err := n.run(t.Context(), "complete", redirectURL); err != nil {
		t.Fatal(err)
	}
	if n.run(t.Context(), "complete", redirectURL) == nil {
		t.Error("a login was completed twice")
	}
	out.Reset()
	if err := n.run(t.Context(), "whoami", ""); err != nil || out.Len() < 2 {
		t.Errorf("printed %q, %v", &out, err)
	}
}
