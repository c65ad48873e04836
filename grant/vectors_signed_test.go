package grant_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

var update = flag.Bool("update", false, "sign the tokens of testdata/vectors anew where they are not what their file says")

// A signedToken says what a token of a vector holds, and who signed it. A
// header or a payload that is a JSON string is taken as raw text.
type signedToken struct {
	Key       string          `json:"key"` // the kid of a key in keys.json
	Header    json.RawMessage `json:"header"`
	Payload   json.RawMessage `json:"payload"`
	Signature *string         `json:"signature"` // instead of that of the key
	Token     string          `json:"token"`
}

// TestVectorTokens: what the vectors say about their tokens is true.
func TestVectorTokens(t *testing.T) {
	keys := vectorKeys(t)
	for name, v := range vectors(t) {
		file := filepath.Join("testdata", "vectors", name+".json")
		for _, s := range v.Signed {
			if s.valid(t, keys) {
				continue
			}
			if !*update {
				t.Errorf("%s: the token %.20s... is not what the file says; run go test -run TestVectorTokens -update", name, s.Token)
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			fresh := bytes.ReplaceAll(data, []byte(s.Token), []byte(s.mint(t, keys)))
			if err := os.WriteFile(file, fresh, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// vectorKeys are the private keys of the vectors, by kid.
func vectorKeys(t *testing.T) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", "keys", "test-keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(data, &set); err != nil {
		t.Fatal(err)
	}
	keys := map[string]any{}
	for _, key := range set.Keys {
		keys[key.KeyID] = key.Key
	}
	return keys
}

func (s *signedToken) input() string { return b64(rawText(s.Header)) + "." + b64(rawText(s.Payload)) }

func rawText(raw json.RawMessage) []byte {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return []byte(text)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		panic(err)
	}
	return compact.Bytes()
}

// valid reports whether the token is what the file says. All signatures are
// deterministic but those of PSS.
func (s *signedToken) valid(t *testing.T, keys map[string]any) bool {
	signature, found := strings.CutPrefix(s.Token, s.input()+".")
	if !found || s.Signature != nil || !strings.HasPrefix(s.alg(), "PS") {
		return s.Token == s.mint(t, keys)
	}
	data, err := base64.RawURLEncoding.DecodeString(signature)
	key, isRSA := keys[s.Key].(*rsa.PrivateKey)
	hash, digest := s.digest()
	return err == nil && isRSA && rsa.VerifyPSS(&key.PublicKey, hash, digest, data, nil) == nil
}

func (s *signedToken) mint(t *testing.T, keys map[string]any) string {
	t.Helper()
	if s.Signature != nil {
		return s.input() + "." + *s.Signature
	}
	hash, digest := s.digest()
	var signature []byte
	switch key := keys[s.Key].(type) {
	case *rsa.PrivateKey:
		if strings.HasPrefix(s.alg(), "PS") {
			signature = mustKey(rsa.SignPSS(rand.Reader, key, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
		} else {
			signature = mustKey(rsa.SignPKCS1v15(nil, key, hash, digest))
		}
	case *ecdsa.PrivateKey:
		signature = rawECDSA(key, mustKey(key.Sign(nil, digest, hash)))
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(s.input()))
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(s.input()))
		signature = mac.Sum(nil)
	default:
		t.Fatalf("there is no key %q", s.Key)
	}
	return s.input() + "." + b64(signature)
}

// rawECDSA is the form of RFC 7518, section 3.4.
func rawECDSA(key *ecdsa.PrivateKey, der []byte) []byte {
	var point struct{ R, S *big.Int }
	mustKey(asn1.Unmarshal(der, &point))
	size := (key.Params().BitSize + 7) / 8
	return append(point.R.FillBytes(make([]byte, size)), point.S.FillBytes(make([]byte, size))...)
}

func (s *signedToken) alg() string {
	var header struct {
		Alg any `json:"alg"`
	}
	if json.Unmarshal(rawText(s.Header), &header) != nil {
		return ""
	}
	alg, _ := header.Alg.(string)
	return alg
}

// digest is that of the algorithm, or SHA-256 for one that is none.
func (s *signedToken) digest() (crypto.Hash, []byte) {
	hash := crypto.SHA256
	switch {
	case strings.HasSuffix(s.alg(), "384"):
		hash = crypto.SHA384
	case strings.HasSuffix(s.alg(), "512"):
		hash = crypto.SHA512
	}
	h := hash.New()
	h.Write([]byte(s.input()))
	return hash, h.Sum(nil)
}
