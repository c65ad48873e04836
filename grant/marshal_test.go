package grant_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

func TestMarshalToken(t *testing.T) {
	raw := mint("RS256", idClaims(members{"name": "Zoë", "auth_time": 5}))
	bodies := map[string]members{
		"minimal":     {"access_token": "token", "token_type": "Bearer"},
		"full":        {"access_token": "<&> \"\\", "token_type": "Bearer", "refresh_token": "'", "expires_in": 1.5, "scope": "é 😀", "id_token": raw},
		"letters":     {"access_token": "token", "token_type": "Bearer", "scope": "\u00a1 \u07ff \uffff \U00010000 \U0010ffff"},
		"empty scope": {"access_token": "token", "token_type": "Bearer", "scope": ""},
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			token, err := processors[0].process(t, newServer(), newClient(newProvider("")), response(200, body.json()))
			if err != nil {
				t.Fatal(err)
			}
			wantRoundTrip(t, token)
		})
	}
}

// wantRoundTrip stores a token and reads it back.
func wantRoundTrip(t *testing.T, token *grant.Token) {
	t.Helper()
	data, err := token.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if i := bytes.IndexFunc(data, func(r rune) bool { return r < ' ' || r > '~' && r != 0x7f }); i >= 0 || !json.Valid(data) {
		t.Errorf("not one line of ASCII JSON: %q", data)
	}
	var again grant.Token
	if err := again.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&again, token) {
		t.Errorf("%s became %#v, want %#v", data, again, *token)
	}
	if token.IDToken == nil {
		return
	}
	var before, after members
	if token.IDToken.Claims(&before) != nil || again.IDToken.Claims(&after) != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("claims %v became %v", before, after)
	}
}

func TestMarshalTokenRefuses(t *testing.T) {
	token := &grant.Token{AccessToken: "t", Expiry: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}
	if data, err := token.MarshalBinary(); err == nil {
		t.Errorf("a year of five digits became %s", data)
	}
}

func TestUnmarshalTokenRefuses(t *testing.T) {
	for _, data := range []string{"", "null", "[]", "{", `{"access_token":"SECRET"`, `{"access_token":5}`, `{"access_token":"SECRET"} x`,
		`{"access_token":"SECRET","id_token":"a.b"}`, `{"access_token":"SECRET","expiry":"SECRET"}`} {
		token := grant.Token{AccessToken: "old"}
		err := token.UnmarshalBinary([]byte(data))
		if err == nil || strings.Contains(err.Error(), "SECRET") || token.AccessToken != "old" {
			t.Errorf("%q: %v, and the token is %q", data, err, string(token.AccessToken))
		}
	}
}
