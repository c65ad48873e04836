package issuer_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// proof makes a DPoP proof of a request, with changes of the claims.
func proof(t *testing.T, key crypto.Signer, alg, method, target string, changes fields) string {
	t.Helper()
	claims := fields{"jti": rand.Text(), "htm": method, "htu": target, "iat": time.Now().Unix()}
	return sign(t, key, fields{"alg": alg, "typ": "dpop+jwt", "jwk": jwkOf(t, key)}, claims.with(changes))
}

func ath(token string) string { sum := sha256.Sum256([]byte(token)); return b64(sum[:]) }

// The whole way of a key: the code, the access token and the refresh token.
func TestDPoP(t *testing.T) {
	for alg, key := range keys(t) {
		t.Run(alg, func(t *testing.T) {
			iss := start(t, nil)
			uri := receiver(t)
			token, userinfo := iss.URL()+"/token", iss.URL()+"/userinfo"
			form := codeGrant(uri, answer(t, iss, new(issuer.Visitor), request(uri)))
			r := post(t, token, form, "DPoP", proof(t, key, alg, "POST", token, nil))
			if r.status != http.StatusOK || r.string("token_type") != "DPoP" {
				t.Fatalf("%d %v", r.status, r.body)
			}
			access := r.string("access_token")
			good := []string{"Authorization", "DPoP " + access, "DPoP", proof(t, key, alg, "GET", userinfo, fields{"ath": ath(access)})}
			if r := get(t, userinfo, good...); r.status != http.StatusOK {
				t.Errorf("userinfo: %d %v", r.status, r.header)
			}
			if r := get(t, userinfo, good...); r.status != http.StatusUnauthorized {
				t.Errorf("a proof was used twice: %d", r.status)
			}
			for name, header := range map[string][]string{
				"bearer":        {"Authorization", "Bearer " + access},
				"no proof":      {"Authorization", "DPoP " + access},
				"no ath":        {"Authorization", "DPoP " + access, "DPoP", proof(t, key, alg, "GET", userinfo, nil)},
				"another token": {"Authorization", "DPoP x", "DPoP", proof(t, key, alg, "GET", userinfo, fields{"ath": ath("x")})},
				"another key":   {"Authorization", "DPoP " + access, "DPoP", proof(t, keys(t)[alg], alg, "GET", userinfo, fields{"ath": ath(access)})},
			} {
				if r := get(t, userinfo, header...); r.status != http.StatusUnauthorized || r.header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s: %d", name, r.status)
				}
			}
			refresh := refreshGrant(r.string("refresh_token"))
			refused(t, post(t, token, refresh), http.StatusBadRequest, "invalid_grant")
			refused(t, post(t, token, refresh, "DPoP", proof(t, keys(t)[alg], alg, "POST", token, nil)), http.StatusBadRequest, "invalid_grant")
			if r := post(t, token, refresh, "DPoP", proof(t, key, alg, "POST", token, nil)); r.status != http.StatusOK || r.string("token_type") != "DPoP" {
				t.Errorf("refresh: %d %v", r.status, r.body)
			}
		})
	}
}

// What is wrong with a proof is found before the code is used up.
func TestProofs(t *testing.T) {
	key := keys(t)["ES256"]
	iss := start(t, nil)
	uri := receiver(t)
	token := iss.URL() + "/token"
	form := codeGrant(uri, answer(t, iss, new(issuer.Visitor), request(uri)))
	now := time.Now()
	private := jwkOf(t, key)
	private["d"] = private["x"]
	claims := func() fields {
		return fields{"jti": rand.Text(), "htm": "POST", "htu": token, "iat": now.Unix()}
	}
	for name, wrong := range map[string]string{
		"not a JWS":        "x",
		"another method":   proof(t, key, "ES256", "GET", token, nil),
		"another URL":      proof(t, key, "ES256", "POST", iss.URL()+"/revoke", nil),
		"a query":          proof(t, key, "ES256", "POST", token+"?a", nil),
		"too old":          proof(t, key, "ES256", "POST", token, fields{"iat": now.Add(-2 * time.Minute).Unix()}),
		"from the future":  proof(t, key, "ES256", "POST", token, fields{"iat": now.Add(2 * time.Minute).Unix()}),
		"no time":          proof(t, key, "ES256", "POST", token, fields{"iat": nil}),
		"no jti":           proof(t, key, "ES256", "POST", token, fields{"jti": nil}),
		"no typ":           sign(t, key, fields{"alg": "ES256", "jwk": jwkOf(t, key)}, claims()),
		"no key":           sign(t, key, fields{"alg": "ES256", "typ": "dpop+jwt"}, claims()),
		"a private key":    sign(t, key, fields{"alg": "ES256", "typ": "dpop+jwt", "jwk": private}, claims()),
		"another key":      sign(t, key, fields{"alg": "ES256", "typ": "dpop+jwt", "jwk": jwkOf(t, keys(t)["ES256"])}, claims()),
		"none":             sign(t, key, fields{"alg": "none", "typ": "dpop+jwt", "jwk": jwkOf(t, key)}, claims()),
		"a secret":         sign(t, "s", fields{"alg": "HS256", "typ": "dpop+jwt", "jwk": fields{"kty": "oct", "k": b64([]byte("s"))}}, claims()),
		"a broken sequel":  proof(t, key, "ES256", "POST", token, nil) + "A",
		"a small RSA key":  sign(t, key, fields{"alg": "RS256", "typ": "dpop+jwt", "jwk": fields{"kty": "RSA", "n": b64(make([]byte, 128)), "e": "AQAB"}}, claims()),
		"a point off line": sign(t, key, fields{"alg": "ES256", "typ": "dpop+jwt", "jwk": jwkOf(t, key).with(fields{"x": jwkOf(t, key)["y"]})}, claims()),
	} {
		if r := post(t, token, form, "DPoP", wrong); r.status != http.StatusBadRequest || r.body["error"] != "invalid_dpop_proof" {
			t.Errorf("%s: %d %v", name, r.status, r.body)
		}
	}
	if r := post(t, token, form, "DPoP", proof(t, key, "ES256", "POST", token, nil)); r.status != http.StatusOK {
		t.Errorf("the code is gone: %d %v", r.status, r.body)
	}
}

// RFC 9449, sections 8 and 9: nonces, at both endpoints.
func TestDPoPNonce(t *testing.T) {
	key := keys(t)["ES256"]
	clock := newClock()
	iss := start(t, &issuer.Options{DPoPNonce: true, Now: clock.now})
	uri := receiver(t)
	token, userinfo := iss.URL()+"/token", iss.URL()+"/userinfo"
	form := codeGrant(uri, answer(t, iss, new(issuer.Visitor), request(uri)))
	iat := func(changes fields) fields { return fields{"iat": clock.now().Unix()}.with(changes) }
	r := post(t, token, form, "DPoP", proof(t, key, "ES256", "POST", token, iat(nil)))
	refused(t, r, http.StatusBadRequest, "use_dpop_nonce")
	nonce := r.header.Get("DPoP-Nonce")
	refused(t, post(t, token, form, "DPoP", proof(t, key, "ES256", "POST", token, iat(fields{"nonce": nonce[1:]}))), http.StatusBadRequest, "use_dpop_nonce")
	r = post(t, token, form, "DPoP", proof(t, key, "ES256", "POST", token, iat(fields{"nonce": nonce})))
	if r.status != http.StatusOK || r.header.Get("DPoP-Nonce") == "" {
		t.Fatalf("%d %v", r.status, r.body)
	}
	access := r.string("access_token")
	r = get(t, userinfo, "Authorization", "DPoP "+access, "DPoP", proof(t, key, "ES256", "GET", userinfo, iat(fields{"ath": ath(access)})))
	if challenge := r.header.Get("WWW-Authenticate"); r.status != http.StatusUnauthorized || !strings.HasPrefix(challenge, `DPoP error="use_dpop_nonce"`) || r.header.Get("DPoP-Nonce") == "" {
		t.Errorf("%d %q", r.status, challenge)
	}
	clock.advance(6 * time.Minute)
	r = get(t, userinfo, "Authorization", "DPoP "+access, "DPoP", proof(t, key, "ES256", "GET", userinfo, iat(fields{"ath": ath(access), "nonce": nonce})))
	if r.status != http.StatusUnauthorized {
		t.Errorf("an old nonce was taken: %d", r.status)
	}
	nonce = r.header.Get("DPoP-Nonce")
	if r = get(t, userinfo, "Authorization", "DPoP "+access, "DPoP", proof(t, key, "ES256", "GET", userinfo, iat(fields{"ath": ath(access), "nonce": nonce}))); r.status != http.StatusOK {
		t.Errorf("%d", r.status)
	}
}

// RFC 9449, sections 5.2 and 10.
func TestDPoPDemands(t *testing.T) {
	key := keys(t)["ES256"]
	iss := start(t, &issuer.Options{Clients: []issuer.Client{{ID: "demo", DPoPBound: true}}})
	uri := receiver(t)
	token := iss.URL() + "/token"
	form := codeGrant(uri, answer(t, iss, new(issuer.Visitor), request(uri, "dpop_jkt", "another")))
	refused(t, post(t, token, form), http.StatusBadRequest, "invalid_dpop_proof")
	refused(t, post(t, token, form, "DPoP", proof(t, key, "ES256", "POST", token, nil)), http.StatusBadRequest, "invalid_grant")
	jwk := jwkOf(t, key)
	jkt := ath(`{"crv":"P-256","kty":"EC","x":"` + jwk["x"].(string) + `","y":"` + jwk["y"].(string) + `"}`)
	form = codeGrant(uri, answer(t, iss, new(issuer.Visitor), request(uri, "dpop_jkt", jkt)))
	if r := post(t, token, form, "DPoP", proof(t, key, "ES256", "POST", token, nil)); r.status != http.StatusOK {
		t.Errorf("%d %v", r.status, r.body)
	}
}
