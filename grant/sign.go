package grant

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// A signer makes the JWTs that this package sends: client assertions, DPoP
// proofs, request objects. The key is kept in a function, so that no way of
// printing shows it.
type signer struct {
	alg string
	key func() crypto.Signer
}

// newSigner chooses the algorithm for a private key: the pinned one, or the
// first that the key can do and the server offers. Where the server does not say,
// RSA keys sign with RS256, which "servers SHOULD support" (RFC 8414, section 2).
func newSigner(key crypto.Signer, pinned string, offered []string) (*signer, error) {
	able, err := signingAlgorithms(key)
	if err != nil {
		return nil, err
	}
	alg := able[0]
	if slices.Contains(able, "RS256") {
		alg = "RS256"
	}
	switch {
	case pinned != "":
		if !slices.Contains(able, pinned) {
			return nil, argumentError("a key of this type does not sign with %s, but with %v", pinned, able)
		}
		alg = pinned
	case offered != nil:
		i := slices.IndexFunc(able, func(a string) bool { return slices.Contains(offered, a) })
		if i < 0 {
			return nil, argumentError("a key of this type signs with %v, and the server takes %v", able, offered)
		}
		alg = able[i]
	}
	return &signer{alg: alg, key: func() crypto.Signer { return key }}, nil
}

// signingAlgorithms returns what a key can sign with, the best one first: RFC
// 7518, section 3.1, and RFC 8037, section 3.1. PS256 comes before RS256, as
// FAPI 2.0 allows the first alone.
func signingAlgorithms(key crypto.Signer) ([]string, error) {
	if isEmpty(key) {
		return nil, argumentError("the private key is nil")
	}
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		if public.N == nil {
			return nil, argumentError("the RSA key has no modulus")
		}
		if public.N.BitLen() < minRSAKeySize {
			return nil, argumentError("the RSA key has %d bits, fewer than %d", public.N.BitLen(), minRSAKeySize)
		}
		return []string{"PS256", "RS256", "PS384", "RS384", "PS512", "RS512"}, nil
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256():
			return []string{"ES256"}, nil
		case elliptic.P384():
			return []string{"ES384"}, nil
		case elliptic.P521():
			return []string{"ES512"}, nil
		}
	case ed25519.PublicKey:
		return []string{"EdDSA", "Ed25519"}, nil // RFC 9864 has the second name; more servers know the first
	}
	return nil, argumentError("a key of the type %T cannot be used", key.Public())
}

// isEmpty reports whether there is no key, also behind a type that has one: a key
// of the standard library that is nil panics when it is asked for its public half.
func isEmpty(key crypto.Signer) bool {
	switch key := key.(type) {
	case nil:
		return true
	case ed25519.PrivateKey:
		return len(key) != ed25519.PrivateKeySize
	}
	value := reflect.ValueOf(key)
	return value.Kind() == reflect.Pointer && value.IsNil()
}

// sign returns a JWS in compact serialisation (RFC 7515, section 7.1). The
// header must not have alg.
func (s *signer) sign(header, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	protected := map[string]any{"alg": s.alg}
	maps.Copy(protected, header)
	signed, err := compactJWS(protected, payload, s.signature)
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", s.alg, err)
	}
	return signed, nil
}

// compactJWS is RFC 7515, section 7.1, with a signature of the signing input.
func compactJWS(header map[string]any, payload []byte, signature func(input []byte) ([]byte, error)) (string, error) {
	encoded, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	input := base64.RawURLEncoding.EncodeToString(encoded) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signed, err := signature([]byte(input))
	if err != nil {
		return "", err
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signed), nil
}

// signature is RFC 7518, sections 3.3 to 3.5, and RFC 8037, section 3.1. go-jose
// is of no help: its signer for keys in devices makes the salt of RSASSA-PSS as
// long as it can, and RFC 7518 wants it as long as the hash.
func (s *signer) signature(input []byte) ([]byte, error) {
	a, key := algorithms[s.alg], s.key()
	if a.keyType == "OKP" {
		return key.Sign(rand.Reader, input, crypto.Hash(0))
	}
	h := a.hash.New()
	h.Write(input)
	digest := h.Sum(nil)
	switch {
	case a.keyType == "EC":
		der, err := key.Sign(rand.Reader, digest, a.hash)
		if err != nil {
			return nil, err
		}
		return rawECDSA(der, key.Public())
	case strings.HasPrefix(s.alg, "PS"):
		return key.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: a.hash})
	}
	return key.Sign(rand.Reader, digest, a.hash)
}

// rawECDSA turns an ASN.1 signature into R and S, each as long as the order of
// the curve (RFC 7518, section 3.4).
func rawECDSA(der []byte, key crypto.PublicKey) ([]byte, error) {
	var signature struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &signature); err != nil || len(rest) > 0 {
		return nil, errors.New("the key returned no ECDSA signature")
	}
	order := key.(*ecdsa.PublicKey).Params().N
	if signature.R.Sign() <= 0 || signature.S.Sign() <= 0 || signature.R.Cmp(order) >= 0 || signature.S.Cmp(order) >= 0 {
		return nil, errors.New("the key returned an ECDSA signature of another curve")
	}
	size := (order.BitLen() + 7) / 8
	return append(signature.R.FillBytes(make([]byte, size)), signature.S.FillBytes(make([]byte, size))...), nil
}

// publicJWK is the public key as a JSON Web Key with the members that identify
// it and no others (RFC 7638, section 3.2).
func publicJWK(key crypto.Signer) jose.JSONWebKey { return jose.JSONWebKey{Key: key.Public()} }
