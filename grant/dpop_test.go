package grant_test

import (
	"crypto"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// newDPoP is a handle of the key.
func newDPoP(t testing.TB, key crypto.Signer, algs ...string) *grant.DPoP {
	t.Helper()
	d, err := grant.NewDPoP(key, algs...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// bound is a token that is bound to the key of a handle.
func bound(d *grant.DPoP) *grant.Token {
	return &grant.Token{AccessToken: "token", TokenType: "dpop", DPoP: d}
}

// authorized is a request with the token in it.
func authorized(t testing.TB, token *grant.Token, method, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := token.Authorize(req); err != nil {
		t.Fatal(err)
	}
	return req
}

// DPOP-01, R171 to R173: what a proof says, and with which keys.
func TestProof(t *testing.T) {
	for _, test := range []struct {
		name string
		key  crypto.Signer
		algs []string
		alg  string
	}{
		{"DPOP-01 P-256", keyES, nil, "ES256"},
		{"P-384", key384, nil, "ES384"},
		{"P-521", key521, nil, "ES512"},
		{"Ed25519", keyEd, nil, "EdDSA"},
		{"Ed25519 by its own name", keyEd, []string{"ES256", "Ed25519"}, "Ed25519"},
		{"RSA", keyRS, nil, "RS256"},
		{"RSA as offered", keyRS, []string{"ES256", "PS384"}, "PS384"},
		{"a key in a device", device{keyES}, nil, "ES256"},
	} {
		t.Run(test.name, inBubble(func(t *testing.T) {
			d := newDPoP(t, test.key, test.algs...)
			req := authorized(t, bound(d), "GET", "https://rs.example.com/resource?foo#bar")
			if got := req.Header.Get("Authorization"); got != "DPoP token" {
				t.Errorf("Authorization %q", got)
			}
			header, _ := openJWS(t, req.Header.Get("DPoP"), test.key.Public())
			if header["alg"] != test.alg {
				t.Errorf("alg %v", header["alg"])
			}
			claims, thumbprint := openProof(t, req.Header.Get("DPoP"))
			if thumbprint != d.Thumbprint() {
				t.Errorf("thumbprint %s, want %s", d.Thumbprint(), thumbprint)
			}
			jti, _ := claims["jti"].(string)
			want := members{"jti": jti, "htm": "GET", "htu": "https://rs.example.com/resource", "iat": json.Number(fmt.Sprint(time.Now().Unix())), "ath": s256("token")}
			if !reflect.DeepEqual(claims, want) || !value43.MatchString(jti) {
				t.Errorf("claims %v", claims)
			}
			again, _ := openProof(t, authorized(t, bound(d), "GET", "https://rs.example.com/resource").Header.Get("DPoP"))
			if again["jti"] == jti {
				t.Error("two proofs have one jti")
			}
		}))
	}
}

// R174, T07: the form of the URL, and T13: the method.
func TestProofOfRequest(t *testing.T) {
	for _, test := range []struct{ method, url, htm, htu string }{
		{"GET", "https://rs.example.com", "GET", "https://rs.example.com/"},
		{"", "https://rs.example.com?a=b", "GET", "https://rs.example.com/"},
		{"patch", "HTTPS://RS.Example.COM:443/A/b?c#d", "PATCH", "https://rs.example.com/A/b"},
		{"POST", "https://rs.example.com:8443/", "POST", "https://rs.example.com:8443/"},
		{"POST", "https://rs.example.com:/x", "POST", "https://rs.example.com/x"},
		{"GET", "http://127.0.0.1:80/x", "GET", "http://127.0.0.1/x"},
		{"GET", "http://localhost:443/x", "GET", "http://localhost:443/x"},
		{"GET", "http://[::1]:8080/x", "GET", "http://[::1]:8080/x"},
		{"GET", "https://[2001:DB8::1]:443/x", "GET", "https://[2001:db8::1]/x"},
		{"GET", "https://rs.example.com/a/./b/../c", "GET", "https://rs.example.com/a/c"},
		{"GET", "https://rs.example.com/../..", "GET", "https://rs.example.com/"},
		{"GET", "https://rs.example.com/a/b/..", "GET", "https://rs.example.com/a/"},
		{"GET", "https://rs.example.com/a/.", "GET", "https://rs.example.com/a/"},
		{"GET", "https://rs.example.com/a/%2E%2e/%2e/b", "GET", "https://rs.example.com/b"},
		{"GET", "https://rs.example.com/a//b/", "GET", "https://rs.example.com/a//b/"},
		{"GET", "https://rs.example.com/a%2fb%C3%A9/...", "GET", "https://rs.example.com/a%2fb%C3%A9/..."},
		{"GET", "https://rs.example.com/é ü", "GET", "https://rs.example.com/%C3%A9%20%C3%BC"},
		{"GET", "https://xn--bcher-kva.example/x", "GET", "https://xn--bcher-kva.example/x"},
	} {
		claims, _ := openProof(t, authorized(t, bound(newDPoP(t, keyES)), test.method, test.url).Header.Get("DPoP"))
		if claims["htm"] != test.htm || claims["htu"] != test.htu {
			t.Errorf("%s %s: %v %v, want %s %s", test.method, test.url, claims["htm"], claims["htu"], test.htm, test.htu)
		}
	}
}

// R171: what makes no handle.
func TestDPoPRefuses(t *testing.T) {
	for name, make := range map[string]func() (*grant.DPoP, error){
		"no key":                 func() (*grant.DPoP, error) { return grant.NewDPoP(nil) },
		"other algorithms":       func() (*grant.DPoP, error) { return grant.NewDPoP(keyES, "RS256", "EdDSA") },
		"none":                   func() (*grant.DPoP, error) { return grant.NewDPoP(keyES, "none") },
		"R181 no key to be made": func() (*grant.DPoP, error) { return grant.GenerateDPoP("HS256", "none") },
	} {
		d, err := make()
		if outcome(err) != "argument" || d != nil {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
	for name, d := range map[string]*grant.DPoP{"zero": {}} {
		req, err := http.NewRequest("GET", "https://rs.example.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		wantOutcome(t, bound(d).Authorize(req), "argument")
		if len(req.Header) != 0 {
			t.Errorf("%s: the request has %v", name, req.Header)
		}
		_, err = bound(d).MarshalBinary()
		wantOutcome(t, err, "argument")
		p := newProvider("")
		_, err = senders[1].send(t.Context(), t, newServer(), newClient(p), &grant.TokenEndpointRequestOptions{DPoP: d})
		wantOutcome(t, err, "argument") // R124
		if len(p.seen) != 0 || d.Thumbprint() != "" {
			t.Errorf("%s: a request was sent, or there is a thumbprint", name)
		}
	}
	if thumbprint := (*grant.DPoP)(nil).Thumbprint(); thumbprint != "" {
		t.Errorf("nil has the thumbprint %s", thumbprint)
	}
}

// The key of a login is made for the algorithms of the server.
func TestGenerateDPoP(t *testing.T) {
	seen := map[string]bool{}
	for _, test := range []struct {
		algs []string
		want string
	}{
		{nil, "ES256"}, {[]string{"RS256", "ES256"}, "ES256"}, {[]string{"RS256", "EdDSA"}, "EdDSA"}, {[]string{"Ed25519"}, "Ed25519"},
		{[]string{"ES384"}, "ES384"}, {[]string{"ES512", "HS256"}, "ES512"}, {[]string{"RS256", "PS256"}, "PS256"}, {[]string{"RS256"}, "RS256"},
	} {
		d, err := grant.GenerateDPoP(test.algs...)
		if err != nil {
			t.Fatal(err)
		}
		proof := authorized(t, bound(d), "GET", "https://rs.example.com/").Header.Get("DPoP")
		openProof(t, proof)
		if want := b64([]byte(`{"alg":"` + test.want + `"`)); !strings.HasPrefix(proof, want[:len(want)-2]) {
			t.Errorf("%v: %s", test.algs, proof)
		}
		if seen[d.Thumbprint()] {
			t.Error("two handles have one key")
		}
		seen[d.Thumbprint()] = true
	}
}

// The key is stored with the token, and everything that a proof depends on comes
// back with it.
func TestMarshalDPoP(t *testing.T) {
	for name, d := range map[string]*grant.DPoP{
		"P-256": newDPoP(t, keyES), "P-384": newDPoP(t, key384), "P-521": newDPoP(t, key521), "RSA": newDPoP(t, keyRS, "PS512"),
		"Ed25519": newDPoP(t, keyEd), "Ed25519 by its own name": newDPoP(t, keyEd, "Ed25519"),
	} {
		t.Run(name, func(t *testing.T) {
			data, err := bound(d).MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			var token grant.Token
			if err := token.UnmarshalBinary(data); err != nil {
				t.Fatal(err)
			}
			if token.TokenType != "dpop" || token.DPoP.Thumbprint() != d.Thumbprint() {
				t.Errorf("type %q, thumbprint %s", token.TokenType, token.DPoP.Thumbprint())
			}
			before := authorized(t, bound(d), "GET", "https://rs.example.com/").Header.Get("DPoP")
			after := authorized(t, &token, "GET", "https://rs.example.com/").Header.Get("DPoP")
			openProof(t, after)
			if a, b := strings.Split(before, ".")[0], strings.Split(after, ".")[0]; a != b {
				t.Errorf("header %s became %s", a, b)
			}
			again, err := token.MarshalBinary()
			if err != nil || string(again) != string(data) {
				t.Errorf("%s became %s: %v", data, again, err)
			}
		})
	}
}

func TestMarshalDPoPRefuses(t *testing.T) {
	data, err := bound(newDPoP(t, device{keyES})).MarshalBinary()
	if outcome(err) != "argument" || data != nil {
		t.Errorf("a key that does not leave its device: %s, %v", data, err)
	}
	good, err := bound(newDPoP(t, keyES)).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var stored struct {
		DPoP struct{ JWK members }
	}
	if err := json.Unmarshal(good, &stored); err != nil || stored.DPoP.JWK["d"] == nil {
		t.Fatalf("%s: %v", good, err)
	}
	for name, jwk := range map[string]any{
		"public key":           stored.DPoP.JWK.with(members{"d": nil}),
		"no key":               members{},
		"key is null":          null,
		"secret":               members{"kty": "oct", "k": stored.DPoP.JWK["d"]},
		"another type":         stored.DPoP.JWK.with(members{"kty": "RSA"}),
		"unknown curve":        stored.DPoP.JWK.with(members{"crv": "secp256k1"}),
		"point off the curve":  stored.DPoP.JWK.with(members{"x": stored.DPoP.JWK["y"]}),
		"algorithm of another": stored.DPoP.JWK.with(members{"alg": "RS256"}),
		"not base64":           stored.DPoP.JWK.with(members{"d": "%" + stored.DPoP.JWK["d"].(string)}),
	} {
		token := grant.Token{AccessToken: "old"}
		err := token.UnmarshalBinary([]byte(members{"access_token": "t", "token_type": "dpop", "dpop": members{"jwk": jwk}}.json()))
		if err == nil || token.AccessToken != "old" {
			t.Errorf("%s: no error", name)
			continue
		}
		wantNoSecrets(t, name, err.Error(), stored.DPoP.JWK["d"].(string))
	}
	// What was stored before there were keys is read as it was.
	var token grant.Token
	if err := token.UnmarshalBinary([]byte(`{"access_token":"t","token_type":"bearer"}`)); err != nil || token.DPoP != nil {
		t.Errorf("%v, %v", token.DPoP, err)
	}
}

func TestDPoPHidesItsKey(t *testing.T) {
	scalar := mustKey(keyES.Bytes())
	d := newDPoP(t, keyES)
	wantHidden(t, "DPoP", d, string(scalar), b64(scalar))
	wantHidden(t, "Token", bound(d), string(scalar), b64(scalar))
	wantHidden(t, "options", &grant.TokenEndpointRequestOptions{DPoP: d}, string(scalar), b64(scalar))
	if got := fmt.Sprint(d); got != "dpop "+d.Thumbprint() {
		t.Errorf("printed %q", got)
	}
	if got := fmt.Sprintf("%v", (*grant.DPoP)(nil)); got != "dpop " {
		t.Errorf("nil is printed %q", got)
	}
}
