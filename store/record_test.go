package store

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

func fullClient() *grant.Client {
	return &grant.Client{
		Issuer: "https://issuer.example",
		Server: &grant.AuthorizationServer{
			Issuer: "https://issuer.example", TokenEndpoint: "https://issuer.example/token?a=1&b=<2>",
			AuthorizationEndpoint: "https://issuer.example/authorize", ScopesSupported: []string{"openid"},
		},
		ClientID: "cli", ClientSecret: "hunter2", TokenEndpointAuthMethod: "client_secret_post",
		TokenEndpointAuthSigningAlg: "HS512", KeyID: "key 1",
		Scopes: []string{"openid", "é"}, Prompt: "consent", LoginHint: "ada\x7f@example.com", ACRValues: "1", MaxAge: new(0),
		Audience: "https://api.example", Resources: []string{"https://api.example/"}, UILocales: "de en",
		Claims: json.RawMessage(`{ "userinfo": {"é": null}}`), AuthorizationDetails: json.RawMessage(`[ {"type":"<a>"} ]`),
		AuthorizationParameters: url.Values{"a": {"1", "2"}}, TokenParameters: url.Values{"b": {""}},
		IDTokenSignedResponseAlg: "ES256", UserinfoSignedResponseAlg: "PS256", RequireAuthTime: true, DefaultMaxAge: new(60),
		Registration: &grant.Registration{
			ClientID: "cli", ClientSecret: "hunter2", ClientSecretExpiry: time.Unix(2e9, 0).UTC(),
			RegistrationAccessToken: "hunter3", RegistrationClientURI: "https://issuer.example/register/cli",
			Metadata: grant.ClientMetadata{RedirectURIs: []string{"http://127.0.0.1/callback"}, ClientName: "é"},
		},
		FAPI2: true, RequireSignedRequestObject: true, RequestObjectSigningAlg: "PS256", DPoPBoundAccessTokens: true,
		RequirePushedAuthorizationRequests: true, ResponseMode: "form_post.jwt", AuthorizationSignedResponseAlg: "EdDSA",
		ClockSkew: -time.Second, ClockTolerance: time.Minute, UseMTLSEndpointAliases: true, AllowInsecureRequests: true,
	}
}

func fullRecord(t testing.TB) *Record {
	t.Helper()
	client := fullClient()
	settings, err := settingsOf(client)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 24, 12, 0, 0, 5, time.UTC)
	return &Record{
		Issuer: client.Issuer, ClientID: client.ClientID, Profile: "work \U0001f4bc",
		Token: &grant.Token{
			AccessToken: "access", TokenType: "bearer", RefreshToken: "refresh", Scopes: []string{"openid"}, Expiry: at.Add(time.Hour),
		},
		SignedInAt: at, RefreshedAt: at.Add(time.Minute), settings: settings,
	}
}

func TestRecordRoundTrip(t *testing.T) {
	r := fullRecord(t)
	data, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range data {
		if c < ' ' || c > '~' {
			t.Fatalf("byte %d is %#x, which is not printable ASCII", i, c)
		}
	}
	got, err := decodeRecord(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, r) {
		t.Errorf("got  %#v\nwant %#v", got, r)
	}
	again, err := got.encode()
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("encoded again: %v\n%s\n%s", err, again, data)
	}
}

// TestSettingsAreComplete fails when grant.Client gets a field that nobody has
// decided about.
func TestSettingsAreComplete(t *testing.T) {
	notStored := []string{"HTTPClient", "Header", "Auth", "Key", "Logger", "MetadataCache"}
	want := fullClient()
	data, err := fullRecord(t).encode()
	if err != nil {
		t.Fatal(err)
	}
	record, err := decodeRecord(data)
	if err != nil {
		t.Fatal(err)
	}
	got := reflect.ValueOf(record.Client()).Elem()
	for i := range got.NumField() {
		field := got.Type().Field(i)
		if !field.IsExported() || slices.Contains(notStored, field.Name) {
			continue
		}
		w := reflect.ValueOf(want).Elem().Field(i)
		if w.IsZero() {
			t.Errorf("this test has no value for Client.%s", field.Name)
		}
		a, errA := json.Marshal(plain(got.Field(i)))
		b, errB := json.Marshal(plain(w))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("Client.%s is %s, was %s", field.Name, a, b)
		}
	}
}

// plain shows a Secret, and those of a registration.
func plain(v reflect.Value) any {
	if registration, ok := v.Interface().(*grant.Registration); ok {
		data, err := registration.MarshalBinary()
		return []any{string(data), err}
	}
	if secret, ok := v.Interface().(grant.Secret); ok {
		return string(secret)
	}
	return v.Interface()
}

func TestClientWithAuth(t *testing.T) {
	settings, err := settingsOf(&grant.Client{Auth: grant.ClientSecretPost("x"), ClientSecret: "unused", TokenEndpointAuthMethod: "unused"})
	if err != nil {
		t.Fatal(err)
	}
	client := (&Record{Issuer: "i", ClientID: "c", settings: settings}).Client()
	if client.TokenEndpointAuthMethod != "client_secret_post" || client.ClientSecret != "" {
		t.Errorf("method %q, secret %q", client.TokenEndpointAuthMethod, string(client.ClientSecret))
	}
	settings, err = settingsOf(&grant.Client{Key: ed25519.NewKeyFromSeed(make([]byte, 32)), KeyID: "key 1"})
	if err != nil {
		t.Fatal(err)
	}
	client = (&Record{Issuer: "i", ClientID: "c", settings: settings}).Client()
	if client.TokenEndpointAuthMethod != "private_key_jwt" || client.Key != nil || client.KeyID != "key 1" {
		t.Errorf("method %q, key %v, kid %q", client.TokenEndpointAuthMethod, client.Key, client.KeyID)
	}
	if client := (&Record{Issuer: "i", ClientID: "c"}).Client(); client.Issuer != "i" || client.ClientID != "c" {
		t.Errorf("without settings: %q, %q", client.Issuer, client.ClientID)
	}
}

func TestRecordSharesNothingWithTheClient(t *testing.T) {
	client := fullClient()
	settings, err := settingsOf(client)
	if err != nil {
		t.Fatal(err)
	}
	client.Scopes[0], client.TokenParameters["b"][0], *client.MaxAge = "changed", "changed", 7
	if settings.Scopes[0] != "openid" || settings.TokenParams["b"][0] != "" || *settings.MaxAge != 0 {
		t.Errorf("changed with the client: %v, %v, %d", settings.Scopes, settings.TokenParams, *settings.MaxAge)
	}
}

func TestRecordHidesItsSecrets(t *testing.T) {
	r := fullRecord(t)
	var text strings.Builder
	source := &Source{Client: fullClient(), Profile: "work", held: r, unsaved: &unsaved{record: r}}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		fmt.Fprintf(&text, format+format+format, r, *r, source)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	text.Write(data)
	if want := `login of "cli" at "https://issuer.example" ("work")`; !strings.Contains(text.String(), want) {
		t.Errorf("%q is not printed", want)
	}
	for _, secret := range []string{"hunter2", "access", "refresh", "68756e74657232", "[104 117 110"} {
		if i := strings.Index(text.String(), secret); i >= 0 {
			t.Errorf("%q is printed: %.60s", secret, text.String()[max(0, i-30):])
		}
	}
}

func TestDecodeRecordRefuses(t *testing.T) {
	data, err := fullRecord(t).encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	sealed := func(payload string) string { return "OL1 j " + checksum([]byte(payload)) + " " + payload }
	damaged := map[string]string{
		"empty":              "",
		"torn at the start":  good[1:],
		"torn at the end":    good[:len(good)-1],
		"torn in the header": good[:5],
		"twice":              good + good,
		"line break":         good + "\n",
		"of another program": "hunter2",
		"no version":         strings.Replace(good, "OL1", "OL", 1),
		"version 0":          strings.Replace(good, "OL1", "OL0", 1),
		"version 01":         strings.Replace(good, "OL1", "OL01", 1),
		"version -1":         strings.Replace(good, "OL1", "OL-1", 1),
		"version 99999999":   strings.Replace(good, "OL1", "OL99999999", 1),
		"another codec":      strings.Replace(good, " j ", " x ", 1),
		"checksum":           strings.Replace(good, checksum(data[len("OL1 j ")+33:]), strings.Repeat("0", 32), 1),
		"upper-case sum":     good[:6] + strings.ToUpper(good[6:38]) + good[38:],
		"a byte changed":     strings.Replace(good, "openid", "0penid", 1),
		"not JSON":           sealed("{"),
		"no object":          sealed("[]"),
		"two objects":        sealed("{}{}"),
		"no token":           sealed("{}"),
		"null token":         sealed(`{"token":null}`),
		"empty token":        sealed(`{"token":{"refresh_token":"r"}}`),
		"token is a string":  sealed(`{"token":"x"}`),
		"bad ID token":       sealed(`{"token":{"access_token":"a","id_token":"x"}}`),
	}
	for name, record := range damaged {
		if r, err := decodeRecord([]byte(record)); err == nil {
			t.Errorf("%s: decoded as %v", name, r)
		} else if _, ok := errors.AsType[*DamagedError](err); !ok {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "refresh") {
			t.Errorf("%s: the error quotes the record: %v", name, err)
		}
	}
	for _, record := range []string{"OL2 ", "OL2 x y", strings.Replace(good, "OL1", "OL13", 1)} {
		if _, err := decodeRecord([]byte(record)); !errors.Is(err, ErrNewer) {
			t.Errorf("%.20q: %v, want ErrNewer", record, err)
		}
	}
}

func TestRecordThatIsTooLarge(t *testing.T) {
	r := fullRecord(t)
	r.Token.AccessToken = grant.Secret(strings.Repeat("x", recordMax))
	if _, err := r.encode(); !errors.Is(err, grant.ErrArgument) {
		t.Errorf("error %v", err)
	}
}

// KeePassXC puts something else in the place of {TITLE} and the like, wherever it
// stands in what it keeps. No placeholder begins with a quote.
func TestRecordHasNoPlaceholders(t *testing.T) {
	r := fullRecord(t)
	r.Token.AccessToken, r.Profile = `\"{TITLE}\\`, `{PASSWORD}"{`
	r.settings.Secret = "{REF:P@I:46C9B1FFBD4ABC4BBB260C6190BAD20C}"
	data, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(data), "{") != strings.Count(string(data), `{"`) {
		t.Errorf("the record may hold placeholders: %s", data)
	}
	if got, err := decodeRecord(data); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("decoded: %v", err)
	}
}

// The names of items must never change: they are how a login is found again.
func TestItemKey(t *testing.T) {
	want := "d54e77fb05f529fb3f77c7f4a7afa781" // printf 'oauth-login/1\nhttps://issuer.example\ncli\n' | sha256sum
	if got := itemKey("https://issuer.example", "cli", ""); got != want {
		t.Errorf("key %s, want %s", got, want)
	}
	keys := map[string]bool{}
	for _, name := range [][3]string{{"a", "b", "c"}, {"a", "b", ""}, {"a", "bc", ""}, {"ab", "c", ""}, {"A", "b", "c"}} {
		keys[itemKey(name[0], name[1], name[2])] = true
	}
	if len(keys) != 5 {
		t.Errorf("%d keys for 5 logins", len(keys))
	}
}

// FuzzRecord encodes and decodes: what comes out must be what went in.
func FuzzRecord(f *testing.F) {
	f.Add("https://issuer.example", "cli", "", "secret", "scope", "access", "refresh", int64(0))
	f.Add("https://i\u2028ssuer.example", "\x00\x7f", "\U0001f4bc", "\"\\", "é", "<&>", "", int64(1<<40))
	f.Fuzz(func(t *testing.T, issuer, clientID, profile, secret, scope, access, refresh string, seconds int64) {
		at := time.Unix(seconds%(1<<37), 0).UTC() // until the year 6325
		settings, err := settingsOf(&grant.Client{ClientSecret: grant.Secret(secret), Scopes: []string{scope}})
		if err != nil {
			t.Skip("not UTF-8")
		}
		r := &Record{
			Issuer: issuer, ClientID: clientID, Profile: profile, SignedInAt: at, settings: settings,
			Token: &grant.Token{AccessToken: grant.Secret(access), RefreshToken: grant.Secret(refresh), Expiry: at},
		}
		for _, s := range []string{issuer, clientID, profile, access, refresh} {
			if strings.ToValidUTF8(s, "") != s {
				t.Skip("Source refuses it, or no JSON holds it")
			}
		}
		if access == "" {
			t.Skip("Source refuses it")
		}
		data, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.IndexFunc(data, func(c rune) bool { return c < ' ' || c > '~' }); i >= 0 {
			t.Fatalf("byte %d is not printable ASCII: %q", i, data)
		}
		got, err := decodeRecord(data)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, r) {
			t.Errorf("got  %#v\nwant %#v\nfrom %s", got, r, data)
		}
	})
}

// FuzzRecordDamage changes a record: it must be refused, or be the same.
func FuzzRecordDamage(f *testing.F) {
	good, err := fullRecord(f).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(0, 1, []byte("x"))
	f.Add(len(good)-1, 1, []byte(""))
	f.Add(3, 0, []byte(" "))
	f.Fuzz(func(t *testing.T, at, drop int, put []byte) {
		at = min(max(at, 0), len(good))
		drop = min(max(drop, 0), len(good)-at)
		record := slices.Concat(good[:at], put, good[at+drop:])
		if _, err := decodeRecord(record); err == nil && !bytes.Equal(record, good) {
			t.Errorf("accepted %q", record)
		}
	})
}
