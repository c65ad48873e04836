package grant_test

import (
	"crypto/tls"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// newFAPI returns a client with FAPI 2.0 and a provider that complies.
func newFAPI() (*provider, *grant.Client) {
	p, client := newOIDC()
	client.FAPI2, client.Key = true, keyRS
	client.Server.CodeChallengeMethodsSupported = []string{"S256"}
	client.Server.AuthorizationResponseIssParameterSupported = true
	client.Server.DPoPSigningAlgValuesSupported = []string{"RS256", "ES256"}
	p.jwks = always(200, jwks(jwkES, jwkRS, jwkEd))
	return p, client
}

// fapiAnswer makes the provider answer the flow of the last pushed request with an
// ID token and a token type.
func fapiAnswer(t *testing.T, p *provider, alg, tokenType string) (redirect url.Values) {
	t.Helper()
	form := p.requests("/par")[len(p.requests("/par"))-1].form
	p.token = always(200, members{"access_token": "token", "token_type": tokenType, "refresh_token": "refresh",
		"id_token": mint(alg, idClaims(members{"nonce": form.Get("nonce")}))}.json())
	return url.Values{"code": {"c"}, "state": {form.Get("state")}, "iss": {issuer}}
}

// The whole login: Security Profile, sections 5.3.3.1, 5.3.3.2 and 5.4.1.
func TestFAPI(t *testing.T) {
	p, client := newFAPI()
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(query(t, flow))); !slices.Equal(got, []string{"client_id", "request_uri"}) {
		t.Errorf("the URL has %q", got)
	}
	token, err := flow.Exchange(t.Context(), fapiAnswer(t, p, "PS256", "DPoP"))
	if err != nil {
		t.Fatal(err)
	}
	if token.TokenType != "dpop" || token.DPoP == nil {
		t.Errorf("a token of the type %q", token.TokenType)
	}
	if _, err := client.Refresh(t.Context(), token); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"/par", "/token"} {
		for _, r := range p.requests(path) {
			header, claims := openJWS(t, r.form.Get("client_assertion"), keyRS.Public())
			if header["alg"] != "PS256" || claims["aud"] != issuer {
				t.Errorf("an assertion with %v for %v", header["alg"], claims["aud"])
			}
			if r.header.Get("DPoP") == "" {
				t.Error("no DPoP proof")
			}
		}
	}
}

// What is refused before the person is sent anywhere.
func TestFAPIRefuses(t *testing.T) {
	unsupported := func(name string) string { return "OAUTH_UNSUPPORTED_OPERATION metadata." + name }
	certificate := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{{}}}}
	tests := []struct {
		name  string
		setup func(c *grant.Client)
		want  string
	}{
		{"nothing", func(*grant.Client) {}, "ok"},
		{"no PAR endpoint", func(c *grant.Client) { c.Server.PushedAuthorizationRequestEndpoint = "" }, "OAUTH_MISSING_SERVER_METADATA metadata.endpoint"},
		{"no word of PKCE", func(c *grant.Client) { c.Server.CodeChallengeMethodsSupported = nil }, unsupported("code_challenge_methods_supported")},
		{"PKCE without S256", func(c *grant.Client) { c.Server.CodeChallengeMethodsSupported = []string{"plain"} }, unsupported("code_challenge_methods_supported")},
		{"no iss", func(c *grant.Client) { c.Server.AuthorizationResponseIssParameterSupported = false }, unsupported("authorization_response_iss_parameter_supported")},
		{"no iss, but signed responses", func(c *grant.Client) {
			c.Server.AuthorizationResponseIssParameterSupported, c.ResponseMode = false, "jwt"
		}, "ok"},
		{"no word of DPoP", func(c *grant.Client) { c.Server.DPoPSigningAlgValuesSupported = nil }, unsupported("dpop_signing_alg_values_supported")},
		{"DPoP with RS256 alone", func(c *grant.Client) { c.Server.DPoPSigningAlgValuesSupported = []string{"RS256", "ES384"} }, unsupported("dpop_signing_alg_values_supported")},
		{"ID tokens with RS256 alone", func(c *grant.Client) { c.Server.IDTokenSigningAlgValuesSupported = []string{"RS256", "none"} }, unsupported("id_token_signing_alg_values_supported")},
		{"and none asked for", func(c *grant.Client) { c.Scopes, c.Server.IDTokenSigningAlgValuesSupported = nil, []string{"RS256"} }, "ok"},
		{"no word of ID token algorithms", func(c *grant.Client) { c.Server.IDTokenSigningAlgValuesSupported = nil }, "ok"},
		{"signed responses with RS256 alone", func(c *grant.Client) {
			c.ResponseMode, c.Server.AuthorizationSigningAlgValuesSupported = "jwt", []string{"RS256"}
		}, unsupported("authorization_signing_alg_values_supported")},
		{"and none asked for", func(c *grant.Client) { c.Server.AuthorizationSigningAlgValuesSupported = []string{"RS256"} }, "ok"},

		{"public client", func(c *grant.Client) { c.Key, c.TokenEndpointAuthMethod = nil, "none" }, "argument"},
		{"a secret", func(c *grant.Client) { c.Key, c.ClientSecret = nil, "s" }, "argument"},
		{"a secret that signs", func(c *grant.Client) { c.Key, c.Auth = nil, grant.ClientSecretJWT("s") }, "argument"},
		{"Ed25519", func(c *grant.Client) { c.Key = keyEd }, "ok"},
		{"P-384", func(c *grant.Client) { c.Key = key384 }, "argument"},
		{"assertions with RS256 alone", func(c *grant.Client) { c.Server.TokenEndpointAuthSigningAlgValuesSupported = []string{"RS256"} }, "argument"},
		{"assertion pinned to RS256", func(c *grant.Client) { c.TokenEndpointAuthSigningAlg = "RS256" }, "argument"},
		{"request object pinned to RS512", func(c *grant.Client) { c.RequestObjectSigningAlg = "RS512" }, "argument"},
		{"ID token pinned to RS256", func(c *grant.Client) { c.IDTokenSignedResponseAlg = "RS256" }, "argument"},
		{"userinfo pinned to ES512", func(c *grant.Client) { c.UserinfoSignedResponseAlg = "ES512" }, "argument"},
		{"response pinned to PS384", func(c *grant.Client) { c.AuthorizationSignedResponseAlg = "PS384" }, "argument"},
		{"pinned to what is allowed", func(c *grant.Client) { c.TokenEndpointAuthSigningAlg, c.IDTokenSignedResponseAlg = "PS256", "EdDSA" }, "ok"},
		{"request objects with RS256 alone", func(c *grant.Client) {
			c.RequireSignedRequestObject, c.Server.RequestObjectSigningAlgValuesSupported = true, []string{"RS256"}
		}, "argument"},
		{"http", func(c *grant.Client) { c.AllowInsecureRequests = true }, "argument"},
		{"http endpoint", func(c *grant.Client) { c.Server.TokenEndpoint = "http://op.example.com/token" }, "OAUTH_HTTP_REQUEST_FORBIDDEN url.scheme"},

		{"certificate", func(c *grant.Client) { c.Key, c.Auth = nil, grant.TLSClientAuth() }, "ok"}, // bound with DPoP
		{"certificate that tokens are bound to", func(c *grant.Client) {
			c.Key, c.Auth, c.Server.DPoPSigningAlgValuesSupported, c.Server.TLSClientCertificateBoundAccessTokens = nil, grant.SelfSignedTLSClientAuth(), nil, true
		}, "ok"},
		{"certificate that nothing is bound to", func(c *grant.Client) {
			c.Key, c.Auth, c.Server.DPoPSigningAlgValuesSupported = nil, grant.TLSClientAuth(), nil
		}, unsupported("dpop_signing_alg_values_supported")},
		{"key, and tokens bound to the certificate", func(c *grant.Client) {
			c.UseMTLSEndpointAliases, c.Server.DPoPSigningAlgValuesSupported, c.Server.TLSClientCertificateBoundAccessTokens = true, nil, true
		}, "ok"},
		{"key, and no certificate to bind to", func(c *grant.Client) {
			c.Server.DPoPSigningAlgValuesSupported, c.Server.TLSClientCertificateBoundAccessTokens = nil, true
		}, unsupported("dpop_signing_alg_values_supported")},
		{"key, and an HTTP client without a certificate", func(c *grant.Client) {
			c.UseMTLSEndpointAliases, c.Server.DPoPSigningAlgValuesSupported, c.Server.TLSClientCertificateBoundAccessTokens = true, nil, true
			c.HTTPClient = &http.Client{Transport: &http.Transport{}}
		}, unsupported("dpop_signing_alg_values_supported")},
		{"a certificate and no metadata for it", func(c *grant.Client) {
			c.UseMTLSEndpointAliases, c.Server.DPoPSigningAlgValuesSupported = true, nil
			c.HTTPClient = &http.Client{Transport: certificate}
		}, unsupported("dpop_signing_alg_values_supported")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, client := newFAPI()
			test.setup(client)
			_, err := client.Authorize(t.Context(), redirect)
			wantOutcome(t, err, test.want)
			if test.want != "ok" && len(p.seen) > 0 {
				t.Error("a request was sent")
			}
		})
	}
}

// What is refused when it comes.
func TestFAPIRefusesAnswers(t *testing.T) {
	const badType = "OAUTH_UNSUPPORTED_OPERATION token_response.token_type"
	bound := func(c *grant.Client) { // to the certificate
		c.Auth, c.Server.TLSClientCertificateBoundAccessTokens = grant.TLSClientAuth(), true
	}
	tests := []struct {
		name, alg, tokenType string
		setup                func(c *grant.Client)
		change               func(redirect url.Values)
		want                 string
	}{
		{"PS256", "PS256", "dpop", nil, nil, "ok"},
		{"ES256", "ES256", "DPoP", nil, nil, "ok"},
		{"EdDSA", "EdDSA", "DPoP", nil, nil, "ok"},
		{"RS256", "RS256", "DPoP", nil, nil, badClaim + "alg"},
		{"RS256 by default", "RS256", "DPoP", func(c *grant.Client) { c.Server.IDTokenSigningAlgValuesSupported = nil }, nil, badClaim + "alg"},
		{"ES256, not listed", "ES256", "DPoP", func(c *grant.Client) { c.Server.IDTokenSigningAlgValuesSupported = []string{"PS256"} }, nil, badClaim + "alg"},
		{"bearer", "ES256", "Bearer", nil, nil, badType},
		{"another type", "ES256", "mac", nil, nil, badType},
		{"bearer bound to the certificate", "ES256", "Bearer", bound, nil, "ok"},
		{"DPoP where it was not asked for", "ES256", "DPoP", bound, nil, badType},
		{"no iss", "ES256", "DPoP", nil, func(redirect url.Values) { redirect.Del("iss") }, wrongIss},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, client := newFAPI()
			if test.setup != nil {
				test.setup(client)
			}
			flow, err := client.Authorize(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			params := fapiAnswer(t, p, test.alg, test.tokenType)
			if test.change != nil {
				test.change(params)
			}
			_, err = flow.Exchange(t.Context(), params)
			wantOutcome(t, err, test.want)
		})
	}
}

// The steps by themselves are as strict.
func TestFAPISteps(t *testing.T) {
	p, client := newFAPI()
	as := client.Server
	_, err := grant.ValidateAuthResponse(as, client, url.Values{"code": {"c"}}, "")
	wantOutcome(t, err, wrongIss)
	as.AuthorizationResponseIssParameterSupported = false
	_, err = grant.ValidateAuthResponse(as, client, url.Values{"code": {"c"}}, "")
	wantOutcome(t, err, wrongIss)
	_, err = grant.ValidateJWTAuthResponse(t.Context(), as, client, signedResponse("RS256", nil), "", nil)
	wantOutcome(t, err, badResponse+"alg")
	_, err = grant.ValidateJWTAuthResponse(t.Context(), as, client, signedResponse("PS256", nil), "", nil)
	wantOutcome(t, err, "ok")

	as.UserinfoSigningAlgValuesSupported = []string{"RS256", "PS256"}
	for alg, want := range map[string]string{"RS256": "OAUTH_INVALID_RESPONSE userinfo_response.alg", "PS256": "ok"} {
		resp := response(200, mint(alg, members{"sub": subject}), "Content-Type", "application/jwt")
		_, err = grant.ProcessUserinfoResponse(t.Context(), as, client, &grant.Token{AccessToken: "t"}, resp, nil)
		wantOutcome(t, err, want)
	}

	_, err = grant.RefreshTokenGrantRequest(t.Context(), as, client, "r", &grant.TokenEndpointRequestOptions{ClientAuth: grant.ClientSecretPost("s")})
	wantOutcome(t, err, "argument")
	weak, err := grant.NewDPoP(key384)
	if err != nil {
		t.Fatal(err)
	}
	_, err = grant.RefreshTokenGrantRequest(t.Context(), as, client, "r", &grant.TokenEndpointRequestOptions{DPoP: weak})
	wantOutcome(t, err, "argument")
	_, err = grant.ProcessRefreshTokenResponse(t.Context(), as, client, response(200, tokenBody("")), &grant.ProcessRefreshTokenOptions{RecognizedTokenTypes: []string{"bearer"}})
	wantOutcome(t, err, "OAUTH_UNSUPPORTED_OPERATION token_response.token_type")

	as = newServer()
	as.Issuer, as.TokenEndpoint, as.JWKSURI = "http://127.0.0.1:1", "http://127.0.0.1:1/token", "http://127.0.0.1:1/jwks"
	_, err = grant.RefreshTokenGrantRequest(t.Context(), as, client, "r", &grant.TokenEndpointRequestOptions{AllowInsecureRequests: true})
	wantOutcome(t, err, "OAUTH_HTTP_REQUEST_FORBIDDEN url.scheme")
	_, err = grant.ValidateJWTAuthResponse(t.Context(), as, client, url.Values{"response": {mint("PS256", responseClaims(members{"iss": as.Issuer}))}}, "", &grant.RequestOptions{AllowInsecureRequests: true})
	wantOutcome(t, err, "OAUTH_HTTP_REQUEST_FORBIDDEN url.scheme")

	client.Server, client.Issuer, client.AllowInsecureRequests = nil, "http://127.0.0.1:1", true
	_, err = client.Discover(t.Context())
	wantOutcome(t, err, "OAUTH_HTTP_REQUEST_FORBIDDEN url.scheme")
	if len(p.requests("/token")) > 0 {
		t.Error("a token request was sent")
	}
}

// FAPI 2.0 is about the code grant; nothing of it protects that of a device.
func TestFAPIHasNoDeviceGrant(t *testing.T) {
	p, client := newFAPI()
	client.Server.DeviceAuthorizationEndpoint = issuer + "/device"
	_, err := client.AuthorizeDevice(t.Context())
	wantOutcome(t, err, "argument")
	if len(p.seen) > 0 {
		t.Error("a request was sent")
	}
}

// A signed request object that is pushed: FAPI 2.0 Message Signing.
func TestFAPIMessageSigning(t *testing.T) {
	p, client := newFAPI()
	client.RequireSignedRequestObject, client.ResponseMode = true, "jwt"
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	header, claims := openJWS(t, p.one(t, "/par").form.Get("request"), keyRS.Public())
	if header["alg"] != "PS256" {
		t.Errorf("a request object with %v", header["alg"])
	}
	p.token = always(200, members{"access_token": "token", "token_type": "DPoP", "id_token": mint("PS256", idClaims(members{"nonce": claims["nonce"]}))}.json())
	if _, err := flow.Exchange(t.Context(), signedResponse("ES256", members{"code": "c", "state": claims["state"]})); err != nil {
		t.Error(err)
	}
}
