package issuer

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // the hash of EdDSA
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"sync"
)

// algsSupported are the algorithms a client can be registered for. RS256 has to be among them (OpenID Connect
// Discovery, section 3).
var algsSupported = [...]string{"RS256", "ES256", "PS256", "EdDSA"}

// keyring holds the signing keys: one for each algorithm that some client is registered for.
type keyring struct {
	mu        sync.Mutex
	signing   map[string]*signingKey // by algorithm
	published []*signingKey          // those and their predecessors
}

// signingKey is one private key with the algorithm it is used with.
type signingKey struct {
	alg, id string
	private crypto.Signer
}

// newKeyring makes a key for every algorithm of a client, and for further ones. The empty one is none.
func newKeyring(clients map[string]*Client, algs ...string) (*keyring, error) {
	k := &keyring{signing: make(map[string]*signingKey)}
	for _, client := range clients {
		algs = append(algs, client.Alg, client.UserinfoAlg)
	}
	for _, alg := range algs {
		if alg == "" || k.signing[alg] != nil {
			continue
		}
		if err := k.replace(alg); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// replace makes the key for alg, or a new one. The lock is held, or nobody else knows the keyring yet.
func (k *keyring) replace(alg string) error {
	private, err := generateKey(alg)
	if err != nil {
		return err
	}
	key := &signingKey{alg: alg, id: rand.Text(), private: private}
	k.signing[alg] = key
	k.published = append(k.published, key)
	return nil
}

func generateKey(alg string) (crypto.Signer, error) {
	switch alg {
	case "RS256", "PS256":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	default:
		return nil, fmt.Errorf("unknown algorithm %q", alg)
	}
}

func (k *keyring) rotate() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for alg := range k.signing {
		if err := k.replace(alg); err != nil {
			return err
		}
	}
	return nil
}

func (k *keyring) current(alg string) *signingKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.signing[alg]
}

// set returns the public keys, in an order that does not depend on their age.
func (k *keyring) set() map[string]any {
	k.mu.Lock()
	published := slices.Clone(k.published)
	k.mu.Unlock()
	slices.SortFunc(published, func(a, b *signingKey) int { return cmp.Compare(a.id, b.id) })
	keys := make([]any, 0, len(published))
	for _, key := range published {
		keys = append(keys, key.jwk())
	}
	return map[string]any{"keys": keys}
}

func (i *Issuer) serveJWKS(w http.ResponseWriter, _ *http.Request) {
	set := i.keys.set()
	if i.opts.JWKS != nil {
		i.opts.JWKS(set)
	}
	writeJSON(w, "application/jwk-set+json", http.StatusOK, set) // RFC 7517, section 8.5.2
}

// hash returns the hash function of the algorithm: that of at_hash as well. For Ed25519 it is SHA-512, which the
// signature itself uses (RFC 8032, section 5.1).
func (k *signingKey) hash() crypto.Hash {
	if k.alg == "EdDSA" {
		return crypto.SHA512
	}
	return crypto.SHA256
}

// sign makes the signature in the form of RFC 7518, sections 3.3 to 3.5, or RFC 8037, section 3.1.
func (k *signingKey) sign(input []byte) ([]byte, error) {
	sum := sha256.Sum256(input)
	switch private := k.private.(type) {
	case *rsa.PrivateKey:
		if k.alg == "PS256" {
			return rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, private, sum[:])
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
	default:
		return k.private.Sign(rand.Reader, input, crypto.Hash(0)) // Ed25519 hashes by itself
	}
}

// jwk returns the public key in the form of RFC 7518, section 6, or RFC 8037, section 2.
func (k *signingKey) jwk() map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	jwk := map[string]any{"kid": k.id, "alg": k.alg, "use": "sig"}
	switch public := k.private.Public().(type) {
	case *rsa.PublicKey:
		jwk["kty"] = "RSA"
		jwk["n"] = b64(public.N.Bytes())
		jwk["e"] = b64(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		jwk["kty"], jwk["crv"] = "EC", "P-256"
		if point, err := public.Bytes(); err == nil { // 4, x, y (SEC 1, section 2.3.3)
			jwk["x"], jwk["y"] = b64(point[1:33]), b64(point[33:])
		}
	case ed25519.PublicKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", b64(public)
	}
	return jwk
}
