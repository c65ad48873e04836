package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// TestRequestObject signs in where the provider takes signed requests only, and where the flag asks for one.
func TestRequestObject(t *testing.T) {
	key, keys := newKey(t)
	file := writeFile(t, "key.pem", privatePEM(t, key))
	for _, tt := range []struct {
		name     string
		required bool
		args     []string
		want     []string
	}{
		{"required", true, nil, []string{"client_id", "request"}},
		{"--jar", false, []string{"--jar"}, []string{"client_id", "request"}},
		{"--jar --par", false, []string{"--jar", "--par"}, []string{"client_id", "request_uri"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			metadata := nativeClient()
			metadata["token_endpoint_auth_method"], metadata["token_endpoint_auth_signing_alg"] = "private_key_jwt", "ES256"
			metadata["jwks"], metadata["request_object_signing_alg"] = keys, "ES256"
			p := startProvider(t, providerConfig{Configuration: object{"clients": []object{metadata}, "features": object{
				"requestObjects":              object{"enabled": true, "requireSignedRequestObject": tt.required},
				"pushedAuthorizationRequests": object{"enabled": true},
			}}})
			c := newCommand(t, startKeyring(t))
			running := c.start(t, login(p, append(tt.args, "--client-key", file, "--no-browser")...)...)
			address := running.url(t)
			if got := parameters(t, address); !slices.Equal(got, tt.want) {
				t.Errorf("authorization URL has the parameters %q", got)
			}
			if status := get(t, signInByHand(t, address, person{Login: "alice"})); status != http.StatusOK {
				t.Errorf("last page has status %d", status)
			}
			running.wait(t).expect(t, exitDone)
		})
	}
}

// TestResource asks for a resource with the flag, and for the same one again when the token has expired.
func TestResource(t *testing.T) {
	p := startProvider(t, providerConfig{AlwaysRefresh: true, Resources: resources, Behavior: behavior{AccessTokenTTL: 1}})
	c := newCommand(t, startKeyring(t))
	running := c.start(t, login(p, "--resource", resources[1], "--scope", "openid read", "--no-browser")...)
	get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
	running.wait(t).expect(t, exitDone)
	p.behave(t, behavior{AccessTokenTTL: 3600})
	for deadline := time.Now().Add(10 * time.Second); ; {
		r := c.run(t, "token")
		r.expect(t, exitDone)
		if got := audienceOf(t, grant.Secret(r.stdout)); got != resources[1] {
			t.Errorf("the token is for %v, want %s", got, resources[1])
		}
		if slices.Contains(p.grants(t), "refresh_token") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the token does not expire")
		}
	}
	for _, r := range p.requests(t) {
		if (r.Path == "/auth" || r.Path == "/token") && r.Parameters["resource"] != resources[1] {
			t.Errorf("%s was asked for the resource %v", r.Path, r.Parameters["resource"])
		}
	}
}

// TestFAPI signs in with --fapi2 at an https provider that takes nothing else, and refreshes the token later without flags.
func TestFAPI(t *testing.T) {
	ca := newAuthority(t)
	key, keys := newKey(t)
	p := fapiProvider(t, ca, keys)
	p.behave(t, behavior{AccessTokenTTL: 1})
	c := newCommand(t, startKeyring(t))
	args := []string{"--fapi2", "--jar", "--response-mode", "jwt", "--client-key", writeFile(t, "key.pem", privatePEM(t, key)), "--ca-cert", ca.file(t), "--no-browser"}
	running := c.start(t, login(p, args...)...)
	address := running.url(t)
	if got := parameters(t, address); !slices.Equal(got, []string{"client_id", "request_uri"}) {
		t.Errorf("authorization URL has the parameters %q", got)
	}
	get(t, signInWith(t, ca.transport(t), address, person{Login: "alice"}))
	running.wait(t).expect(t, exitDone)
	for deadline := time.Now().Add(10 * time.Second); !slices.Contains(p.grants(t), "refresh_token"); {
		c.run(t, "token").expect(t, exitDone)
		if time.Now().After(deadline) {
			t.Fatal("the token does not expire")
		}
	}
	for _, r := range p.requests(t) {
		if (r.Path == "/token" || r.Path == "/request") && (r.Headers["dpop"] == "" || r.Parameters["client_assertion"] == nil) {
			t.Errorf("a request to %s without a proof or an assertion", r.Path)
		}
	}
}
