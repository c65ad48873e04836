package grant_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// wantsNonce is an endpoint that takes only proofs with its nonce, as RFC 9449,
// section 8, describes it, and then answers with another endpoint.
func wantsNonce(t *testing.T, nonce string, answer endpoint) endpoint {
	return func(req *http.Request) (*http.Response, error) {
		claims, _ := openProof(t, req.Header.Get("DPoP"))
		if claims["nonce"] != nonce {
			return response(400, `{"error":"use_dpop_nonce","error_description":"nonce needed"}`, "DPoP-Nonce", nonce), nil
		}
		return answer(req)
	}
}

// newDPoPClient is a client that binds its tokens, with a provider that gives
// such tokens once the proof has its nonce.
func newDPoPClient(t *testing.T) (*provider, *grant.Client) {
	p := newProvider("")
	p.token = wantsNonce(t, "n-1", always(200, `{"access_token":"token","token_type":"DPoP","refresh_token":"refresh token"}`))
	client := newClient(p)
	client.Server, client.DPoPBoundAccessTokens = newServer(), true
	return p, client
}

func dpopLogin(t *testing.T, client *grant.Client) (*grant.Flow, *grant.Token, error) {
	t.Helper()
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	token, err := flow.Exchange(t.Context(), redirectOf(t, flow))
	return flow, token, err
}

// R177, O30: one more request with a fresh proof and a fresh assertion, and for
// the rest the same; the key is that of the authorization request.
func TestDPoPLogin(t *testing.T) {
	p, client := newDPoPClient(t)
	client.Key = keyES
	flow, token, err := dpopLogin(t, client)
	if err != nil {
		t.Fatal(err)
	}
	jkt := query(t, flow).Get("dpop_jkt")
	if token.TokenType != "dpop" || token.DPoP.Thumbprint() != jkt || jkt == "" {
		t.Errorf("type %q, key %s, dpop_jkt %s", token.TokenType, token.DPoP.Thumbprint(), jkt)
	}
	seen := p.requests("/token")
	if len(seen) != 2 {
		t.Fatalf("%d token requests", len(seen))
	}
	wantRepeated(t, seen[0], seen[1])
	for i, want := range []any{nil, "n-1"} {
		claims, thumbprint := openProof(t, seen[i].header.Get("DPoP"))
		if claims["nonce"] != want || claims["ath"] != nil || claims["htm"] != "POST" || claims["htu"] != issuer+"/token" || thumbprint != jkt {
			t.Errorf("request %d: %v, key %s", i, claims, thumbprint)
		}
	}
	// The nonce is known from then on.
	if _, err := client.Refresh(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if n := len(p.requests("/token")); n != 3 {
		t.Errorf("%d token requests after a refresh", n)
	}
	if other, _, _ := dpopLogin(t, client); query(t, other).Get("dpop_jkt") == jkt {
		t.Error("two logins have one key")
	}
}

// wantRepeated compares a request with the one that it repeats.
func wantRepeated(t *testing.T, first, second request) {
	t.Helper()
	a, b := maps.Clone(first.form), maps.Clone(second.form)
	for _, form := range []url.Values{a, b} {
		form.Del("client_assertion")
	}
	if a.Encode() != b.Encode() || first.url != second.url {
		t.Errorf("%v was repeated as %v", a, b)
	}
	proofs := [2]members{}
	assertions := [2]members{}
	for i, r := range []request{first, second} {
		proofs[i], _ = openProof(t, r.header.Get("DPoP"))
		_, assertions[i] = openJWS(t, r.form.Get("client_assertion"), &keyES.PublicKey)
	}
	if proofs[0]["jti"] == proofs[1]["jti"] || assertions[0]["jti"] == assertions[1]["jti"] {
		t.Error("the proof or the assertion is the old one")
	}
}

// AC-11, RT-10, DEV-31, R123, R124, R177, R179: the single steps send a proof, remember the nonce
// whatever the status is, and repeat nothing.
func TestDPoPRequests(t *testing.T) {
	for _, test := range []struct {
		name, path, proves string
		send               func(as *grant.AuthorizationServer, client *grant.Client, opts *grant.TokenEndpointRequestOptions) (*http.Response, error)
	}{
		{"AC-11 code", "/token", "POST", func(as *grant.AuthorizationServer, client *grant.Client, opts *grant.TokenEndpointRequestOptions) (*http.Response, error) {
			return senders[0].send(t.Context(), t, as, client, opts)
		}},
		{"RT-10 refresh", "/token", "POST", func(as *grant.AuthorizationServer, client *grant.Client, opts *grant.TokenEndpointRequestOptions) (*http.Response, error) {
			return senders[1].send(t.Context(), t, as, client, opts)
		}},
		{"DEV-31 device code", "/token", "POST", func(as *grant.AuthorizationServer, client *grant.Client, opts *grant.TokenEndpointRequestOptions) (*http.Response, error) {
			return grant.DeviceCodeGrantRequest(t.Context(), as, client, "code", opts)
		}},
		{"PAR-08 pushed request", "/par", "POST", func(as *grant.AuthorizationServer, client *grant.Client, opts *grant.TokenEndpointRequestOptions) (*http.Response, error) {
			return grant.PushedAuthorizationRequest(t.Context(), as, client, nil, opts)
		}},
		{"userinfo", "/userinfo", "GET", func(as *grant.AuthorizationServer, client *grant.Client, opts *grant.TokenEndpointRequestOptions) (*http.Response, error) {
			return grant.UserinfoRequest(t.Context(), as, client, "token", &grant.UserinfoRequestOptions{DPoP: opts.DPoP})
		}},
		{"R179 revocation", "/revoke", "", func(as *grant.AuthorizationServer, client *grant.Client, opts *grant.TokenEndpointRequestOptions) (*http.Response, error) {
			return grant.RevocationRequest(t.Context(), as, client, "token", "", opts)
		}},
		{"R179 device authorization", "/device", "", func(as *grant.AuthorizationServer, client *grant.Client, opts *grant.TokenEndpointRequestOptions) (*http.Response, error) {
			return grant.DeviceAuthorizationRequest(t.Context(), as, client, nil, opts)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDPoP(t, keyES)
			p := newProvider("")
			answer := always(503, ``, "DPoP-Nonce", "n-1")
			p.token, p.revocation = answer, answer
			p.others = map[string]endpoint{"/par": answer, "/userinfo": answer, "/device": answer}
			as, client := newServer(), newClient(p)
			client.ClockSkew = -time.Hour
			for i, want := range []any{nil, "n-1"} {
				if _, err := test.send(as, client, &grant.TokenEndpointRequestOptions{DPoP: d}); err != nil {
					t.Fatal(err)
				}
				seen := p.requests(test.path)
				if len(seen) != i+1 {
					t.Fatalf("%d requests", len(seen))
				}
				proof := seen[i].header.Get("DPoP")
				if test.proves == "" {
					if proof != "" || nonceOf(t, d, issuer) != nil {
						t.Error("a proof was sent, or a nonce remembered")
					}
					continue
				}
				claims, _ := openProof(t, proof)
				if claims["nonce"] != want || claims["htm"] != test.proves || claims["htu"] != issuer+test.path {
					t.Errorf("proof %v", claims)
				}
				if past := time.Now().Add(-time.Hour).Unix() - whole(t, claims, "iat"); past < 0 || past > 5 {
					t.Errorf("iat is %d s off the client's clock", past)
				}
			}
		})
	}
}

// R016: a proof of the caller's own is replaced by ours, and otherwise left alone.
func TestForeignProof(t *testing.T) {
	for _, d := range []*grant.DPoP{nil, newDPoP(t, keyES)} {
		p := newProvider("")
		client := newClient(p)
		client.Header = http.Header{"dpop": {"of the caller"}}
		if _, err := senders[1].send(t.Context(), t, newServer(), client, &grant.TokenEndpointRequestOptions{DPoP: d}); err != nil {
			t.Fatal(err)
		}
		proofs := p.one(t, "/token").header.Values("DPoP")
		if len(proofs) != 1 || (proofs[0] == "of the caller") != (d == nil) {
			t.Errorf("proofs %q", proofs)
		}
	}
}

// PAR-08, R072, and RFC 9449, section 10.1: a pushed request has both the key's thumbprint
// and a proof of it, and is repeated for a nonce.
func TestDPoPWithPAR(t *testing.T) {
	p, client := newDPoPClient(t)
	client.RequirePushedAuthorizationRequests = true
	p.others["/par"] = wantsNonce(t, "n-1", p.others["/par"])
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	seen := p.requests("/par")
	if len(seen) != 2 {
		t.Fatalf("%d pushed requests", len(seen))
	}
	var key string
	for _, r := range seen {
		claims, thumbprint := openProof(t, r.header.Get("DPoP"))
		if r.form.Get("dpop_jkt") != thumbprint || claims["htu"] != issuer+"/par" {
			t.Errorf("dpop_jkt %s, proof %v", r.form.Get("dpop_jkt"), claims)
		}
		key = thumbprint
	}
	token, err := flow.Exchange(t.Context(), url.Values{"code": {"c"}, "state": {seen[0].form.Get("state")}})
	if err != nil {
		t.Fatal(err)
	}
	if token.DPoP.Thumbprint() != key {
		t.Error("the token is bound to another key")
	}
	if n := len(p.requests("/token")); n != 1 {
		t.Errorf("%d token requests, although the nonce was known", n)
	}
}

// R184, RFC 9449, section 7.1: the proof for userinfo goes with the token.
func TestDPoPUserinfo(t *testing.T) {
	p, client := newDPoPClient(t)
	d := newDPoP(t, keyES)
	p.others["/userinfo"] = func(req *http.Request) (*http.Response, error) {
		claims, _ := openProof(t, req.Header.Get("DPoP"))
		if req.Header.Get("Authorization") != "DPoP token" || claims["ath"] != s256("token") || claims["htm"] != "GET" || claims["htu"] != issuer+"/userinfo" {
			t.Errorf("%v, proof %v", req.Header, claims)
		}
		if claims["nonce"] != "n-1" {
			return response(401, ``, "DPoP-Nonce", "n-1", "WWW-Authenticate", `DPoP error="use_dpop_nonce"`), nil
		}
		return response(200, `{"sub":"x"}`), nil
	}
	for i := range 2 {
		if _, err := client.Userinfo(t.Context(), bound(d)); err != nil {
			t.Fatal(err)
		}
		if n := len(p.requests("/userinfo")); n != 2+i {
			t.Errorf("%d requests", n)
		}
	}
	_, err := client.Userinfo(t.Context(), &grant.Token{AccessToken: "token", TokenType: "dpop"})
	wantOutcome(t, err, "argument")
	p.others["/userinfo"] = always(200, `{"sub":"x"}`)
	if _, err := client.Userinfo(t.Context(), &grant.Token{AccessToken: "token", TokenType: "bearer", DPoP: d}); err != nil {
		t.Fatal(err)
	}
	if last := p.requests("/userinfo")[3]; last.header.Get("Authorization") != "Bearer token" || last.header.Get("DPoP") != "" {
		t.Errorf("header %v", last.header)
	}
}

// RFC 9449, section 5.1: the key is made for what the server takes, and a server
// that takes nothing that we know is found out at once.
func TestDPoPAlgorithms(t *testing.T) {
	for _, test := range []struct {
		offered []string
		alg     string // "" for none
	}{{nil, "ES256"}, {[]string{"RS256", "EdDSA"}, "EdDSA"}, {[]string{}, ""}, {[]string{"HS256", "ES256K"}, ""}} {
		p := newProvider(`{"access_token":"token","token_type":"DPoP"}`)
		client := newClient(p)
		client.Server, client.DPoPBoundAccessTokens = newServer(), true
		client.Server.DPoPSigningAlgValuesSupported = test.offered
		if test.alg == "" {
			_, err := client.Authorize(t.Context(), redirect)
			wantOutcome(t, err, "OAUTH_UNSUPPORTED_OPERATION metadata.dpop_signing_alg_values_supported")
			_, err = client.Refresh(t.Context(), &grant.Token{RefreshToken: "refresh token"})
			wantOutcome(t, err, "OAUTH_UNSUPPORTED_OPERATION metadata.dpop_signing_alg_values_supported")
			continue
		}
		if _, _, err := dpopLogin(t, client); err != nil {
			t.Fatal(err)
		}
		proof := p.one(t, "/token").header.Get("DPoP")
		if openProof(t, proof); !strings.HasPrefix(proof, b64([]byte(`{"alg":"` + test.alg + `","`))[:16]) {
			t.Errorf("%v: %s", test.offered, proof)
		}
	}
}

// Skew goes into the proofs for APIs too, also after the login was stored.
func TestDPoPClockSkew(t *testing.T) {
	_, client := newDPoPClient(t)
	client.ClockSkew = 10 * time.Minute
	_, token, err := dpopLogin(t, client)
	if err != nil {
		t.Fatal(err)
	}
	data, err := token.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var stored grant.Token
	if err := stored.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	for _, token := range []*grant.Token{token, &stored} {
		claims, _ := openProof(t, authorized(t, token, "GET", "https://rs.example.com/").Header.Get("DPoP"))
		if ahead := whole(t, claims, "iat") - time.Now().Unix(); ahead < 595 || ahead > 600 {
			t.Errorf("iat is %d s ahead", ahead)
		}
	}
}

// A handle may be used from everywhere at once.
func TestDPoPConcurrently(t *testing.T) {
	p, client := newDPoPClient(t)
	_, token, err := dpopLogin(t, client)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := client.Refresh(t.Context(), token); err != nil {
				t.Error(err)
			}
			req, err := http.NewRequest("GET", issuer, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if err := token.Authorize(req); err != nil {
				t.Error(err)
			}
			token.Observe(req, response(200, "", "DPoP-Nonce", "n-1"))
		})
	}
	all.Wait()
	if n := len(p.requests("/token")); n != 10 {
		t.Errorf("%d token requests", n)
	}
}

// A server that repeats what it was sent does not get it into an error.
func TestErrorsHideProofs(t *testing.T) {
	p, client := newDPoPClient(t)
	client.Key = keyES
	p.token = func(req *http.Request) (*http.Response, error) {
		seen := p.requests("/token")
		last := seen[len(seen)-1]
		echo := last.header.Get("DPoP") + " " + last.form.Get("client_assertion")
		return response(400, members{"error": "invalid_dpop_proof", "error_description": echo}.json()), nil
	}
	_, _, err := dpopLogin(t, client)
	r := p.one(t, "/token")
	for _, secret := range []string{r.header.Get("DPoP"), r.form.Get("client_assertion")} {
		if secret == "" || strings.Contains(err.(*grant.Error).Description, secret) {
			t.Errorf("the error says %v", err)
		}
	}
}
