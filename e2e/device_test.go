package e2e

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// deviceProvider is a provider with the device grant, for a client that may use it.
func deviceProvider(t *testing.T) *provider {
	t.Helper()
	metadata := nativeClient()
	metadata["grant_types"] = append(metadata["grant_types"].([]string), "urn:ietf:params:oauth:grant-type:device_code")
	return startProvider(t, providerConfig{AlwaysRefresh: true, Configuration: object{
		"clients": []object{metadata}, "features": object{"deviceFlow": object{"enabled": true}},
	}})
}

var userCode = regexp.MustCompile(`(?m)^[B-Z]{4}-[B-Z]{4}$`)

// TestDevice signs in with a real browser that is on another device, as far as the command knows.
func TestDevice(t *testing.T) {
	p := deviceProvider(t)
	k := startKeyring(t)
	c := newCommand(t, k)
	b := startBrowser(t)
	running := c.start(t, login(p, "--device")...)
	address := running.url(t)
	code := userCode.FindString(running.stderr.String())
	for deadline := time.Now().Add(5 * time.Second); code == "" && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		code = userCode.FindString(running.stderr.String())
	}
	if v := b.visit(t, address, person{Login: "alice", Code: code}); v.Title != "Sign-in Success" {
		t.Errorf("last page: %q, %q", v.Title, v.Text)
	}
	r := running.wait(t)
	if r.expect(t, exitDone); !r.says("signed in as alice") || k.items(t) == 0 {
		t.Errorf("%d items are stored; stderr:\n%s", k.items(t), r.stderr)
	}
	c.run(t, "token").expect(t, exitDone)
	if n := p.count(t, "/auth"); n != 0 {
		t.Errorf("%d authorization requests", n)
	}
}

// TestDeviceRefused says no on the other device.
func TestDeviceRefused(t *testing.T) {
	p := deviceProvider(t)
	c := newCommand(t, startKeyring(t))
	running := c.start(t, login(p, "--device")...)
	running.url(t)
	p.behave(t, behavior{Answers: []cannedAnswer{{Path: "/token", Times: 1, Status: 400, Body: object{"error": "access_denied"}}}})
	r := running.wait(t)
	if r.expect(t, exitRefused); !r.says("access_denied", "hint:") {
		t.Errorf("stderr:\n%s", r.stderr)
	}
}

// TestPackageDevice is TestDevice without the command, with the page that has the code already.
func TestPackageDevice(t *testing.T) {
	p := deviceProvider(t)
	b := startBrowser(t)
	client := &grant.Client{Issuer: p.Issuer, ClientID: "native", Scopes: []string{"openid"}, DPoPBoundAccessTokens: true, AllowInsecureRequests: true}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	flow, err := client.AuthorizeDevice(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.visit(t, flow.VerificationURIComplete, person{Login: "alice"})
	token, err := flow.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if token.IDToken.Subject != "alice" || token.TokenType != "dpop" {
		t.Errorf("%s got a token of the type %q", token.IDToken.Subject, token.TokenType)
	}
}
