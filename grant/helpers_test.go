package grant_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// The fixtures of the specification's test catalogue.
const (
	issuer   = "https://op.example.com"
	clientID = "urn:example:client_id"
	subject  = "urn:example:subject"
	redirect = "http://127.0.0.1:8000/callback"
)

// An endpoint of the fake provider is a function that a test replaces.
type endpoint func(req *http.Request) (*http.Response, error)

// A provider is a fake authorization server behind an http.RoundTripper: no
// socket, so that it works with testing/synctest and answers for any host.
type provider struct {
	token, jwks, revocation, metadata endpoint
	others                            map[string]endpoint // by path

	mu   sync.Mutex
	seen []request
}

// A request is what the provider saw.
type request struct {
	method, url string
	header      http.Header
	form        url.Values
}

func (p *provider) RoundTrip(req *http.Request) (*http.Response, error) {
	seen := request{method: req.Method, url: req.URL.String(), header: req.Header.Clone()}
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		if seen.form, err = url.ParseQuery(string(body)); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	p.seen = append(p.seen, seen)
	p.mu.Unlock()
	answer := p.metadata
	switch req.URL.Path {
	case "/token":
		answer = p.token
	case "/jwks":
		answer = p.jwks
	case "/revoke":
		answer = p.revocation
	default:
		if other := p.others[req.URL.Path]; other != nil {
			answer = other
		}
	}
	if answer == nil {
		return nil, errors.New("the fake provider has no answer for " + req.URL.Path)
	}
	return answer(req)
}

// requests returns those to one path.
func (p *provider) requests(path string) (seen []request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.seen {
		if u, err := url.Parse(r.url); err == nil && u.Path == path {
			seen = append(seen, r)
		}
	}
	return seen
}

// one returns the only request to a path.
func (p *provider) one(t *testing.T, path string) request {
	t.Helper()
	seen := p.requests(path)
	if len(seen) != 1 {
		t.Fatalf("%d requests to %s, want 1", len(seen), path)
	}
	return seen[0]
}

// newProvider answers token requests with body and publishes the keys.
func newProvider(tokenBody string) *provider {
	return &provider{token: always(200, tokenBody), jwks: always(200, jwks(jwkES, jwkRS)), revocation: always(200, ""),
		others: map[string]endpoint{"/par": always(201, `{"request_uri":"urn:example:uri","expires_in":60}`)}}
}

// response makes an answer; extra are header names and values in turn.
func response(status int, body string, extra ...string) *http.Response {
	header := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(extra); i += 2 {
		if extra[i] == "Content-Type" {
			header.Del(extra[i])
		}
		header.Add(extra[i], extra[i+1])
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

func always(status int, body string, extra ...string) endpoint {
	return func(*http.Request) (*http.Response, error) { return response(status, body, extra...), nil }
}

func newServer() *grant.AuthorizationServer {
	return &grant.AuthorizationServer{
		Issuer: issuer, AuthorizationEndpoint: issuer + "/authorize", TokenEndpoint: issuer + "/token",
		JWKSURI: issuer + "/jwks", RevocationEndpoint: issuer + "/revoke", UserinfoEndpoint: issuer + "/userinfo",
		PushedAuthorizationRequestEndpoint: issuer + "/par", DeviceAuthorizationEndpoint: issuer + "/device",
		IDTokenSigningAlgValuesSupported: []string{"ES256", "RS256", "EdDSA", "Ed25519", "PS256", "ES384", "ES512", "RS384", "RS512", "PS384", "PS512"},
	}
}

func newClient(transport http.RoundTripper) *grant.Client {
	return &grant.Client{ClientID: clientID, HTTPClient: &http.Client{Transport: transport}}
}

// validated returns callback parameters with a code.
func validated(t testing.TB, as *grant.AuthorizationServer, client *grant.Client, query string) grant.CallbackParameters {
	t.Helper()
	params, err := grant.ParseAuthResponse(query)
	if err != nil {
		t.Fatal(err)
	}
	callback, err := grant.ValidateAuthResponse(as, client, params, params.Get("state"))
	if err != nil {
		t.Fatal(err)
	}
	return callback
}

// outcome names an error the way the tables do: "ok", "argument", "not ours",
// "refused CODE" for the server's refusals, "CODE check.name" for ours.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	if e, ok := errors.AsType[*grant.Error](err); ok {
		return "refused " + e.Code
	}
	if e, ok := errors.AsType[*grant.CheckError](err); ok {
		return e.Code + " " + e.Check
	}
	for sentinel, name := range map[error]string{grant.ErrArgument: "argument", grant.ErrNotOurs: "not ours"} {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	return err.Error()
}

func wantOutcome(t testing.TB, err error, want string) {
	t.Helper()
	if got := outcome(err); got != want {
		t.Errorf("outcome %q (%v), want %q", got, err, want)
	}
}

// The keys of the provider, one for each family.
var (
	keyRS  = mustKey(rsa.GenerateKey(rand.Reader, 2048))
	keyES  = mustKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	key384 = mustKey(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	key521 = mustKey(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	keyEd  = ed25519.NewKeyFromSeed([]byte("0123456789abcdef0123456789abcdef"))

	jwkRS = rsaJWK(keyRS)
	jwkES = ecJWK(keyES)
	jwkEd = members{"kty": "OKP", "crv": "Ed25519", "x": b64(keyEd.Public().(ed25519.PublicKey))}
)

func mustKey[K any](key K, err error) K {
	if err != nil {
		panic(err)
	}
	return key
}

// members is a JSON object. with returns a copy with other members; a nil
// value leaves the member out, null puts a JSON null there.
type members map[string]any

var null = json.RawMessage("null")

func (m members) with(changes members) members {
	copied := maps.Clone(m)
	for name, value := range changes {
		if copied[name] = value; value == nil {
			delete(copied, name)
		}
	}
	return copied
}

func (m members) json() string {
	data, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func jwks(keys ...members) string { return members{"keys": keys}.json() }

func rsaJWK(key *rsa.PrivateKey) members {
	return members{"kty": "RSA", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
}

func ecJWK(key *ecdsa.PrivateKey) members {
	point, err := key.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	size := len(point) / 2
	return members{"kty": "EC", "crv": key.Params().Name, "x": b64(point[1 : 1+size]), "y": b64(point[1+size:])}
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// idClaims are those of the catalogue's "mint", with changes.
func idClaims(changes members) members {
	now := time.Now().Unix()
	return members{"iss": issuer, "sub": subject, "aud": clientID, "iat": now, "exp": now + 300}.with(changes)
}

// mint signs an ID token by hand, with no code in common with the package.
func mint(alg string, claims members) string { return mintHeader(members{"alg": alg}, claims) }

func mintHeader(header, claims members) string {
	input := b64([]byte(header.json())) + "." + b64([]byte(claims.json()))
	alg, _ := header["alg"].(string)
	return input + "." + b64(sign(alg, input))
}

func sign(alg, input string) []byte {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[max(0, len(alg)-3):]]
	var digest []byte
	if hash != 0 {
		h := hash.New()
		h.Write([]byte(input))
		digest = h.Sum(nil)
	}
	switch {
	case alg == "EdDSA" || alg == "Ed25519":
		return ed25519.Sign(keyEd, []byte(input))
	case strings.HasPrefix(alg, "RS"):
		return mustKey(rsa.SignPKCS1v15(rand.Reader, keyRS, hash, digest))
	case strings.HasPrefix(alg, "PS"):
		return mustKey(rsa.SignPSS(rand.Reader, keyRS, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
	case strings.HasPrefix(alg, "ES"):
		return signES(map[string]*ecdsa.PrivateKey{"ES256": keyES, "ES384": key384, "ES512": key521}[alg], digest)
	}
	return []byte("no such algorithm")
}

func signES(key *ecdsa.PrivateKey, digest []byte) []byte {
	r, s, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		panic(err)
	}
	size := (key.Params().BitSize + 7) / 8
	return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
}

// tokenBody is a token response with an ID token, or without one for "".
func tokenBody(idToken string) string {
	body := members{"access_token": "token", "token_type": "Bearer"}
	if idToken != "" {
		body["id_token"] = idToken
	}
	return body.json()
}

// A processor is one of the process functions, for tables that hold for all.
type processor struct {
	name    string
	process func(t *testing.T, as *grant.AuthorizationServer, client *grant.Client, resp *http.Response) (*grant.Token, error)
}

var processors = []processor{
	{"code", func(t *testing.T, as *grant.AuthorizationServer, client *grant.Client, resp *http.Response) (*grant.Token, error) {
		return grant.ProcessAuthorizationCodeResponse(t.Context(), as, client, resp, nil)
	}},
	{"refresh", func(t *testing.T, as *grant.AuthorizationServer, client *grant.Client, resp *http.Response) (*grant.Token, error) {
		return grant.ProcessRefreshTokenResponse(t.Context(), as, client, resp, nil)
	}},
	{"device", func(t *testing.T, as *grant.AuthorizationServer, client *grant.Client, resp *http.Response) (*grant.Token, error) {
		return grant.ProcessDeviceCodeResponse(t.Context(), as, client, resp, nil)
	}},
}

// closeCounter is a body that counts how often it is closed.
type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

// contains fails the test for every secret that a text shows.
func wantNoSecrets(t testing.TB, where, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		for form, value := range map[string]string{"": secret, " query-escaped": url.QueryEscape(secret), " in hex": fmt.Sprintf("%x", secret), " in base64": b64([]byte(secret))} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(value)) {
				t.Errorf("%s shows the secret %q%s: %s", where, secret, form, text)
			}
		}
	}
}

// inBubble runs a test with a clock of its own, which stands still while
// anything goes on. It also fails if a goroutine is left over.
func inBubble(f func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) { synctest.Test(t, f) }
}
