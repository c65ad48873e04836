package issuer

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

// user is somebody who has signed in. The issuer keeps no accounts: all claims come from the name that was typed.
type user struct {
	name string
}

// newUser accepts a name of 1 to 64 printable characters.
func newUser(name string) (user, bool) {
	name = strings.TrimSpace(name)
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > 64 || strings.ContainsFunc(name, unprintable) {
		return user{}, false
	}
	return user{name}, true
}

// subject never changes for one name, and says nothing else (OpenID Connect Core, section 2: at most 255 ASCII characters).
func (u user) subject() string {
	sum := sha256.Sum256([]byte(u.name))
	return "user-" + hex.EncodeToString(sum[:8])
}

// email is an address in a domain that never has mail (RFC 2606, section 3).
func (u user) email() string {
	if strings.ContainsFunc(u.name, notUnreserved) || strings.Trim(u.name, ".") != u.name || strings.Contains(u.name, "..") {
		return u.subject() + "@example.com"
	}
	return u.name + "@example.com"
}

// claims are what the scopes tell about a user (OpenID Connect Core, section 5.4).
func (u user) claims(scopes []string) map[string]any {
	claims := map[string]any{"sub": u.subject()}
	if has(scopes, scopeProfile) {
		first, size := utf8.DecodeRuneInString(u.name)
		claims["name"] = string(unicode.ToTitle(first)) + u.name[size:]
		claims["preferred_username"] = u.name
	}
	if has(scopes, scopeEmail) {
		claims["email"] = u.email()
		claims["email_verified"] = false
	}
	return claims
}
