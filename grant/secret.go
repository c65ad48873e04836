package grant

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is a string that must not be seen: a token, a client secret, a
// code verifier. Printing it with fmt, slog, encoding/json or encoding/xml shows
// a placeholder instead. Convert it with string(s) where the value itself is
// needed, as late as possible.
//
// The fmt package calls no methods on unexported fields, nor for the verbs %p and
// %w, which go vet reports for a Secret, and encoding/json calls none on the keys
// of a map. A struct that keeps a Secret in an unexported field has to redact
// itself.
type Secret string

const redacted = "[redacted]"

// String returns a placeholder, or "" for the empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format prints the placeholder for every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue returns the placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns the placeholder, so that a Secret that ends up in a JSON
// document by accident is harmless there.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
