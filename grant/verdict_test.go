package grant

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// TestVerdict compares what is said of signatures with what go-jose says, whatever
// else the header holds.
func TestVerdict(t *testing.T) {
	keys := map[string]crypto.Signer{
		"RS256": newRSAKey(t, 2048), "PS256": newRSAKey(t, 2048), "RS512": newRSAKey(t, 2048), "PS384": newRSAKey(t, 2048),
		"ES256": newECKey(t, elliptic.P256()), "ES384": newECKey(t, elliptic.P384()), "ES512": newECKey(t, elliptic.P521()), "EdDSA": newEdKey(t),
	}
	headers := map[string]map[string]any{
		"plain": {}, "kid and typ": {"kid": "k", "typ": "JWT"}, "content type": {"cty": "JWT"}, "keys elsewhere": {"jku": "https://evil.example", "x5u": "https://evil.example"},
		"own key": {"jwk": publicJWK(newECKey(t, elliptic.P256()))}, "unknown": {"https://example.com/x": []int{1}}, "nonce": {"nonce": "n"},
	}
	for alg, key := range keys {
		for name, header := range headers {
			s, err := newSigner(key, alg, nil)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := s.sign(maps.Clone(header), map[string]any{"sub": "x"})
			if err != nil {
				t.Fatal(err)
			}
			accepted := 0
			for kind, token := range spoil(t, signed, key) {
				parsed, err := parseJWT(kindIDToken, token, nil)
				if err != nil {
					t.Fatalf("%s, %s, %s: %v", alg, name, kind, err)
				}
				got, want := parsed.verifiedBy(key.Public()), josesVerdict(token, alg, key.Public())
				if got != want {
					t.Errorf("%s, %s, %s: %v, and go-jose says %v", alg, name, kind, got, want)
				}
				if got {
					accepted++
				}
			}
			if accepted == 0 {
				t.Errorf("%s, %s: nothing is accepted", alg, name)
			}
		}
	}
}

func josesVerdict(token, alg string, key any) bool {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		return false
	}
	_, err = jws.Verify(key)
	return err == nil
}

// spoil returns a token, and others that are nearly the same.
func spoil(t *testing.T, token string, key crypto.Signer) map[string]string {
	t.Helper()
	parts := strings.Split(token, ".")
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	with := func(signature []byte) string {
		return parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	changed, zero := slices.Clone(signature), make([]byte, len(signature))
	changed[len(changed)/2] ^= 1
	tokens := map[string]string{
		"right": token, "another payload": parts[0] + ".e30." + parts[2], "none": with(nil), "one bit": with(changed), "zeros": with(zero),
		"cut off": with(signature[:len(signature)-1]), "longer": with(append(slices.Clone(signature), 0)), "led by zero": with(append([]byte{0}, signature...)),
	}
	input := []byte(parts[0] + "." + parts[1])
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		tokens["ASN.1"] = with(der(t, new(big.Int).SetBytes(signature[:len(signature)/2]), new(big.Int).SetBytes(signature[len(signature)/2:])))
		// The other half of a pair of signatures that are both good.
		n := key.Params().N
		s := new(big.Int).Sub(n, new(big.Int).SetBytes(signature[len(signature)/2:]))
		tokens["mirrored"] = with(append(slices.Clone(signature[:len(signature)/2]), s.FillBytes(make([]byte, len(signature)/2))...))
		beyond := make([]byte, len(signature))
		new(big.Int).Set(n).FillBytes(beyond[:len(signature)/2])
		copy(beyond[len(signature)/2:], signature[len(signature)/2:])
		tokens["R too large"] = with(beyond)
	case *rsa.PrivateKey:
		digest := crypto.SHA256.New()
		digest.Write(input)
		salted, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest.Sum(nil), &rsa.PSSOptions{SaltLength: 8})
		if err != nil {
			t.Fatal(err)
		}
		tokens["short salt"] = with(salted)
	}
	return tokens
}
