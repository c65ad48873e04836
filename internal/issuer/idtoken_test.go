package issuer_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// keySet fetches the published keys.
func keySet(t *testing.T, iss *issuer.Issuer) *jose.JSONWebKeySet {
	t.Helper()
	r := get(t, iss.URL()+"/jwks")
	data, err := json.Marshal(r.body)
	if err != nil {
		t.Fatal(err)
	}
	set := new(jose.JSONWebKeySet)
	if err := json.Unmarshal(data, set); err != nil {
		t.Fatal(err)
	}
	return set
}

// verified reports whether the signature of an ID token is good.
func verified(t *testing.T, set *jose.JSONWebKeySet, token string, alg jose.SignatureAlgorithm) bool {
	t.Helper()
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{alg})
	if err != nil {
		t.Fatal(err)
	}
	_, err = jws.Verify(set)
	return err == nil
}

func TestIDTokenSignature(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA} {
		t.Run(string(alg), func(t *testing.T) {
			iss := start(t, &issuer.Options{Alg: string(alg)})
			r := signedIn(t, iss)
			token := r.string("id_token")
			set := keySet(t, iss)
			header := part(t, token, 0)
			if header["alg"] != string(alg) || header["typ"] != "JWT" || len(set.Key(header["kid"].(string))) != 1 {
				t.Errorf("header %v, %d keys", header, len(set.Keys))
			}
			for _, key := range set.Keys {
				if key.Algorithm != string(alg) || key.Use != "sig" || !key.IsPublic() || !key.Valid() {
					t.Errorf("key: %+v", key)
				}
			}
			if !verified(t, set, token, alg) {
				t.Error("the signature is wrong")
			}
			if alg == jose.PS256 && !saltIsHashLong(t, set, token) {
				t.Error("the salt is not as long as the hash") // RFC 7518, section 3.5
			}
			if got := part(t, token, 1)["at_hash"]; got != atHash(alg, r.string("access_token")) {
				t.Errorf("at_hash: %v", got)
			}
		})
	}
}

// saltIsHashLong verifies a PS256 signature strictly: go-jose takes a salt of any length.
func saltIsHashLong(t *testing.T, set *jose.JSONWebKeySet, token string) bool {
	t.Helper()
	end := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[end+1:])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(token[:end]))
	key := set.Keys[0].Key.(*rsa.PublicKey)
	return rsa.VerifyPSS(key, crypto.SHA256, sum[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
}

// atHash is the left half of the hash (OpenID Connect Core, section 3.1.3.6).
func atHash(alg jose.SignatureAlgorithm, token string) string {
	if alg == jose.EdDSA {
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func TestClientAlg(t *testing.T) {
	iss := start(t, &issuer.Options{Clients: []issuer.Client{{ID: "demo", Alg: "EdDSA"}, {ID: "other"}}})
	if alg := part(t, signedIn(t, iss).string("id_token"), 0)["alg"]; alg != "EdDSA" {
		t.Errorf("signed with %v", alg)
	}
	if n := len(keySet(t, iss).Keys); n != 2 {
		t.Errorf("%d keys, want one for each algorithm in use", n)
	}
}

func TestRotateKeys(t *testing.T) {
	iss := start(t, nil)
	old := signedIn(t, iss).string("id_token")
	oldSet := keySet(t, iss)
	if err := iss.RotateKeys(); err != nil {
		t.Fatal(err)
	}
	fresh := signedIn(t, iss).string("id_token")
	if verified(t, oldSet, fresh, jose.ES256) {
		t.Error("the new token is signed with the old key")
	}
	set := keySet(t, iss)
	if len(set.Keys) != 2 || !verified(t, set, fresh, jose.ES256) || !verified(t, set, old, jose.ES256) {
		t.Errorf("%d keys after a rotation, want both", len(set.Keys))
	}
	if n := iss.Requests("jwks"); n != 2 {
		t.Errorf("%d requests of keys counted, want 2", n)
	}
}

func TestIDTokenClaims(t *testing.T) {
	clock := newClock()
	iss := start(t, &issuer.Options{Now: clock.now, Path: "/tenant"})
	signedInAt := clock.now()
	uri := receiver(t)
	form := codeGrant(uri, answer(t, iss, &issuer.Visitor{User: "grace"}, request(uri)))
	clock.advance(10 * time.Second)
	claims := part(t, post(t, iss.URL()+"/token", form).string("id_token"), 1)
	for name, want := range map[string]any{
		"iss":                iss.URL(),
		"aud":                "demo",
		"nonce":              "the nonce",
		"auth_time":          float64(signedInAt.Unix()),
		"iat":                float64(clock.now().Unix()),
		"exp":                float64(clock.now().Unix() + 3600),
		"name":               "Grace",
		"preferred_username": "grace",
		"email":              "grace@example.com",
		"email_verified":     false,
	} {
		if claims[name] != want {
			t.Errorf("%s: %v, want %v", name, claims[name], want)
		}
	}
	if sub, _ := claims["sub"].(string); sub == "" || sub == "grace" {
		t.Errorf("sub: %q", sub)
	}
	bare := part(t, signedIn(t, iss, "scope", "openid", "nonce", "-").string("id_token"), 1)
	for _, name := range []string{"name", "preferred_username", "email", "email_verified", "nonce"} {
		if _, ok := bare[name]; ok {
			t.Errorf("%s is there unasked", name)
		}
	}
}

// The subject is the same at every sign-in of one name, and another one for every other name.
func TestSubject(t *testing.T) {
	iss, other := start(t, nil), start(t, nil)
	subject := func(iss *issuer.Issuer, name string) any {
		uri := receiver(t)
		form := codeGrant(uri, answer(t, iss, &issuer.Visitor{User: name}, request(uri)))
		return part(t, post(t, iss.URL()+"/token", form).string("id_token"), 1)["sub"]
	}
	ada := subject(iss, "ada")
	for _, name := range []string{"Ada Lovelace", "a..b", ".ada", "ädä"} { // no part of an address (RFC 5322, section 3.2.3)
		uri := receiver(t)
		form := codeGrant(uri, answer(t, iss, &issuer.Visitor{User: name}, request(uri)))
		claims := part(t, post(t, iss.URL()+"/token", form).string("id_token"), 1)
		if claims["email"] != claims["sub"].(string)+"@example.com" || claims["preferred_username"] != name {
			t.Errorf("%s: %v, %v", name, claims["email"], claims["preferred_username"])
		}
	}
	if subject(other, " ada ") != ada || subject(iss, "Ada") == ada {
		t.Error("the subject does not follow the name")
	}
}

func TestUserinfo(t *testing.T) {
	iss := start(t, nil)
	r := signedIn(t, iss)
	bearer := []string{"Authorization", "bearer " + r.string("access_token")}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		got := send(t, method, iss.URL()+"/userinfo", "", bearer...)
		if got.status != http.StatusOK || got.body["sub"] != part(t, r.string("id_token"), 1)["sub"] ||
			got.body["email"] != "ada@example.com" || got.body["name"] != "Ada" {
			t.Errorf("%s: %d %v", method, got.status, got.body)
		}
	}
	plain := signedIn(t, iss, "scope", "profile")
	for _, test := range []struct {
		name, authorization string
		status              int
		challenge           string
	}{
		{"nothing", "", 401, `Bearer realm="userinfo"`},
		{"other scheme", "Basic eDp5", 401, `Bearer realm="userinfo"`},
		{"unknown", "Bearer x", 401, `Bearer realm="userinfo", error="invalid_token"`},
		{"refresh token", "Bearer " + r.string("refresh_token"), 401, `Bearer realm="userinfo", error="invalid_token"`},
		{"ID token", "Bearer " + r.string("id_token"), 401, `Bearer realm="userinfo", error="invalid_token"`},
		{"no openid", "Bearer " + plain.string("access_token"), 403, `Bearer realm="userinfo", error="insufficient_scope", scope="openid"`},
	} {
		got := get(t, iss.URL()+"/userinfo", "Authorization", test.authorization)
		if got.status != test.status || got.header.Get("WWW-Authenticate") != test.challenge || got.body != nil {
			t.Errorf("%s: %d %q", test.name, got.status, got.header.Get("WWW-Authenticate"))
		}
	}
	if got := get(t, iss.URL()+"/userinfo?access_token="+r.string("access_token")); got.status != http.StatusUnauthorized {
		t.Errorf("token in the URL: %d", got.status)
	}
}

func TestRevoke(t *testing.T) {
	iss := start(t, &issuer.Options{Clients: []issuer.Client{{ID: "demo"}, {ID: "other"}}})
	revoke := func(token, client string) *reply {
		return post(t, iss.URL()+"/revoke", change(url.Values{}, "token", token, "client_id", client))
	}
	valid := func(r *reply) bool {
		return get(t, iss.URL()+"/userinfo", "Authorization", "Bearer "+r.string("access_token")).status == http.StatusOK
	}
	first := signedIn(t, iss)
	refused(t, revoke(first.string("access_token"), "other"), http.StatusBadRequest, "invalid_grant")
	refused(t, revoke(first.string("refresh_token"), "other"), http.StatusBadRequest, "invalid_grant")
	refused(t, revoke("-", "demo"), http.StatusBadRequest, "invalid_request")
	if r := revoke("unknown", "demo"); r.status != http.StatusOK || r.body != nil {
		t.Errorf("unknown token: %d %v", r.status, r.body)
	}
	if !valid(first) {
		t.Fatal("none of these may revoke anything")
	}
	if r := revoke(first.string("access_token"), "demo"); r.status != http.StatusOK || valid(first) {
		t.Errorf("access token: %d, valid: %t", r.status, valid(first))
	}
	second := post(t, iss.URL()+"/token", refreshGrant(first.string("refresh_token")))
	if !valid(second) {
		t.Fatalf("an access token takes its refresh token with it: %d", second.status)
	}
	if r := revoke(second.string("refresh_token"), "demo"); r.status != http.StatusOK || valid(second) {
		t.Errorf("refresh token: %d, access token valid: %t", r.status, valid(second))
	}
	refused(t, post(t, iss.URL()+"/token", refreshGrant(second.string("refresh_token"))), http.StatusBadRequest, "invalid_grant")
}

func TestSecrets(t *testing.T) {
	iss := start(t, nil)
	uri := receiver(t)
	got := answer(t, iss, new(issuer.Visitor), request(uri))
	r := post(t, iss.URL()+"/token", codeGrant(uri, got))
	all := strings.Join(iss.Secrets(), "\n")
	for _, secret := range []string{got.Get("code"), r.string("access_token"), r.string("refresh_token"), r.string("id_token")} {
		if secret == "" || !strings.Contains(all, secret) {
			t.Errorf("a secret is missing among %d", len(iss.Secrets()))
		}
	}
}
