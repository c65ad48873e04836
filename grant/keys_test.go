package grant_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

const (
	jwksStatus = "OAUTH_RESPONSE_IS_NOT_CONFORM jwks.status"
	jwksParse  = "OAUTH_PARSE_ERROR jwks.document"
	jwksHTML   = "OAUTH_RESPONSE_IS_NOT_JSON jwks.document"
	jwksObject = "OAUTH_INVALID_RESPONSE jwks.document"
)

// verify has an ID token verified against the provider's keys.
func verify(ctx context.Context, as *grant.AuthorizationServer, client *grant.Client, idToken string) error {
	_, err := grant.ProcessAuthorizationCodeResponse(ctx, as, client, response(200, tokenBody(idToken)), nil)
	return err
}

func TestAlgorithms(t *testing.T) {
	set := jwks(jwkRS, jwkES, jwkEd, ecJWK(key384), ecJWK(key521))
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"} {
		t.Run(alg, func(t *testing.T) {
			p := newProvider("")
			p.jwks = always(200, set, "Content-Type", "application/jwk-set+json")
			as, client := newServer(), newClient(p)
			token := mint(alg, idClaims(nil))
			wantOutcome(t, verify(t.Context(), as, client, token), "ok")
			dot := strings.LastIndexByte(token, '.') + 1
			signature := []byte(token[dot:])
			if signature[5] == 'x' {
				signature[5] = 'y'
			} else {
				signature[5] = 'x'
			}
			wantOutcome(t, verify(t.Context(), as, client, token[:dot]+string(signature)), wrongSig)
			wantOutcome(t, verify(t.Context(), as, client, token[:dot]+token[dot+4:]), wrongSig)
		})
	}
}

// R196 to R198: which keys of a set may verify a token.
func TestKeySelection(t *testing.T) {
	other := ecJWK(mustKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))
	small := jwkRS.with(members{"n": b64(keyRS.N.Bytes()[1:])}) // at most 2048-8 bits
	secp256k1 := members{"kty": "EC", "crv": "secp256k1", "x": b64(make([]byte, 32)), "y": b64(make([]byte, 32)), "kid": "k1"}
	private := jwkES.with(members{"d": b64(make([]byte, 32))})
	es := func(changes members) members { return jwkES.with(changes) }
	tests := []struct {
		name, alg, kid string
		keys           []members
		want           string
	}{
		{"no kid anywhere", "ES256", "", []members{jwkES}, "ok"},
		{"kid in the set alone", "ES256", "", []members{es(members{"kid": "a"})}, "ok"},
		{"R196 kid in the token alone", "ES256", "a", []members{jwkES}, noKey},
		{"R196 the kid", "ES256", "a", []members{other.with(members{"kid": "b"}), es(members{"kid": "a"})}, "ok"},
		{"R196 another kid", "ES256", "a", []members{es(members{"kid": "b"})}, noKey},
		{"R196 kid in another case", "ES256", "a", []members{es(members{"kid": "A"})}, noKey},
		{"R196 the kid of another key", "ES256", "a", []members{es(members{"kid": "b"}), other.with(members{"kid": "a"})}, wrongSig},
		{"R197 two keys fit: stricter than choosing none, each is tried", "ES256", "", []members{other, jwkES}, "ok"},
		{"R197 two keys with the kid", "ES256", "a", []members{other.with(members{"kid": "a"}), es(members{"kid": "a"})}, "ok"},
		{"R197 two keys fit, neither signed", "ES256", "", []members{other, other}, wrongSig},
		{"eight keys are tried", "ES256", "", append(repeated(other, 7), jwkES), "ok"},
		{"nine keys are not", "ES256", "", append(repeated(other, 8), jwkES), wrongSig},
		{"R197 empty set", "ES256", "", []members{}, noKey},
		{"R196 only another family", "ES256", "", []members{jwkRS}, noKey},
		{"R196 only another family, the other way", "RS256", "", []members{jwkES}, noKey},
		{"R196 only another curve", "ES256", "", []members{ecJWK(key384)}, noKey},
		{"R196 alg", "ES256", "", []members{es(members{"alg": "ES256"})}, "ok"},
		{"R196 another alg", "RS256", "", []members{jwkRS.with(members{"alg": "PS256"})}, noKey},
		{"R196 alg null", "ES256", "", []members{es(members{"alg": null})}, noKey},
		{"R196 EdDSA is not Ed25519", "EdDSA", "", []members{jwkEd.with(members{"alg": "Ed25519"})}, noKey},
		{"R196 use sig", "ES256", "", []members{es(members{"use": "sig"})}, "ok"},
		{"R196 use enc", "ES256", "", []members{es(members{"use": "enc"})}, noKey},
		{"R196 use null", "ES256", "", []members{es(members{"use": null})}, noKey},
		{"R196 key_ops", "ES256", "", []members{es(members{"key_ops": []string{"sign", "verify"}})}, "ok"},
		{"R196 other key_ops", "ES256", "", []members{es(members{"key_ops": []string{"encrypt"}})}, noKey},
		{"R196 key_ops null", "ES256", "", []members{es(members{"key_ops": null})}, noKey},
		{"a curve that we do not know does not spoil the set", "ES256", "", []members{secp256k1, jwkES}, "ok"},
		{"a key that is broken does not spoil the set", "ES256", "", []members{es(members{"x": "!"}), {"kty": 5}, {}, jwkES}, "ok"},
		{"a point beside the curve", "ES256", "", []members{es(members{"x": b64(make([]byte, 32))})}, noKey},
		{"a short Ed25519 key", "EdDSA", "", []members{jwkEd.with(members{"x": "AAAA"})}, noKey},
		{"R198 private key", "ES256", "", []members{private}, noKey},
		{"R198 private key beside a public one", "ES256", "", []members{private, jwkES}, "ok"},
		{"a shared secret", "ES256", "", []members{{"kty": "oct", "k": "AAAA"}}, noKey},
		{"R198 RSA below 2048 bits", "RS256", "", []members{small}, noKey},
		{"RSA beyond reason", "RS256", "", []members{jwkRS.with(members{"n": strings.Repeat("f", 8192)})}, noKey},
		{"certificates are not looked at", "ES256", "", []members{es(members{"x5c": []string{"rubbish"}, "x5t": "rubbish", "x5u": 5})}, "ok"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider("")
			p.jwks = always(200, jwks(test.keys...))
			header := members{"alg": test.alg}
			if test.kid != "" {
				header["kid"] = test.kid
			}
			wantOutcome(t, verify(t.Context(), newServer(), newClient(p), mintHeader(header, idClaims(nil))), test.want)
			if n := len(p.requests("/jwks")); n != 1 {
				t.Errorf("%d requests for keys", n)
			}
		})
	}
}

func repeated(key members, n int) (keys []members) {
	for range n {
		keys = append(keys, key)
	}
	return keys
}

// R191, R192, R199.
func TestKeysDocument(t *testing.T) {
	network := errors.New("no route")
	tests := []struct {
		name   string
		answer endpoint
		want   string
	}{
		{"404", always(404, "{}"), jwksStatus},
		{"401 with a challenge", always(401, "", "WWW-Authenticate", "Basic"), jwksStatus},
		{"R021 302", always(302, "", "Location", "https://elsewhere.example/"), jwksStatus},
		{"half an object", always(200, `{"`), jwksParse},
		{"key set type", always(200, `{"`, "Content-Type", "application/jwk-set+json"), jwksParse},
		{"HTML", always(200, `<html>`, "Content-Type", "text/html"), jwksHTML},
		{"null", always(200, `null`), jwksObject},
		{"array", always(200, `[]`), jwksObject},
		{"no keys", always(200, `{}`), jwksObject},
		{"keys null", always(200, `{"keys":null}`), jwksObject},
		{"keys object", always(200, `{"keys":{}}`), jwksObject},
		{"a key null", always(200, `{"keys":[null]}`), jwksObject},
		{"a key text", always(200, `{"keys":["x"]}`), jwksObject},
		{"T02 Keys", always(200, `{"Keys":[]}`), jwksObject},
		{"R043 wrong type, good JSON", always(200, jwks(jwkES), "Content-Type", "text/plain"), "ok"},
		{"larger than 1 MiB", always(200, strings.Repeat(" ", 1<<20)+jwks(jwkES)), "OAUTH_INVALID_RESPONSE response.size"},
		{"network", func(*http.Request) (*http.Response, error) { return nil, network }, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider("")
			p.jwks = test.answer
			err := verify(t.Context(), newServer(), newClient(p), mint("ES256", idClaims(nil)))
			if test.want == "" {
				if !errors.Is(err, network) {
					t.Errorf("got %v", err)
				}
				return
			}
			wantOutcome(t, err, test.want)
		})
	}
}

func TestKeysRequest(t *testing.T) {
	p := newProvider("")
	as, client := newServer(), newClient(p)
	as.MTLSEndpointAliases = map[string]string{"jwks_uri": issuer + "/alias"} // R015: never aliased
	client.UseMTLSEndpointAliases = true
	client.Header = http.Header{"foo": {"bar"}}
	wantOutcome(t, verify(t.Context(), as, client, mint("ES256", idClaims(nil))), "ok")
	r := p.one(t, "/jwks")
	if r.method != "GET" || r.header.Get("Accept") != "application/json, application/jwk-set+json" ||
		!userAgent.MatchString(r.header.Get("User-Agent")) || r.header.Get("Foo") != "bar" {
		t.Errorf("%s with %v", r.method, r.header)
	}

	tests := []struct {
		name, uri string
		header    http.Header
		want      string
	}{
		{"no jwks_uri", "", nil, noEndpoint},
		{"relative", "/jwks", nil, badEndpoint},
		{"R014 http", "http://op.example.com/jwks", nil, notHTTPS},
		{"R016 the client's headers hold no Authorization", issuer + "/jwks", http.Header{"authorization": {"x"}}, "argument"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider("")
			as, client := newServer(), newClient(p)
			as.JWKSURI, client.Header = test.uri, test.header
			wantOutcome(t, verify(t.Context(), as, client, mint("ES256", idClaims(nil))), test.want)
			if n := len(p.requests("/jwks")); n != 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// A keyring publishes one key whose kid a test changes.
type keyring struct{ kid string }

func (k *keyring) answer(*http.Request) (*http.Response, error) {
	key := jwkES
	if k.kid != "" {
		key = key.with(members{"kid": k.kid})
	}
	return response(200, jwks(key)), nil
}

func (k *keyring) token(kid string) string {
	header := members{"alg": "ES256"}
	if kid != "" {
		header["kid"] = kid
	}
	return mintHeader(header, idClaims(members{"exp": time.Now().Unix() + 3600}))
}

// JWKS-01 to JWKS-05, by steps: at a time after the start, a token with a kid
// is verified while the provider publishes one, and so many requests for keys
// have been made since the start.
func TestKeysLifecycle(t *testing.T) {
	type step struct {
		at                time.Duration
		published, signed string
		want              string
		fetched           int
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"JWKS-01 one fetch for two tokens", []step{{0, "", "", "ok", 1}, {0, "", "", "ok", 1}}},
		{"JWKS-02 fresh at 299 s", []step{{0, "", "", "ok", 1}, {299 * time.Second, "", "", "ok", 1}}},
		{"JWKS-03 stale at 300 s", []step{{0, "", "", "ok", 1}, {300 * time.Second, "", "", "ok", 2}}},
		{"JWKS-04 unknown kid within the cooldown", []step{{0, "foo", "foo", "ok", 1}, {0, "foo2", "foo2", noKey, 1}, {59 * time.Second, "foo2", "foo2", noKey, 1}}},
		{"JWKS-05 unknown kid after the cooldown", []step{{0, "foo", "foo", "ok", 1}, {60 * time.Second, "foo2", "foo2", "ok", 2}}},
		{"R195 one fetch for an unknown kid, not two", []step{{0, "foo", "foo", "ok", 1}, {60 * time.Second, "foo", "foo2", noKey, 2}, {60 * time.Second, "foo", "foo2", noKey, 2}}},
		{"the first fetch counts for the cooldown", []step{{0, "foo", "foo2", noKey, 1}, {59 * time.Second, "foo2", "foo2", noKey, 1}, {60 * time.Second, "foo2", "foo2", "ok", 2}}},
	}
	for _, test := range tests {
		t.Run(test.name, inBubble(func(t *testing.T) {
			p, ring, start := newProvider(""), &keyring{}, time.Now()
			p.jwks = ring.answer
			as, client := newServer(), newClient(p)
			for _, step := range test.steps {
				time.Sleep(time.Until(start.Add(step.at)))
				ring.kid = step.published
				wantOutcome(t, verify(t.Context(), as, client, ring.token(step.signed)), step.want)
				if n := len(p.requests("/jwks")); n != step.fetched {
					t.Errorf("at %v: %d requests for keys, want %d", step.at, n, step.fetched)
				}
			}
		}))
	}
}

// A token without a kid whose signature is wrong may be signed with a key
// that is newer than the set. A token that names a key of the set is not.
func TestKeysChangedWithoutKid(t *testing.T) {
	inBubble(func(t *testing.T) {
		p := newProvider("")
		as, client := newServer(), newClient(p)
		other := ecJWK(mustKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))
		p.jwks = always(200, jwks(other.with(members{"kid": "a"})))
		ring := &keyring{}
		wantOutcome(t, verify(t.Context(), as, client, ring.token("")), wrongSig)
		time.Sleep(time.Minute)
		p.jwks = always(200, jwks(jwkES.with(members{"kid": "a"})))
		wantOutcome(t, verify(t.Context(), as, client, ring.token("a")), wrongSig)
		wantOutcome(t, verify(t.Context(), as, client, ring.token("")), "ok")
		if n := len(p.requests("/jwks")); n != 2 {
			t.Errorf("%d requests for keys", n)
		}
	})(t)
}

// R193, T16: another metadata value has its own keys, even as a copy.
func TestKeysAreNotShared(t *testing.T) {
	p := newProvider("")
	client := newClient(p)
	token := mint("ES256", idClaims(nil))
	as := newServer()
	for range 2 {
		wantOutcome(t, verify(t.Context(), as, client, token), "ok")
	}
	copied := new(grant.AuthorizationServer)
	reflect.ValueOf(copied).Elem().Set(reflect.ValueOf(as).Elem())
	copied.JWKSURI = issuer + "/gone"
	if err := verify(t.Context(), copied, client, token); err == nil {
		t.Error("the keys of another server were used")
	}
	wantOutcome(t, verify(t.Context(), newServer(), client, token), "ok")
	if n := len(p.requests("/jwks")); n != 2 {
		t.Errorf("%d requests for keys, want 2", n)
	}
}

// Whoever waits for keys that somebody else fetches stops when its own context
// ends, and takes over when that of the other one ends.
func TestKeysWaitersAreIndependent(t *testing.T) {
	inBubble(func(t *testing.T) {
		p := newProvider("")
		good := p.jwks
		p.jwks = func(req *http.Request) (*http.Response, error) {
			select {
			case <-time.After(10 * time.Second):
				return good(req)
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
		}
		as, client, token, start := newServer(), newClient(p), mint("ES256", idClaims(nil)), time.Now()
		type waiter struct {
			name           string
			begins, leaves time.Duration
			want           error
			returns        time.Duration
		}
		waiters := []waiter{
			{"fetches first, leaves after 5 s", 0, 5 * time.Second, context.DeadlineExceeded, 5 * time.Second},
			{"waits, leaves after 2 s", time.Second, 2 * time.Second, context.DeadlineExceeded, 2 * time.Second},
			{"waits, then fetches", 3 * time.Second, time.Minute, nil, 15 * time.Second},
			{"waits twice", 4 * time.Second, time.Minute, nil, 15 * time.Second},
			{"comes later", 20 * time.Second, time.Minute, nil, 20 * time.Second},
		}
		var all sync.WaitGroup
		for _, w := range waiters {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), w.leaves)
				defer cancel()
				time.Sleep(w.begins)
				err := verify(ctx, as, client, token)
				if !errors.Is(err, w.want) {
					t.Errorf("%s: %v, want %v", w.name, err, w.want)
				}
				if took := time.Since(start); took != w.returns {
					t.Errorf("%s: returns after %v, want %v", w.name, took, w.returns)
				}
			})
		}
		all.Wait()
		if n := len(p.requests("/jwks")); n != 2 {
			t.Errorf("%d requests for keys, want 2", n)
		}
	})(t)
}

// A verification that finds its key does not wait for a fetch that another
// token needs.
func TestKnownKeysDoNotWait(t *testing.T) {
	inBubble(func(t *testing.T) {
		p, ring := newProvider(""), &keyring{kid: "old"}
		p.jwks = ring.answer
		as, client := newServer(), newClient(p)
		wantOutcome(t, verify(t.Context(), as, client, ring.token("old")), "ok")
		time.Sleep(time.Minute)
		p.jwks = func(req *http.Request) (*http.Response, error) {
			time.Sleep(10 * time.Second)
			return ring.answer(req)
		}
		var other sync.WaitGroup
		other.Go(func() { wantOutcome(t, verify(t.Context(), as, client, ring.token("new")), noKey) })
		synctest.Wait()
		start := time.Now()
		wantOutcome(t, verify(t.Context(), as, client, ring.token("old")), "ok")
		if waited := time.Since(start); waited != 0 {
			t.Errorf("it waited for %v", waited)
		}
		other.Wait()
	})(t)
}

func TestConcurrentVerification(t *testing.T) {
	p := newProvider("")
	as, client := newServer(), newClient(p)
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			alg := []string{"ES256", "RS256"}[i%2]
			if err := verify(t.Context(), as, client, mint(alg, idClaims(nil))); err != nil {
				t.Error(fmt.Errorf("%s: %w", alg, err))
			}
		})
	}
	all.Wait()
	if n := len(p.requests("/jwks")); n != 1 {
		t.Errorf("%d requests for keys", n)
	}
}
