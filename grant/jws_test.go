package grant_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

// openJWS verifies what the package signed, with no code in common with it, and
// returns its two parts. key is a public key or a secret.
func openJWS(t testing.TB, compact string, key any) (header, claims members) {
	t.Helper()
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts in a JWS", len(parts))
	}
	decoded := make([][]byte, 3)
	for i, part := range parts {
		decoded[i] = mustKey(base64.RawURLEncoding.Strict().DecodeString(part))
	}
	decode := func(data []byte) (m members) {
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		if err := decoder.Decode(&m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	header, claims = decode(decoded[0]), decode(decoded[1])
	alg, _ := header["alg"].(string)
	if !signatureFits(alg, []byte(parts[0]+"."+parts[1]), decoded[2], key) {
		t.Fatalf("the signature with %s is wrong", alg)
	}
	return header, claims
}

func signatureFits(alg string, input, signature []byte, key any) bool {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[max(0, len(alg)-3):]]
	var digest []byte
	if hash != 0 {
		h := hash.New()
		h.Write(input)
		digest = h.Sum(nil)
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		if strings.HasPrefix(alg, "PS") {
			return rsa.VerifyPSS(key, hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return strings.HasPrefix(alg, "RS") && rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		half := len(signature) / 2
		size := map[string]int{"ES256": 32, "ES384": 48, "ES512": 66}[alg]
		return half == size && ecdsa.Verify(key, digest, new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]))
	case ed25519.PublicKey:
		return (alg == "EdDSA" || alg == "Ed25519") && ed25519.Verify(key, input, signature)
	case string:
		mac := hmac.New(hash.New, []byte(key))
		mac.Write(input)
		return strings.HasPrefix(alg, "HS") && hmac.Equal(signature, mac.Sum(nil))
	}
	return false
}

// whole is a claim that has to be a whole number.
func whole(t testing.TB, claims members, name string) int64 {
	t.Helper()
	number, _ := claims[name].(json.Number)
	value, err := number.Int64()
	if err != nil {
		t.Fatalf("%s is %v", name, claims[name])
	}
	return value
}

// names are those of the members, for comparisons.
func (m members) names() map[string]bool {
	names := map[string]bool{}
	for name := range m {
		names[name] = true
	}
	return names
}

// openProof verifies a DPoP proof with the key that it carries, and returns its
// claims and the thumbprint of the key.
func openProof(t testing.TB, proof string) (claims members, thumbprint string) {
	t.Helper()
	part, _, _ := strings.Cut(proof, ".")
	var sent struct {
		JWK map[string]string
	}
	if err := json.Unmarshal(mustKey(base64.RawURLEncoding.DecodeString(part)), &sent); err != nil {
		t.Fatal(err)
	}
	header, claims := openJWS(t, proof, keyOf(t, sent.JWK))
	delete(header, "alg")
	jwk, _ := header["jwk"].(map[string]any)
	if header["typ"] != "dpop+jwt" || len(header) != 2 || len(jwk) != len(sent.JWK) {
		t.Errorf("the header of a proof is %v", header)
	}
	return claims, thumbprintOf(sent.JWK)
}

// thumbprintOf is RFC 7638, section 3, for a key that has its identifying members
// alone.
func thumbprintOf(jwk map[string]string) string {
	return s256(string(mustKey(json.Marshal(jwk)))) // which sorts the members
}

// keyOf decodes a public key that has no members but those that it needs.
func keyOf(t testing.TB, jwk map[string]string) any {
	t.Helper()
	number := func(name string) *big.Int {
		return new(big.Int).SetBytes(mustKey(base64.RawURLEncoding.DecodeString(jwk[name])))
	}
	names := map[string][]string{"EC": {"kty", "crv", "x", "y"}, "RSA": {"kty", "n", "e"}, "OKP": {"kty", "crv", "x"}}[jwk["kty"]]
	for _, name := range names {
		if jwk[name] == "" {
			t.Fatalf("the key has no %s", name)
		}
	}
	if len(jwk) != len(names) || names == nil {
		t.Fatalf("the key has the wrong members: %v", jwk)
	}
	switch jwk["kty"] {
	case "EC":
		curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[jwk["crv"]]
		size := (curve.Params().BitSize + 7) / 8
		point := append(number("x").FillBytes(make([]byte, size)), number("y").FillBytes(make([]byte, size))...)
		return mustKey(ecdsa.ParseUncompressedPublicKey(curve, append([]byte{4}, point...)))
	case "RSA":
		return &rsa.PublicKey{N: number("n"), E: int(number("e").Int64())}
	}
	return ed25519.PublicKey(number("x").FillBytes(make([]byte, ed25519.PublicKeySize)))
}
