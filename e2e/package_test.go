package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
)

// loginBy signs in with the packages, where visit is the browser and the person in front of it.
func loginBy(t *testing.T, client *grant.Client, visit func(address string)) *grant.Token {
	t.Helper()
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	token, err := loopback.Login(ctx, client, &loopback.Options{Open: func(_ context.Context, address string) error {
		visit(address)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if token.IDToken == nil || token.IDToken.Subject != "alice" {
		t.Errorf("signed in as %v", token.IDToken)
	}
	return token
}

// newKey returns a private key, and its public part as client metadata have it.
func newKey(t *testing.T) (*ecdsa.PrivateKey, object) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, object{"keys": []object{publicJWK(t, key)}}
}

func publicJWK(t *testing.T, key *ecdsa.PrivateKey) object {
	t.Helper()
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return object{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:]), "use": "sig"}
}

// privateJWK is a key that the provider signs with.
func privateJWK(t *testing.T, key *ecdsa.PrivateKey) object {
	t.Helper()
	d, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	jwk := publicJWK(t, key)
	jwk["d"] = base64.RawURLEncoding.EncodeToString(d)
	return jwk
}

// TestPackageResponseModes is TestResponseModes without the command.
func TestPackageResponseModes(t *testing.T) {
	p := startProvider(t, providerConfig{Configuration: object{"features": object{"jwtResponseModes": object{"enabled": true}}}})
	b := startBrowser(t)
	for _, mode := range []string{"form_post", "jwt", "form_post.jwt"} {
		t.Run(mode, func(t *testing.T) {
			client := &grant.Client{Issuer: p.Issuer, ClientID: "native", Scopes: []string{"openid"}, ResponseMode: mode, AllowInsecureRequests: true}
			loginBy(t, client, func(address string) { b.visit(t, address, person{Login: "alice"}) })
		})
	}
}

// TestPackagePushedAuthorizationRequest is TestPushedAuthorizationRequest without the command.
func TestPackagePushedAuthorizationRequest(t *testing.T) {
	p := startProvider(t, providerConfig{Configuration: object{"features": object{
		"pushedAuthorizationRequests": object{"enabled": true, "requirePushedAuthorizationRequests": true},
	}}})
	client := &grant.Client{Issuer: p.Issuer, ClientID: "native", Scopes: []string{"openid"}, AllowInsecureRequests: true}
	loginBy(t, client, func(address string) { get(t, signInByHand(t, address, person{Login: "alice"})) })
}

// TestPackageRequestObject signs in where the provider takes signed requests only, in the URL and pushed.
func TestPackageRequestObject(t *testing.T) {
	key, keys := newKey(t)
	metadata := nativeClient()
	metadata["jwks"], metadata["request_object_signing_alg"], metadata["require_signed_request_object"] = keys, "ES256", true
	p := startProvider(t, providerConfig{Configuration: object{"clients": []object{metadata}, "features": object{
		"requestObjects":              object{"enabled": true, "requireSignedRequestObject": true},
		"pushedAuthorizationRequests": object{"enabled": true},
		"claimsParameter":             object{"enabled": true},
	}}})
	for name, push := range map[string]bool{"in the URL": false, "pushed": true} {
		t.Run(name, func(t *testing.T) {
			client := &grant.Client{
				Issuer: p.Issuer, ClientID: "native", Key: key, TokenEndpointAuthMethod: "none", RequirePushedAuthorizationRequests: push,
				Scopes: []string{"openid"}, MaxAge: new(60), Claims: json.RawMessage(`{"id_token":{"email":{"essential":true}}}`), AllowInsecureRequests: true,
			}
			token := loginBy(t, client, func(address string) {
				want := []string{"client_id", "request"}
				if push {
					want = []string{"client_id", "request_uri"}
				}
				if got := parameters(t, address); !slices.Equal(got, want) {
					t.Errorf("authorization URL has the parameters %q", got)
				}
				get(t, signInByHand(t, address, person{Login: "alice"}))
			})
			var claims struct{ Email string }
			if err := token.IDToken.Claims(&claims); err != nil || claims.Email != "alice@example.test" {
				t.Errorf("the claims that were asked for are %v, %v", claims, err)
			}
		})
	}
}

// resources of TestPackageResources, of which the second would be another one if it were normalised.
var resources = []string{"https://api.example/a", "https://API.example:443/b"}

// TestPackageResources asks for resources, and for the same ones again with every refresh.
func TestPackageResources(t *testing.T) {
	p := startProvider(t, providerConfig{AlwaysRefresh: true, Resources: resources})
	for _, resource := range resources {
		client := &grant.Client{Issuer: p.Issuer, ClientID: "native", Scopes: []string{"openid", "read"}, Resources: []string{resource}, AllowInsecureRequests: true}
		token := loginBy(t, client, func(address string) { get(t, signInByHand(t, address, person{Login: "alice"})) })
		if got := audienceOf(t, token.AccessToken); got != resource {
			t.Errorf("the token is for %v, want %s", got, resource)
		}
		token, err := client.Refresh(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if got := audienceOf(t, token.AccessToken); got != resource {
			t.Errorf("the refreshed token is for %v, want %s", got, resource)
		}
	}
	for _, r := range p.requests(t) {
		if (r.Path == "/auth" || r.Path == "/token") && !slices.Contains(resources, r.Parameters["resource"].(string)) {
			t.Errorf("%s was asked for the resource %v", r.Path, r.Parameters["resource"])
		}
	}
}

// audienceOf reads aud of an access token, which is the provider's business and nobody else's.
func audienceOf(t *testing.T, accessToken grant.Secret) any {
	t.Helper()
	_, rest, _ := strings.Cut(string(accessToken), ".")
	payload, _, _ := strings.Cut(rest, ".")
	data, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Aud any }
	if err := json.Unmarshal(data, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Aud
}

// fapiProvider is an https issuer that takes nothing but FAPI 2.0.
func fapiProvider(t *testing.T, ca *authority, keys object) *provider {
	t.Helper()
	signing, _ := newKey(t)
	algorithms := []string{"PS256", "ES256", "EdDSA"}
	metadata := nativeClient()
	for name, value := range (object{
		"token_endpoint_auth_method": "private_key_jwt", "jwks": keys, "dpop_bound_access_tokens": true, "require_pushed_authorization_requests": true,
		"token_endpoint_auth_signing_alg": "ES256", "id_token_signed_response_alg": "ES256",
		"authorization_signed_response_alg": "ES256", "request_object_signing_alg": "ES256",
	}) {
		metadata[name] = value
	}
	return startProvider(t, providerConfig{TLS: ca, AlwaysRefresh: true, Configuration: object{
		"clients": []object{metadata}, "jwks": object{"keys": []object{privateJWK(t, signing)}},
		"clientAuthMethods": []string{"private_key_jwt"},
		"enabledJWA": object{
			"clientAuthSigningAlgValues": algorithms, "idTokenSigningAlgValues": []string{"ES256"}, "dPoPSigningAlgValues": algorithms,
			"authorizationSigningAlgValues": []string{"ES256"}, "requestObjectSigningAlgValues": algorithms,
		},
		"features": object{
			"fapi":                        object{"enabled": true, "profile": "2.0"},
			"pushedAuthorizationRequests": object{"enabled": true, "requirePushedAuthorizationRequests": true},
			"dPoP":                        object{"enabled": true}, "jwtResponseModes": object{"enabled": true}, "requestObjects": object{"enabled": true},
		},
	}})
}

// TestPackageFAPI signs in with the FAPI 2.0 mode at a provider in the same mode, and with Message Signing on top.
func TestPackageFAPI(t *testing.T) {
	ca := newAuthority(t)
	key, keys := newKey(t)
	p := fapiProvider(t, ca, keys)
	for name, setup := range map[string]func(c *grant.Client){
		"Security Profile": func(*grant.Client) {},
		"Message Signing":  func(c *grant.Client) { c.RequireSignedRequestObject, c.ResponseMode = true, "jwt" },
	} {
		t.Run(name, func(t *testing.T) {
			transport := ca.transport(t)
			client := &grant.Client{Issuer: p.Issuer, ClientID: "native", Key: key, FAPI2: true, Scopes: []string{"openid"}, HTTPClient: &http.Client{Transport: transport}}
			setup(client)
			token := loginBy(t, client, func(address string) {
				if got := parameters(t, address); !slices.Equal(got, []string{"client_id", "request_uri"}) {
					t.Errorf("authorization URL has the parameters %q", got)
				}
				get(t, signInWith(t, transport, address, person{Login: "alice"}))
			})
			if token.TokenType != "dpop" || token.DPoP == nil {
				t.Errorf("a token of the type %q", token.TokenType)
			}
			if _, err := client.Refresh(t.Context(), token); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPackageFAPIRefuses proves that a provider that is not up to FAPI 2.0 is not asked for a login.
func TestPackageFAPIRefuses(t *testing.T) {
	ca := newAuthority(t)
	key, keys := newKey(t)
	metadata := nativeClient()
	metadata["token_endpoint_auth_method"], metadata["jwks"] = "private_key_jwt", keys
	p := startProvider(t, providerConfig{TLS: ca, Configuration: object{"clients": []object{metadata}, "features": object{"dPoP": object{"enabled": false}}}})
	client := &grant.Client{
		Issuer: p.Issuer, ClientID: "native", Key: key, FAPI2: true, Scopes: []string{"openid"},
		HTTPClient: &http.Client{Transport: ca.transport(t)},
	}
	_, err := client.Authorize(t.Context(), "http://127.0.0.1:8000/callback")
	if err == nil || !strings.Contains(err.Error(), "FAPI 2.0 demands") {
		t.Errorf("got %v", err)
	}
	if n := len(p.requests(t)); n != p.count(t, "/.well-known/openid-configuration") {
		t.Errorf("the provider had %d requests", n)
	}
}
