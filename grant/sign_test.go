package grant

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"
)

// TestSign verifies what every kind of key signs, with the code that verifies
// what servers sign.
func TestSign(t *testing.T) {
	for _, test := range []struct {
		name    string
		key     crypto.Signer
		pinned  string
		offered []string
		alg     string
	}{
		{"RSA", newRSAKey(t, 2048), "", nil, "RS256"},
		{"RSA, the better one", newRSAKey(t, 2048), "", []string{"RS256", "PS256"}, "PS256"},
		{"RSA offered", newRSAKey(t, 2048), "", []string{"RS512", "RS256"}, "RS256"},
		{"RSA pinned", newRSAKey(t, 2048), "RS384", []string{"PS256"}, "RS384"},
		{"P-256", newECKey(t, elliptic.P256()), "", []string{"RS256", "ES256"}, "ES256"},
		{"P-384", newECKey(t, elliptic.P384()), "", nil, "ES384"},
		{"P-521", newECKey(t, elliptic.P521()), "", nil, "ES512"},
		{"Ed25519", newEdKey(t), "", nil, "EdDSA"},
		{"Ed25519 by its own name", newEdKey(t), "", []string{"Ed25519"}, "Ed25519"},
		{"opaque", opaqueKey{newECKey(t, elliptic.P256())}, "", nil, "ES256"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := newSigner(test.key, test.pinned, test.offered)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := s.sign(map[string]any{"typ": "test+jwt", "kid": "k1"}, map[string]any{"sub": "x"})
			if err != nil {
				t.Fatal(err)
			}
			token, err := parseJWT(kindIDToken, signed, nil)
			if err != nil {
				t.Fatal(err)
			}
			typ, _ := token.header.str("typ")
			if token.alg != test.alg || token.kid != "k1" || typ != "test+jwt" || len(token.header) != 3 {
				t.Errorf("header %s", token.header)
			}
			if !token.verifiedBy(test.key.Public()) {
				t.Error("the signature is wrong")
			}
			parts := strings.Split(signed, ".")
			tampered, err := parseJWT(kindIDToken, parts[0]+".e30."+parts[2], nil)
			if err != nil {
				t.Fatal(err)
			}
			if tampered.verifiedBy(test.key.Public()) {
				t.Error("the signature fits another payload")
			}
			if text := fmt.Sprintf("%v %+v %#v", s, s, s); strings.Contains(text, "PrivateKey") {
				t.Errorf("a signer prints its key: %s", text)
			}
		})
	}
}

func TestSignRefusesKeys(t *testing.T) {
	for _, test := range []struct {
		name    string
		key     crypto.Signer
		pinned  string
		offered []string
	}{
		{"nil", nil, "", nil},
		{"nil RSA key", (*rsa.PrivateKey)(nil), "", nil},
		{"nil EC key", (*ecdsa.PrivateKey)(nil), "", nil},
		{"nil Ed25519 key", ed25519.PrivateKey(nil), "", nil},
		{"nil pointer to an Ed25519 key", (*ed25519.PrivateKey)(nil), "", nil},
		{"short Ed25519 key", make(ed25519.PrivateKey, ed25519.SeedSize), "", nil},
		{"nil key of another kind", (*opaqueKey)(nil), "", nil},
		{"empty RSA key", &rsa.PrivateKey{}, "", nil},
		{"empty EC key", &ecdsa.PrivateKey{}, "", nil},
		{"small RSA key", newRSAKey(t, 1024), "", nil},
		{"P-224", newECKey(t, elliptic.P224()), "", nil},
		{"pinned to another type", newECKey(t, elliptic.P256()), "RS256", nil},
		{"offered for other types", newECKey(t, elliptic.P256()), "", []string{"RS256", "HS256", "none"}},
		{"nothing offered", newEdKey(t), "", []string{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := newSigner(test.key, test.pinned, test.offered); !errors.Is(err, ErrArgument) {
				t.Errorf("got %v, want ErrArgument", err)
			}
		})
	}
}

// A key in a device may be broken, or be another one than it says.
func TestSignRefusesBadSignatures(t *testing.T) {
	key := newECKey(t, elliptic.P256())
	order := elliptic.P256().Params().N
	for name, signature := range map[string][]byte{
		"nothing":       nil,
		"no ASN.1":      []byte("signature"),
		"trailing text": append(der(t, big.NewInt(1), big.NewInt(1)), 0),
		"R is zero":     der(t, big.NewInt(0), big.NewInt(1)),
		"R is negative": der(t, big.NewInt(-1), big.NewInt(1)),
		"S is zero":     der(t, big.NewInt(1), big.NewInt(0)),
		"R too large":   der(t, order, big.NewInt(1)),
		"S too large":   der(t, big.NewInt(1), order),
	} {
		s, err := newSigner(brokenKey{key, signature}, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if signed, err := s.sign(nil, nil); err == nil {
			t.Errorf("%s became %s", name, signed)
		}
	}
}

func der(t *testing.T, r, s *big.Int) []byte {
	t.Helper()
	signature, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

type brokenKey struct {
	crypto.Signer
	signature []byte
}

func (k brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return k.signature, nil
}

// An opaqueKey is one that does not leave its device.
type opaqueKey struct{ crypto.Signer }

func newRSAKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newECKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEdKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
