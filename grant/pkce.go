package grant

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// minValue is how long a value of randomValue is at least.
const minValue = 43

// randomValue returns 32 random bytes as 43 characters of base64url: a state,
// a nonce, or a code verifier (RFC 7636, section 4.1).
func randomValue() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// codeChallenge is the S256 transformation, the only one that this package
// knows (RFC 7636, section 4.2).
func codeChallenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
