package grant

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"golang.org/x/oauth2"
)

// A Token is what a successful token response holds (RFC 6749, section 5.1),
// after all checks.
type Token struct {
	// AccessToken is never empty.
	AccessToken Secret
	// TokenType is in lower case: "bearer", or "dpop" for a token that is bound to
	// the key in DPoP, unless another type was allowed.
	TokenType string
	// DPoP is the key that was used to get the token, nil for none. Where TokenType
	// is "bearer" all the same, the server has not bound the access token to it; the
	// refresh token may be bound alone (RFC 9449, section 5).
	DPoP *DPoP
	// RefreshToken is empty when the server gave none.
	RefreshToken Secret
	// IDToken is nil when the server gave none.
	IDToken *IDToken
	// Scopes are the scopes granted. The process functions leave nil where the
	// server named none; Client fills in what was asked for, which is what that
	// means.
	Scopes []string
	// AuthorizationDetails are the permissions granted, as the server sent them
	// (RFC 9396, section 7). It is nil when the server named none.
	AuthorizationDetails json.RawMessage
	// Expiry is when the access token ends, by this machine's clock. It is the
	// zero time when the server did not say.
	Expiry time.Time
}

// Format prints a placeholder for every verb.
func (Token) Format(f fmt.State, _ rune) { io.WriteString(f, "token "+redacted) }

// LogValue returns what may be known of the token: its type and scopes, when it
// ends, whether it can be refreshed, and the thumbprint of its key.
func (t Token) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("type", t.TokenType), slog.Any("scopes", t.Scopes), slog.Bool("refreshable", t.RefreshToken != "")}
	if !t.Expiry.IsZero() {
		attrs = append(attrs, slog.Time("expiry", t.Expiry))
	}
	if t.DPoP != nil {
		attrs = append(attrs, slog.String("jkt", t.DPoP.Thumbprint()))
	}
	return slog.GroupValue(attrs...)
}

// Valid reports whether the access token lives for longer than minTTL. A token
// without an expiry counts as valid.
func (t *Token) Valid(minTTL time.Duration) bool {
	return t != nil && t.AccessToken != "" && (t.Expiry.IsZero() || time.Until(t.Expiry) > minTTL)
}

// OAuth2 returns the token as golang.org/x/oauth2 knows it, with id_token, scope
// and authorization_details as extras. It holds the secrets in clear.
func (t *Token) OAuth2() *oauth2.Token {
	token := &oauth2.Token{
		AccessToken: string(t.AccessToken), TokenType: t.TokenType,
		RefreshToken: string(t.RefreshToken), Expiry: t.Expiry,
	}
	extra := map[string]any{"scope": strings.Join(t.Scopes, " ")}
	if t.IDToken != nil {
		extra["id_token"] = string(t.IDToken.Raw)
	}
	var details any
	if json.Unmarshal(t.AuthorizationDetails, &details) == nil {
		extra["authorization_details"] = details
	}
	return token.WithExtra(extra)
}

// storedToken is the form of a Token in a store.
type storedToken struct {
	AccessToken  string          `json:"access_token"`
	TokenType    string          `json:"token_type"`
	RefreshToken string          `json:"refresh_token,omitempty"`
	IDToken      string          `json:"id_token,omitempty"`
	Scopes       []string        `json:"scopes,omitzero"`
	Details      json.RawMessage `json:"authorization_details,omitzero"`
	Expiry       time.Time       `json:"expiry,omitzero"`
	DPoP         *storedDPoP     `json:"dpop,omitempty"`
}

// The token types of RFC 6750, section 6.1.1, and RFC 9449, section 12.1, in lower
// case.
const (
	tokenTypeBearer = "bearer"
	tokenTypeDPoP   = "dpop"
)

// MarshalBinary encodes the token for a store, with every secret in clear: one
// line of JSON in ASCII. That includes the private key that it is bound to; one that
// does not leave its device is an error. encoding/json, fmt and slog do not call it.
func (t *Token) MarshalBinary() ([]byte, error) {
	stored := storedToken{
		AccessToken: string(t.AccessToken), TokenType: t.TokenType, RefreshToken: string(t.RefreshToken),
		Scopes: t.Scopes, Details: t.AuthorizationDetails, Expiry: t.Expiry.UTC(),
	}
	if t.IDToken != nil {
		stored.IDToken = string(t.IDToken.Raw)
	}
	var err error
	if stored.DPoP, err = t.DPoP.store(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(stored)
	if err != nil {
		return nil, err
	}
	return asciiJSON(data), nil
}

// UnmarshalBinary decodes what MarshalBinary encoded. The ID token is not
// checked again: its lifetime ends, while what it says about the person stays.
func (t *Token) UnmarshalBinary(data []byte) error {
	var stored *storedToken
	if err := json.Unmarshal(data, &stored); err != nil || stored == nil {
		return fmt.Errorf("decode a stored token: %w", errNotObject) // the cause quotes the input
	}
	token := Token{
		AccessToken: Secret(stored.AccessToken), TokenType: stored.TokenType,
		RefreshToken: Secret(stored.RefreshToken), Scopes: stored.Scopes,
		AuthorizationDetails: stored.Details, Expiry: stored.Expiry,
	}
	if stored.IDToken != "" {
		parsed, err := parseJWT(kindIDToken, stored.IDToken, nil)
		if err != nil {
			return fmt.Errorf("decode a stored token: %w", err)
		}
		token.IDToken = newIDToken(stored.IDToken, parsed)
	}
	var err error
	if token.DPoP, err = stored.DPoP.dpop(); err != nil {
		return fmt.Errorf("decode a stored token: %w", err)
	}
	*t = token
	return nil
}

// asciiJSON escapes what is not ASCII. Such characters can only stand within
// strings.
func asciiJSON(data []byte) []byte {
	var b strings.Builder
	for _, r := range string(data) {
		switch {
		case r < 0x80:
			b.WriteByte(byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String())
}

const century = 100 * 365 * 24 * 3600 // seconds

// lifetime reads expires_in: a number of seconds, or a string of digits, as
// some servers send it. Zero is a token that is over. Absurd values are cut to
// a century, as one server counts in nanoseconds.
func lifetime(o object, check string) (time.Duration, error) {
	seconds, ok := o.number("expires_in")
	if text, isString := o.str("expires_in"); isString {
		digits, err := strconv.ParseUint(text, 10, 64)
		seconds, ok = float64(digits), err == nil
	}
	if !ok || seconds < 0 {
		return 0, &CheckError{Check: check, Code: codeInvalidResponse,
			Reason: "expires_in is not a number of seconds"}
	}
	return time.Duration(math.Min(seconds, century) * float64(time.Second)), nil
}
