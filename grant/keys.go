package grant

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of the algorithms below
	_ "crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	keysMaxAge    = 300 * time.Second // keys older than this are fetched anew
	keysCooldown  = 60 * time.Second  // between a fetch and the next one for an unknown key
	minRSAKeySize = 2048              // bits
	maxCandidates = 8                 // keys tried for one token without a kid
)

// An algorithm says which keys can verify it. HMAC and "none" are not here:
// whoever could verify those could have made the token.
type algorithm struct {
	keyType, curve string
	hash           crypto.Hash
}

var algorithms = map[string]algorithm{
	"RS256":   {"RSA", "", crypto.SHA256},
	"RS384":   {"RSA", "", crypto.SHA384},
	"RS512":   {"RSA", "", crypto.SHA512},
	"PS256":   {"RSA", "", crypto.SHA256},
	"PS384":   {"RSA", "", crypto.SHA384},
	"PS512":   {"RSA", "", crypto.SHA512},
	"ES256":   {"EC", "P-256", crypto.SHA256},
	"ES384":   {"EC", "P-384", crypto.SHA384},
	"ES512":   {"EC", "P-521", crypto.SHA512},
	"EdDSA":   {"OKP", "Ed25519", crypto.SHA512},
	"Ed25519": {"OKP", "Ed25519", crypto.SHA512}, // RFC 9864, section 2.2
}

// A keyCache holds the keys of one AuthorizationServer. A copy of that value
// does not share it.
type keyCache struct {
	mu         sync.Mutex
	keys       []publicKey
	fetched    time.Time // zero: never
	prefetched bool      // fetched before there was a token to verify
}

// A keySource fetches keys.
type keySource struct {
	httpClient *http.Client
	insecure   bool
}

// prefetch fetches the keys unless there are fresh ones.
func (s keySource) prefetch(ctx context.Context, as *AuthorizationServer, client *Client) error {
	as.keys.mu.Lock()
	defer as.keys.mu.Unlock()
	if as.keys.fresh() {
		return nil
	}
	if err := s.refill(ctx, as, client); err != nil {
		return err
	}
	as.keys.prefetched = true
	return nil
}

// verify checks the signature of a token (RFC 7515, section 5.2). When no key
// fits, the keys are fetched once more, as the issuer may have changed them
// since; not sooner than a minute after the last fetch, except where that one
// was made before the token was.
func (s keySource) verify(ctx context.Context, as *AuthorizationServer, client *Client, t *jwt) error {
	as.keys.mu.Lock()
	defer as.keys.mu.Unlock()
	if !as.keys.fresh() {
		if err := s.refill(ctx, as, client); err != nil {
			return err
		}
	}
	err := as.keys.verify(t)
	check, _ := errors.AsType[*CheckError](err)
	mayBeStale := as.keys.prefetched || time.Since(as.keys.fetched) >= keysCooldown
	if err == nil || !mayBeStale || (check.Check != checkJWKSKey && t.hasKid) {
		return err
	}
	if err := s.refill(ctx, as, client); err != nil {
		return err
	}
	return as.keys.verify(t)
}

func (c *keyCache) fresh() bool {
	return !c.fetched.IsZero() && time.Since(c.fetched) < keysMaxAge
}

// refill fetches the key set: OpenID Connect Discovery 1.0, section 3, and RFC
// 7517, section 5.
func (s keySource) refill(ctx context.Context, as *AuthorizationServer, client *Client) error {
	u, err := as.endpoint("jwks_uri", client, s.insecure)
	if err != nil {
		return err
	}
	req, err := newGet(ctx, u, client.Header, "application/json, application/jwk-set+json")
	if err != nil {
		return err
	}
	resp, err := send(s.httpClient, req)
	if err != nil {
		return fmt.Errorf("fetch the issuer's keys: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return &CheckError{Check: checkJWKSStatus, Code: codeNotConform, Status: resp.StatusCode,
			Reason: fmt.Sprintf("the issuer's keys at %s: status %d%s", u.Redacted(), resp.StatusCode, redirectTarget(resp))}
	}
	body, err := readObject(resp, checkJWKSBody, "application/jwk-set+json")
	if err != nil {
		return err
	}
	keys, err := parseKeys(body)
	if err != nil {
		return err
	}
	as.keys.keys, as.keys.fetched, as.keys.prefetched = keys, time.Now(), false
	return nil
}

// A publicKey is one usable key of a set (RFC 7517, section 4).
type publicKey struct {
	keyType, curve, kid string
	alg                 string // "" for any
	material            any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// parseKeys decodes the keys one by one. A key that we do not know, or that
// is not for signatures, is left out and does not spoil the others.
func parseKeys(set object) ([]publicKey, error) {
	var items []json.RawMessage
	if raw := set["keys"]; len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		return nil, &CheckError{Check: checkJWKSBody, Code: codeInvalidResponse, Reason: "the answer has no array of keys"}
	}
	var keys []publicKey
	for _, item := range items {
		o, err := parseObject(item)
		if err != nil {
			return nil, &CheckError{Check: checkJWKSBody, Code: codeInvalidResponse, Reason: "a key is not a JSON object"}
		}
		if key, ok := parseKey(o, item); ok {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func parseKey(o object, raw []byte) (key publicKey, ok bool) {
	key.keyType, _ = o.str("kty")
	key.curve, _ = o.str("crv")
	key.kid, _ = o.str("kid")
	if o.has("alg") {
		if key.alg, _ = o.str("alg"); key.alg == "" {
			return key, false
		}
	}
	if use, _ := o.str("use"); o.has("use") && use != "sig" {
		return key, false
	}
	if operations, _ := o.strs("key_ops"); o.has("key_ops") && !slices.Contains(operations, "verify") {
		return key, false
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(raw); err != nil || !jwk.Valid() || !jwk.IsPublic() {
		return key, false // a private key in a public set is no key to trust
	}
	if rsaKey, isRSA := jwk.Key.(*rsa.PublicKey); isRSA && rsaKey.N.BitLen() < minRSAKeySize {
		return key, false
	}
	key.material = jwk.Key
	return key, true
}

// fits reports whether a key may verify a token. A token that names its key is
// verified with that key alone.
func (k *publicKey) fits(t *jwt) bool {
	a := algorithms[t.alg]
	return k.keyType == a.keyType &&
		(a.curve == "" || k.curve == a.curve) &&
		(k.alg == "" || k.alg == t.alg) &&
		(!t.hasKid || k.kid == t.kid)
}

// verify tries the keys that fit. Usually that is one; issuers that are
// changing keys and name none in the token have two.
func (c *keyCache) verify(t *jwt) error {
	candidates := 0
	for i := range c.keys {
		if !c.keys[i].fits(t) || candidates == maxCandidates {
			continue
		}
		candidates++
		if t.verifiedBy(c.keys[i].material) {
			return nil
		}
	}
	if candidates == 0 {
		return &CheckError{Check: checkJWKSKey, Code: codeKeySelection,
			Reason: "the issuer's keys have none for the ID token", Expected: "kid " + t.kid + ", alg " + t.alg}
	}
	return &CheckError{Check: checkJWTSignature, Code: codeInvalidResponse, Reason: "the signature of the ID token is wrong"}
}

func (t *jwt) verifiedBy(key any) bool {
	if public, ok := key.(ed25519.PublicKey); ok {
		return ed25519.Verify(public, []byte(t.signingInput), t.signature) // go-jose does not know the name Ed25519
	}
	jws, err := jose.ParseSignedCompact(t.compact, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(t.alg)})
	if err != nil {
		return false
	}
	_, err = jws.Verify(key)
	return err == nil
}
