package store

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/oauth-login/oauth-login/grant"
)

// A Record is one login as it is stored: the token, and what is needed to use
// it later without asking anything again.
type Record struct {
	// Issuer, ClientID and Profile are the key of the login.
	Issuer, ClientID, Profile string
	// Token is what the provider gave last. It is shared: do not change it.
	Token *grant.Token
	// SignedInAt is when the person signed in, RefreshedAt when the token was
	// refreshed last; the zero time when it never was.
	SignedInAt, RefreshedAt time.Time

	settings *settings
}

// Format prints which login it is and no secret, whatever the verb: fmt cannot
// know that there are secrets in the unexported fields.
func (r Record) Format(f fmt.State, _ rune) { formatLogin(f, r.Issuer, r.ClientID, r.Profile) }

// LogValue returns which login it is.
func (r Record) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

func formatLogin(w io.Writer, issuer, clientID, profile string) {
	fmt.Fprintf(w, "login of %q at %q", clientID, issuer)
	if profile != "" {
		fmt.Fprintf(w, " (%q)", profile)
	}
}

// Client returns a new client with the settings of the sign-in, for the same
// issuer. HTTPClient, Header, MetadataCache, Auth, Key and Logger belong to a
// process and are not stored; of Auth, the name of its method is, and of Key that
// there was one.
func (r *Record) Client() *grant.Client {
	client := &grant.Client{Issuer: r.Issuer, ClientID: r.ClientID}
	if r.settings != nil {
		r.settings.apply(client)
	}
	return client
}

// refreshed returns the record after a refresh.
func (r *Record) refreshed(token *grant.Token) *Record {
	next := *r
	next.Token, next.RefreshedAt = token, now()
	return &next
}

// ttl is how long the token of r has to live to be handed out. A token whose
// whole life is short may not be asked for more than half of it, or every call
// would refresh it.
func (r *Record) ttl(least time.Duration) time.Duration {
	since := r.RefreshedAt
	if since.IsZero() {
		since = r.SignedInAt
	}
	return max(0, min(least, r.Token.Expiry.Sub(since)/2))
}

// now is the time as records hold it: without a monotonic part.
func now() time.Time { return time.Now().UTC().Round(0) }

const (
	recordCodec = "j" // of its envelope: the payload is JSON
	recordMax   = 1 << 20
)

// wire is the payload of a record. A change that an older version must not
// ignore, when it saves the login again, needs a new envelopeVersion.
type wire struct {
	Issuer      string          `json:"issuer"`
	ClientID    string          `json:"client_id"`
	Profile     string          `json:"profile,omitzero"`
	SignedInAt  time.Time       `json:"signed_in_at"`
	RefreshedAt time.Time       `json:"refreshed_at,omitzero"`
	Settings    *settings       `json:"client,omitzero"`
	Token       json.RawMessage `json:"token"`
}

// encode returns the record in an envelope, on one line of printable ASCII.
func (r *Record) encode() ([]byte, error) {
	token, err := r.Token.MarshalBinary()
	if err != nil {
		return nil, err
	}
	w := wire{
		Issuer: r.Issuer, ClientID: r.ClientID, Profile: r.Profile, SignedInAt: r.SignedInAt,
		RefreshedAt: r.RefreshedAt, Settings: r.settings, Token: token,
	}
	payload, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	record := seal(recordCodec, escape(payload))
	if len(record) > recordMax {
		return nil, fmt.Errorf("%w: the login takes %d bytes, more than 1 MiB", grant.ErrArgument, len(record))
	}
	return record, nil
}

// decodeRecord returns what encode encoded, a *DamagedError or ErrNewer.
func decodeRecord(record []byte) (*Record, error) {
	codec, payload, err := unseal(record)
	if err != nil {
		return nil, err
	}
	if codec != recordCodec {
		return nil, &DamagedError{Reason: "its encoding is unknown"}
	}
	return decodePayload(payload)
}

func decodePayload(payload []byte) (*Record, error) {
	var w wire
	if err := json.Unmarshal(payload, &w); err != nil {
		return nil, &DamagedError{Reason: "it is not JSON of the right form"} // the error would quote it
	}
	r := &Record{
		Issuer: w.Issuer, ClientID: w.ClientID, Profile: w.Profile,
		SignedInAt: w.SignedInAt, RefreshedAt: w.RefreshedAt, settings: w.Settings, Token: &grant.Token{},
	}
	if err := r.Token.UnmarshalBinary(w.Token); err != nil || r.Token.AccessToken == "" {
		return nil, &DamagedError{Reason: "its token cannot be read"}
	}
	return r, nil
}

// escape rewrites JSON so that every keychain keeps it. Characters that are not
// ASCII can stand within strings only. DEL is ASCII but not printable, and JSON
// allows it. Braces within strings could be one of KeePassXC's placeholders, such
// as {TITLE}, which it replaces wherever they stand (2.7.4, 2026).
func escape(data []byte) []byte {
	var b strings.Builder
	b.Grow(len(data))
	inString, escaped := false, false
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		case r >= 0x7f, inString && (r == '{' || r == '}'):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteByte(byte(r))
		}
		if r == '"' && !escaped {
			inString = !inString
		}
		escaped = r == '\\' && !escaped
		data = data[size:]
	}
	return []byte(b.String())
}
