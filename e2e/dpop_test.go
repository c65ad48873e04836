package e2e

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// dpopProvider takes proofs with its nonce only, from a public client and from one that signs its assertions, for which no identifier
// may be used twice.
func dpopProvider(t *testing.T, ttl int) (*provider, *credential) {
	t.Helper()
	c := &credential{method: "private_key_jwt", metadata: nativeClient()}
	var jwk object
	c.key, jwk = anyKey(t, "ES256")
	public := nativeClient()
	for name, value := range (object{"client_id": "confidential", "token_endpoint_auth_method": c.method, "jwks": object{"keys": []object{jwk}}}) {
		c.metadata[name] = value
	}
	c.metadata["dpop_bound_access_tokens"], public["dpop_bound_access_tokens"] = true, true
	return startProvider(t, providerConfig{
		AlwaysRefresh: true, DPoPNonces: true, Behavior: behavior{AccessTokenTTL: ttl},
		Configuration: object{"clients": []object{public, c.metadata}},
	}), c
}

// answered returns the statuses of the requests for a path, in order.
func answered(t *testing.T, p *provider, path string) (statuses []int) {
	t.Helper()
	for _, r := range p.requests(t) {
		if r.Path == path {
			statuses = append(statuses, r.Status)
		}
	}
	return statuses
}

// TestPackageDPoP binds tokens to a key: at the login, at a refresh, for userinfo and for any resource.
func TestPackageDPoP(t *testing.T) {
	for _, id := range []string{"native", "confidential"} {
		t.Run(id, func(t *testing.T) {
			p, c := dpopProvider(t, 3600)
			client := &grant.Client{Issuer: p.Issuer, ClientID: id, Scopes: []string{"openid"}, DPoPBoundAccessTokens: true, AllowInsecureRequests: true}
			if id == "confidential" {
				client.Key = c.key
			}
			token := loginBy(t, client, func(address string) { get(t, signInByHand(t, address, person{Login: "alice"})) })
			if token.TokenType != "dpop" || token.DPoP == nil {
				t.Fatalf("a token of the type %q", token.TokenType)
			}
			if got := answered(t, p, "/token"); !slices.Equal(got, []int{400, 200}) {
				t.Errorf("token requests were answered with %d, want one more for the nonce", got)
			}

			// From the store, as another process would have it: without a nonce.
			data, err := token.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			stored := new(grant.Token)
			if err := stored.UnmarshalBinary(data); err != nil {
				t.Fatal(err)
			}
			refreshed, err := client.Refresh(t.Context(), stored)
			if err != nil {
				t.Fatal(err)
			}
			if got := answered(t, p, "/token"); !slices.Equal(got, []int{400, 200, 400, 200}) {
				t.Errorf("token requests were answered with %d", got)
			}
			userinfo, err := client.Userinfo(t.Context(), refreshed)
			if err != nil || userinfo.Subject != "alice" {
				t.Errorf("userinfo is about %v: %v", userinfo, err)
			}
			checkBound(t, p, client, refreshed)
			client.CloseIdleConnections()
		})
	}
}

// checkBound asks for a resource, with the token and a proof and then with the token alone.
func checkBound(t *testing.T, p *provider, client *grant.Client, token *grant.Token) {
	t.Helper()
	source := &store.Source{Client: client, Store: &store.Memory{}, Login: func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
		return token, save(ctx, token)
	}}
	resp, err := source.HTTPClient().Get(p.Issuer + "/me?a=b")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("a resource answered %s", resp.Status)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Issuer+"/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+string(token.AccessToken))
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the token alone was answered with %s: it is not bound", resp.Status)
	}
}

// TestDPoP is TestPackageDPoP with the command.
func TestDPoP(t *testing.T) {
	p, credential := dpopProvider(t, 2)
	k := startKeyring(t)
	c := newCommand(t, k)
	key := writeFile(t, "key.pem", privatePEM(t, credential.key))
	for id, args := range map[string][]string{"native": nil, "confidential": {"--client-key", key}} {
		t.Run(id, func(t *testing.T) {
			chosen := []string{"--issuer", p.Issuer, "--client-id", id}
			running := c.start(t, slices.Concat(chosen, args, []string{"--no-browser", "--dpop"})...)
			get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
			r := running.wait(t)
			if r.expect(t, exitDone); r.says("warning") {
				t.Errorf("stderr has a warning:\n%s", r.stderr)
			}
			time.Sleep(3 * time.Second)
			if r = c.run(t, append([]string{"token"}, chosen...)...); !r.says("bound to a key", "hint:") {
				t.Errorf("stderr does not say that the token is bound:\n%s", r.stderr)
			}
			r.expect(t, exitDone)
			if r = c.run(t, append([]string{"userinfo"}, chosen...)...); !strings.Contains(r.stdout, "alice") {
				t.Errorf("userinfo prints %q and says\n%s", r.stdout, r.stderr)
			}
			c.run(t, append([]string{"logout"}, chosen...)...).expect(t, exitDone)
			if n := k.items(t); n != 0 {
				t.Errorf("%d items are left in the keychain", n)
			}
		})
	}
	for _, r := range p.requests(t) {
		if bound := r.Headers["dpop"] != ""; bound != (r.Path == "/token" || r.Path == "/me") {
			t.Errorf("%s %s has a proof: %t", r.Method, r.Path, bound)
		}
	}
}
