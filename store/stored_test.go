package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestStoredRecords reads records as they were written once. The files must
// never change, and no file may be removed: people have such records. A field
// that is added gets a file of its own, and none in the old ones.
func TestStoredRecords(t *testing.T) {
	names, err := filepath.Glob("testdata/records/*.txt")
	if err != nil || len(names) < 3 {
		t.Fatalf("files %q, %v", names, err)
	}
	for _, name := range names {
		data := stored(t, name)
		r, err := decodeRecord(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// Saved again, it is the same, but for what is escaped: nothing is lost,
		// nothing comes in.
		_, payload, _ := unseal(data)
		data = seal(recordCodec, escape(payload))
		again, err := r.encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s: saved again, it is\n%s\nand was\n%s (%v)", name, again, data, err)
		}
		// Every setting has its place in a client.
		settings, err := settingsOf(r.Client())
		if err != nil || r.settings != nil && !settings.equal(r.settings) {
			t.Errorf("%s: a setting is lost on the way to a client, %v", name, err)
		}
	}
}

// The least that a record can be, and what it then means.
func TestLeastRecord(t *testing.T) {
	r, err := decodeRecord(stored(t, "testdata/records/1-least.txt"))
	if err != nil {
		t.Fatal(err)
	}
	token := r.Token
	if r.Issuer != "https://issuer.example" || r.ClientID != "my-cli" || r.Profile != "" ||
		!r.SignedInAt.Equal(time.Date(2026, 11, 28, 11, 0, 0, 0, time.UTC)) || !r.RefreshedAt.IsZero() ||
		token.AccessToken != "an access token" || token.RefreshToken != "" || token.IDToken != nil || token.Scopes != nil || !token.Valid(time.Hour) {
		t.Errorf("read as %v", r)
	}
	if c := r.Client(); c.Issuer != r.Issuer || c.ClientID != r.ClientID || c.AllowInsecureRequests || c.Scopes != nil || c.Server != nil {
		t.Errorf("its client has more: %v", c)
	}
}

func TestUsualRecord(t *testing.T) {
	r, err := decodeRecord(stored(t, "testdata/records/1-usual.txt"))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 28, 11, 0, 0, 123456789, time.UTC)
	token := r.Token
	if !r.SignedInAt.Equal(at) || !r.RefreshedAt.Equal(at.Add(time.Minute)) || !token.Expiry.Equal(at.Add(time.Hour)) ||
		token.RefreshToken != "a refresh token" || token.TokenType != "bearer" || len(token.Scopes) != 3 {
		t.Errorf("read as %v", r)
	}
	if token.IDToken == nil || token.IDToken.Subject != "248289761001" {
		t.Errorf("ID token %v", token.IDToken)
	}
	if c := r.Client(); c.Prompt != "consent" || len(c.Scopes) != 3 || !c.AllowInsecureRequests {
		t.Errorf("client %v", c)
	}
}

// A login whose tokens are bound to a key has the key with it, and not that of the
// client.
func TestBoundRecord(t *testing.T) {
	r, err := decodeRecord(stored(t, "testdata/records/1-dpop.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Token.DPoP.Thumbprint(); got != "6UoWwDCkLjV0J-pQG8c0THxbVhBcpR0AZDift1Yl5DM" || r.Token.TokenType != "dpop" {
		t.Errorf("a token of the type %q, with the key %q", r.Token.TokenType, got)
	}
	if c := r.Client(); c.TokenEndpointAuthMethod != "private_key_jwt" || c.Key != nil || c.KeyID != "key 1" || !c.DPoPBoundAccessTokens {
		t.Errorf("client %v", c)
	}
}

func stored(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimRight(data, "\r\n")
}
