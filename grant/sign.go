package grant

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
)

// A signer makes the JWTs that this package sends: client assertions, DPoP
// proofs, request objects. The key is kept in a function, so that no way of
// printing shows it.
type signer struct {
	alg string
	key func() crypto.Signer
}

// newSigner chooses the algorithm for a private key: the pinned one, or the
// first that the key can do and the server offers, or, where the server offers
// none in particular, the usual one of the key's type.
func newSigner(key crypto.Signer, pinned string, offered []string) (*signer, error) {
	able, err := signingAlgorithms(key)
	if err != nil {
		return nil, err
	}
	alg := able[0]
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
	if key == nil {
		return nil, argumentError("the private key is nil")
	}
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
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

// sign returns a JWS in compact serialisation (RFC 7515, section 7.1). The
// header must not have alg.
func (s *signer) sign(header, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	if s.alg == "Ed25519" {
		return s.signEd25519(header, payload)
	}
	options := new(jose.SignerOptions)
	for name, value := range header {
		options.WithHeader(jose.HeaderKey(name), value)
	}
	jws, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(s.alg), Key: cryptosigner.Opaque(s.key()),
	}, options)
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", s.alg, err)
	}
	signed, err := jws.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", s.alg, err)
	}
	return signed.CompactSerialize()
}

// signEd25519 is for the algorithm's own name (RFC 9864, section 2.2), which
// go-jose does not know.
func (s *signer) signEd25519(header map[string]any, payload []byte) (string, error) {
	protected := map[string]any{"alg": s.alg}
	for name, value := range header {
		protected[name] = value
	}
	encoded, err := json.Marshal(protected)
	if err != nil {
		return "", err
	}
	input := base64.RawURLEncoding.EncodeToString(encoded) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := s.key().Sign(nil, []byte(input), crypto.Hash(0))
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", s.alg, err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// publicJWK is the public key as a JSON Web Key with the members that identify
// it and no others (RFC 7638, section 3.2).
func publicJWK(key crypto.Signer) jose.JSONWebKey { return jose.JSONWebKey{Key: key.Public()} }
