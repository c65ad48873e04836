package grant

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of the algorithms below
	_ "crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
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
// whoever could verify those could have made the token. For the one exception see
// Client.verifiesHS256.
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

// A keyCache holds the keys of one AuthorizationServer.
type keyCache struct {
	owner    *AuthorizationServer // a copy of that value makes a cache of its own
	fetching turn
	set      atomic.Pointer[keySet] // nil until the first fetch
}

// A keySet is the keys as they were at one time. It does not change.
type keySet struct {
	keys    []publicKey
	fetched time.Time
	early   bool // fetched before there was a token to verify
}

// keyCache returns the cache of this very value.
func (as *AuthorizationServer) keyCache() *keyCache {
	for {
		cache := as.keys.Load()
		if cache != nil && cache.owner == as {
			return cache
		}
		as.keys.CompareAndSwap(cache, &keyCache{owner: as})
	}
}

// A keySource fetches keys.
type keySource struct {
	httpClient *http.Client
	insecure   bool
}

func (c *Client) keys() keySource {
	return keySource{httpClient: c.httpClient(nil), insecure: c.AllowInsecureRequests}
}

// prefetch fetches the keys unless there are fresh ones.
func (s keySource) prefetch(ctx context.Context, as *AuthorizationServer, client *Client) error {
	set := as.keyCache().set.Load()
	if set.fresh() {
		return nil
	}
	return s.replace(ctx, as, client, set, true)
}

// verify checks the signature of a token (RFC 7515, section 5.2). When no key
// fits, the keys are fetched once more, as the issuer may have changed them
// since; not sooner than a minute after the last fetch, except where that one
// was made before the token was.
func (s keySource) verify(ctx context.Context, as *AuthorizationServer, client *Client, t *jwt) error {
	for {
		set := as.keyCache().set.Load()
		if set.fresh() {
			err := set.verify(t)
			if err == nil || !set.mayLack(t, err) {
				return err
			}
		}
		if err := s.replace(ctx, as, client, set, false); err != nil {
			return err
		}
	}
}

// replace fetches the keys in place of a set, unless another caller has done
// so meanwhile. One caller at a time fetches; the others wait as long as their
// own contexts allow.
func (s keySource) replace(ctx context.Context, as *AuthorizationServer, client *Client, old *keySet, early bool) error {
	cache := as.keyCache()
	if err := cache.fetching.take(ctx); err != nil {
		return fmt.Errorf("wait for the issuer's keys: %w", err)
	}
	defer cache.fetching.pass()
	if cache.set.Load() != old {
		return nil
	}
	keys, err := s.fetch(ctx, as, client)
	if err != nil {
		return err
	}
	// Without a monotonic reading, as that clock may stand still while the machine sleeps.
	cache.set.Store(&keySet{keys: keys, fetched: time.Now().Round(0), early: early})
	return nil
}

// fetch gets the key set: OpenID Connect Discovery 1.0, section 3, and RFC
// 7517, section 5.
func (s keySource) fetch(ctx context.Context, as *AuthorizationServer, client *Client) ([]publicKey, error) {
	u, err := as.endpoint("jwks_uri", client, s.insecure)
	if err != nil {
		return nil, err
	}
	req, err := newGet(ctx, u, "application/json, application/jwk-set+json", client.Header)
	if err != nil {
		return nil, err
	}
	resp, err := send(s.httpClient, client.Logger, req)
	if err != nil {
		return nil, fmt.Errorf("fetch the issuer's keys: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &CheckError{Check: checkJWKSStatus, Code: codeNotConform, Status: resp.StatusCode,
			Reason: fmt.Sprintf("the issuer's keys at %s: status %d%s", u.Redacted(), resp.StatusCode, redirectTarget(resp))}
	}
	body, err := readObject(resp, checkJWKSBody, "application/jwk-set+json")
	if err != nil {
		return nil, err
	}
	return parseKeys(body)
}

func (s *keySet) fresh() bool {
	return s != nil && s.age() >= 0 && s.age() < keysMaxAge
}

func (s *keySet) age() time.Duration { return time.Since(s.fetched) }

// mayLack reports whether a newer set may have the key that a token was not
// verified with. One that names its key by kid needs no newer set when the key
// is there.
func (s *keySet) mayLack(t *jwt, err error) bool {
	check, ok := errors.AsType[*CheckError](err)
	return ok && (s.early || s.age() >= keysCooldown) && (check.Check == checkJWKSKey || !t.hasKid)
}

// verify tries the keys that fit. Usually that is one; issuers that are
// changing keys and name none in the token have two.
func (s *keySet) verify(t *jwt) error {
	candidates := 0
	for i := range s.keys {
		if !s.keys[i].fits(t) || candidates == maxCandidates {
			continue
		}
		candidates++
		if t.verifiedBy(s.keys[i].material) {
			return nil
		}
	}
	if candidates == 0 {
		return &CheckError{Check: checkJWKSKey, Code: codeKeySelection,
			Reason: "the issuer's keys have none for the " + t.kind.String(), Expected: "kid " + t.kid + ", alg " + t.alg}
	}
	return &CheckError{Check: t.kind.check("signature"), Code: codeInvalidResponse, Reason: "the signature of the " + t.kind.String() + " is wrong"}
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
		if key, ok := parseKey(o); ok {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func parseKey(o object) (key publicKey, ok bool) {
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
	key.material, ok = publicMaterial(o)
	return key, ok
}

// publicMaterial decodes the key itself and leaves out what we do not look at,
// such as certificates, so that a mistake there does no harm. A private key in a
// public set is no key to trust.
func publicMaterial(o object) (material any, ok bool) {
	public := object{}
	for _, name := range []string{"kty", "crv", "x", "y", "n", "e"} {
		if o.has(name) {
			public[name] = o[name]
		}
	}
	data, err := json.Marshal(public)
	if err != nil || o.has("d") {
		return nil, false
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(data); err != nil || !jwk.Valid() || !jwk.IsPublic() {
		return nil, false
	}
	if key, isRSA := jwk.Key.(*rsa.PublicKey); isRSA && key.N.BitLen() < minRSAKeySize {
		return nil, false
	}
	return jwk.Key, true
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

// verifiedBy verifies what was signed, byte for byte as it came (RFC 7515, section
// 5.2). The key fits the algorithm. What else the header says, such as keys and
// certificates that it brings along, means nothing here; that it demands nothing,
// checkCrit has seen. go-jose, which comes to the same verdict, would take the token
// apart a second time.
func (t *jwt) verifiedBy(key any) bool {
	if public, ok := key.(ed25519.PublicKey); ok {
		return ed25519.Verify(public, []byte(t.signingInput), t.signature) // RFC 8037, section 3.1
	}
	hash := algorithms[t.alg].hash
	h := hash.New()
	h.Write([]byte(t.signingInput))
	digest := h.Sum(nil)
	switch public := key.(type) {
	case *rsa.PublicKey:
		if strings.HasPrefix(t.alg, "PS") { // RFC 7518, section 3.5
			return rsa.VerifyPSS(public, hash, digest, t.signature, nil) == nil
		}
		return rsa.VerifyPKCS1v15(public, hash, digest, t.signature) == nil // RFC 7518, section 3.3
	case *ecdsa.PublicKey: // RFC 7518, section 3.4: two numbers, each as long as the curve's order
		size := (public.Curve.Params().BitSize + 7) / 8
		if len(t.signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(t.signature[:size]), new(big.Int).SetBytes(t.signature[size:])
		return ecdsa.Verify(public, digest, r, s)
	}
	return false
}
