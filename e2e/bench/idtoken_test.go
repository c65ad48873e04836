package bench

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/oauth-login/oauth-login/grant"
)

const (
	clientID    = "bench"
	nonce       = "n-0S6_WzA2Mj"
	accessToken = "SlAV32hkKG-SlAV32hkKG-SlAV32hkKG"
)

// A login is one answer of a token endpoint, and the server that it comes from.
type login struct {
	issuer  string
	alg     string
	idToken string
	body    []byte
}

func newLogin(b testing.TB, alg jose.SignatureAlgorithm) *login {
	b.Helper()
	var key crypto.Signer
	var err error
	if alg == jose.ES256 {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		b.Fatal(err)
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: string(alg), Use: "sig"}}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(set)
	}))
	b.Cleanup(server.Close)
	l := &login{issuer: server.URL, alg: string(alg)}
	l.idToken = l.sign(b, jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}})
	l.body, err = json.Marshal(map[string]any{
		"access_token": accessToken, "token_type": "Bearer", "expires_in": 3600, "refresh_token": "8xLOxBtZp8-8xLOxBtZp8",
		"scope": "openid profile email", "id_token": l.idToken,
	})
	if err != nil {
		b.Fatal(err)
	}
	return l
}

func (l *login) sign(b testing.TB, key jose.SigningKey) string {
	b.Helper()
	hash := sha256.Sum256([]byte(accessToken))
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": l.issuer, "sub": "248289761001", "aud": []string{clientID}, "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(),
		"auth_time": now.Unix(), "nonce": nonce, "at_hash": base64.RawURLEncoding.EncodeToString(hash[:16]),
		"name": "Ada Lovelace", "email": "ada@example.com", "email_verified": true, "picture": "https://issuer.example/ada.png",
	})
	if err != nil {
		b.Fatal(err)
	}
	signer, err := jose.NewSigner(key, nil)
	if err != nil {
		b.Fatal(err)
	}
	jws, err := signer.Sign(claims)
	if err != nil {
		b.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		b.Fatal(err)
	}
	return compact
}

// BenchmarkTokenResponse turns the bytes of a token response into verified tokens,
// with keys that are there already. To what go-oidc does belongs what its callers
// have to do themselves: to decode the answer, and to check nonce and at_hash.
func BenchmarkTokenResponse(b *testing.B) {
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256} {
		l := newLogin(b, alg)
		b.Run(string(alg)+"/grant", func(b *testing.B) { measure(b, l.grant()) })
		b.Run(string(alg)+"/go-oidc", func(b *testing.B) { measure(b, l.goOIDC()) })
	}
}

func measure(b *testing.B, verify func(ctx context.Context) error) {
	if err := verify(b.Context()); err != nil { // fetches the keys
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := verify(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func (l *login) grant() func(ctx context.Context) error {
	as := &grant.AuthorizationServer{
		Issuer: l.issuer, JWKSURI: l.issuer + "/jwks", TokenEndpoint: l.issuer + "/token", IDTokenSigningAlgValuesSupported: []string{l.alg},
	}
	client := &grant.Client{ClientID: clientID}
	opts := &grant.ProcessAuthorizationCodeOptions{ExpectedNonce: nonce, AllowInsecureRequests: true}
	return func(ctx context.Context) error {
		resp := &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(l.body)),
		}
		_, err := grant.ProcessAuthorizationCodeResponse(ctx, as, client, resp, opts)
		return err
	}
}

func (l *login) goOIDC() func(ctx context.Context) error {
	keys := oidc.NewRemoteKeySet(context.Background(), l.issuer+"/jwks")
	verifier := oidc.NewVerifier(l.issuer, keys, &oidc.Config{ClientID: clientID, SupportedSigningAlgs: []string{l.alg}})
	return func(ctx context.Context) error {
		var answer struct {
			AccessToken  string `json:"access_token"`
			TokenType    string `json:"token_type"`
			RefreshToken string `json:"refresh_token"`
			ExpiresIn    int64  `json:"expires_in"`
			Scope        string `json:"scope"`
			IDToken      string `json:"id_token"`
		}
		body, err := io.ReadAll(bytes.NewReader(l.body))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return err
		}
		token, err := verifier.Verify(ctx, answer.IDToken)
		if err != nil {
			return err
		}
		if token.Nonce != nonce {
			return errors.New("another nonce")
		}
		return token.VerifyAccessToken(answer.AccessToken)
	}
}

// TestAllocations: all our checks cost less memory than the smaller number of checks
// elsewhere.
func TestAllocations(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256} {
		l := newLogin(t, alg)
		ours, theirs := allocations(t, l.grant()), allocations(t, l.goOIDC())
		figure(t, "allocations for a token response, "+string(alg)+", go-oidc", ours, theirs, ours/theirs)
		if ours > theirs {
			t.Errorf("%s: %v allocations, go-oidc has %v", alg, ours, theirs)
		}
	}
}

// TestTokenResponse does in turn what BenchmarkTokenResponse does.
func TestTokenResponse(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256} {
		l := newLogin(t, alg)
		verify := [2]func(context.Context) error{l.grant(), l.goOIDC()}
		var took [2][]time.Duration
		for range 1000 {
			for i := range verify {
				start := time.Now()
				if err := verify[i](t.Context()); err != nil {
					t.Fatal(err)
				}
				took[i] = append(took[i], time.Since(start))
			}
		}
		ratio := medianRatio(took[0], took[1])
		figure(t, "a token response, "+string(alg)+", beside go-oidc", median(took[0]), median(took[1]), ratio)
		if ratio > 1.2 {
			t.Errorf("%s: %.2f times as long as with go-oidc", alg, ratio)
		}
	}
}

func allocations(t *testing.T, verify func(ctx context.Context) error) float64 {
	t.Helper()
	if err := verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	return testing.AllocsPerRun(100, func() {
		if err := verify(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkCallback checks the parameters of a redirect, as they come from the
// browser. go-oidc leaves this to its callers.
func BenchmarkCallback(b *testing.B) {
	as := &grant.AuthorizationServer{Issuer: "https://issuer.example", AuthorizationResponseIssParameterSupported: true}
	client := &grant.Client{ClientID: clientID}
	const state = "af0ifjsldkj-af0ifjsldkj-af0ifjsldkj"
	query := url.Values{"code": {"SplxlOBeZQQYbYS6WxSbIA"}, "state": {state}, "iss": {as.Issuer}}.Encode()
	b.ReportAllocs()
	for b.Loop() {
		params, err := grant.ParseAuthResponse(query)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := grant.ValidateAuthResponse(as, client, params, state); err != nil {
			b.Fatal(err)
		}
	}
}
