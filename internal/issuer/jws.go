package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"sync"
	"time"
)

// jws is a JWS in compact form (RFC 7515, section 7.1) that a client has sent.
type jws struct {
	header, claims map[string]any
	input          string // what is signed
	signature      []byte
}

// parseJWS takes a JWS apart and looks at no signature.
func parseJWS(compact string) (j *jws, ok bool) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil, false
	}
	j = &jws{input: parts[0] + "." + parts[1]}
	for n, fields := range []*map[string]any{&j.header, &j.claims} {
		data, err := base64.RawURLEncoding.Strict().DecodeString(parts[n])
		if err != nil || json.Unmarshal(data, fields) != nil || *fields == nil {
			return nil, false
		}
	}
	var err error
	j.signature, err = base64.RawURLEncoding.Strict().DecodeString(parts[2])
	_, critical := j.header["crit"] // section 4.1.11: nothing is understood
	return j, err == nil && !critical
}

func (j *jws) alg() string { alg, _ := j.header["alg"].(string); return alg }

// text returns a claim that is a string, "" for every other one.
func (j *jws) text(claim string) string { s, _ := j.claims[claim].(string); return s }

// time returns a claim that is a point in time, the zero time for every other one.
func (j *jws) time(claim string) time.Time {
	seconds, ok := j.claims[claim].(float64)
	if !ok {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// signedBy checks the signature with one of algsSupported (RFC 7518, sections 3.3 to 3.5; RFC 8037, section 3.1). The key,
// not the header alone, says which algorithm it may be.
func (j *jws) signedBy(public crypto.PublicKey) bool {
	sum := sha256.Sum256([]byte(j.input))
	switch public := public.(type) {
	case *rsa.PublicKey:
		if j.alg() == "PS256" {
			options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			return rsa.VerifyPSS(public, crypto.SHA256, sum[:], j.signature, options) == nil
		}
		return j.alg() == "RS256" && rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], j.signature) == nil
	case *ecdsa.PublicKey:
		if j.alg() != "ES256" || public.Curve != elliptic.P256() || len(j.signature) != 64 {
			return false
		}
		r, s := new(big.Int).SetBytes(j.signature[:32]), new(big.Int).SetBytes(j.signature[32:])
		return ecdsa.Verify(public, sum[:], r, s)
	case ed25519.PublicKey:
		return j.alg() == "EdDSA" && ed25519.Verify(public, []byte(j.input), j.signature)
	}
	return false
}

// authenticatedBy checks an HMAC (RFC 7518, section 3.2).
func (j *jws) authenticatedBy(secret string) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(j.input))
	return j.alg() == "HS256" && hmac.Equal(mac.Sum(nil), j.signature)
}

// publicKey decodes a public JWK (RFC 7518, section 6; RFC 8037, section 2), and returns its thumbprint (RFC 7638).
func publicKey(jwk map[string]any) (public crypto.PublicKey, thumbprint string, ok bool) {
	if _, private := jwk["d"]; private {
		return nil, "", false
	}
	kty, _ := jwk["kty"].(string)
	members := map[string][]string{"EC": {"crv", "x", "y"}, "RSA": {"e", "n"}, "OKP": {"crv", "x"}}[kty]
	identity := map[string]string{"kty": kty}
	raw := map[string][]byte{}
	for _, name := range members {
		identity[name], _ = jwk[name].(string)
		raw[name], _ = base64.RawURLEncoding.Strict().DecodeString(identity[name])
	}
	switch {
	case kty == "EC" && identity["crv"] == "P-256" && len(raw["x"]) == 32 && len(raw["y"]) == 32:
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, raw["x"]...), raw["y"]...))
		public, ok = key, err == nil
	case kty == "RSA" && len(raw["n"]) >= 256 && len(raw["e"]) > 0 && len(raw["e"]) <= 4:
		public, ok = &rsa.PublicKey{N: new(big.Int).SetBytes(raw["n"]), E: int(new(big.Int).SetBytes(raw["e"]).Int64())}, true
	case kty == "OKP" && identity["crv"] == "Ed25519" && len(raw["x"]) == ed25519.PublicKeySize:
		public, ok = ed25519.PublicKey(raw["x"]), true
	}
	canonical, err := json.Marshal(identity) // sorts the members (RFC 7638, section 3.3)
	sum := sha256.Sum256(canonical)
	return public, base64.RawURLEncoding.EncodeToString(sum[:]), ok && err == nil
}

// onceOnly remembers the jti of what may be used once. The zero value is ready for use.
type onceOnly struct {
	mu   sync.Mutex
	seen map[string]time.Time // until when it has to be remembered
}

// use reports whether jti is new, and remembers it.
func (o *onceOnly) use(jti string, now, until time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = make(map[string]time.Time)
	}
	for old, end := range o.seen {
		if now.After(end) {
			delete(o.seen, old)
		}
	}
	_, used := o.seen[jti]
	o.seen[jti] = until
	return jti != "" && !used
}
