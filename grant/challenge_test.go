package grant_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// ch makes a challenge with parameters, names and values in turn.
func ch(scheme string, parameters ...string) grant.Challenge {
	c := grant.Challenge{Scheme: scheme, Parameters: map[string]string{}}
	for i := 0; i < len(parameters); i += 2 {
		c.Parameters[parameters[i]] = parameters[i+1]
	}
	return c
}

func ch68(scheme, token string) grant.Challenge {
	c := ch(scheme)
	c.Token68 = token
	return c
}

// WWW-01 to WWW-54, parsed by themselves and as part of an answer of the token
// endpoint: no challenges means that a 401 with an empty body is nothing that we
// know.
func TestChallenges(t *testing.T) {
	const negotiate = "YIIB/zCCAfugAwIBAgIQBAAAAAAAAAAA+/abc=="
	list := func(challenges ...grant.Challenge) []grant.Challenge { return challenges }
	tests := []struct {
		name, header string
		want         []grant.Challenge
	}{
		{"WWW-01 WWW-36 empty", ``, nil},
		{"WWW-02 comma", `,`, nil},
		{"WWW-03 comma before the parameter", `Alpha, realm="one"`, nil},
		{"WWW-04 bare scheme", `Alpha`, list(ch("alpha"))},
		{"WWW-05 two bare schemes", `Alpha, DPoP`, list(ch("alpha"), ch("dpop"))},
		{"WWW-06 bare scheme, then one with a parameter", `Alpha, DPoP algs="ES256"`, list(ch("alpha"), ch("dpop", "algs", "ES256"))},
		{"WWW-07 backslashes without quotes", `Alpha realm=\o\n\e`, nil},
		{"WWW-08 WWW-41 no quote at the end", `Alpha realm="one`, nil},
		{"WWW-09 quoted", `Alpha realm="one"`, list(ch("alpha", "realm", "one"))},
		{"WWW-10 upper case", `ALPHA REALM="one"`, list(ch("alpha", "realm", "one"))},
		{"WWW-11 token", `Alpha realm=one`, list(ch("alpha", "realm", "one"))},
		{"WWW-12 apostrophes are no quotes", `Alpha realm='one'`, list(ch("alpha", "realm", "'one'"))},
		{"WWW-13 percent", `Alpha realm="one%20two"`, list(ch("alpha", "realm", "one%20two"))},
		{"WWW-14 comma after the scheme and a blank", `Alpha , realm="one"`, list(ch("alpha", "realm", "one"))},
		{"WWW-15 the last one counts", `Alpha realm="one", realm="two"`, list(ch("alpha", "realm", "two"))},
		{"WWW-16 blanks around the sign", `Alpha realm = "one"`, list(ch("alpha", "realm", "one"))},
		{"WWW-17 quotes in quotes", `Alpha realm="\"one\""`, list(ch("alpha", "realm", `"one"`))},
		{"WWW-18 empty list members", `Alpha realm="one", k1="two",, k2=three,,,k4=four`, list(ch("alpha", "realm", "one", "k1", "two", "k2", "three", "k4", "four"))},
		{"WWW-19 realm last", `Alpha k1="two", realm="one"`, list(ch("alpha", "k1", "two", "realm", "one"))},
		{"WWW-20 WWW-47 comma first", `,Alpha realm="one"`, list(ch("alpha", "realm", "one"))},
		{"WWW-21 two with parameters", `Beta realm="r1", kind=1, title="say \"hi\"", Alpha realm="r2" `,
			list(ch("beta", "realm", "r1", "kind", "1", "title", `say "hi"`), ch("alpha", "realm", "r2"))},
		{"WWW-22 a parameter within a value", `Alpha ext="realm=inner", realm="outer"`, list(ch("alpha", "ext", "realm=inner", "realm", "outer"))},
		{"WWW-23 a name that ends the same", `Alpha notrealm="x", realm="outer"`, list(ch("alpha", "notrealm", "x", "realm", "outer"))},
		{"WWW-24 token68", `Beta QUJDREVG`, list(ch68("beta", "QUJDREVG"))},
		{"WWW-25 token68, then another", `Beta QUJDREVG, Alpha realm="one"`, list(ch68("beta", "QUJDREVG"), ch("alpha", "realm", "one"))},
		{"WWW-26 token68 with =", `Beta QUJDREU=`, list(ch68("beta", "QUJDREU="))},
		{"WWW-27 token68 with =, then another", `Beta QUJDREU=, Alpha realm="one"`, list(ch68("beta", "QUJDREU="), ch("alpha", "realm", "one"))},
		{"WWW-28 token68 with ==", `Beta QUJDRA==`, list(ch68("beta", "QUJDRA=="))},
		{"WWW-29 token68 with ==, then another", `Beta QUJDRA==, Alpha realm="one"`, list(ch68("beta", "QUJDRA=="), ch("alpha", "realm", "one"))},
		{"WWW-30 error", `Bearer error="invalid_token", error_description="it expired"`, list(ch("bearer", "error", "invalid_token", "error_description", "it expired"))},
		{"WWW-31 quotes in the description", `Bearer error="e", error_description="it \"expired\""`, list(ch("bearer", "error", "e", "error_description", `it "expired"`))},
		{"WWW-32 Bearer and Basic", `Bearer error="e", error_description="d", Basic realm="r"`, list(ch("bearer", "error", "e", "error_description", "d"), ch("basic", "realm", "r"))},
		{"WWW-33 Digest", `Digest realm="r", qop=auth, nonce="n1"`, list(ch("digest", "realm", "r", "qop", "auth", "nonce", "n1"))},
		{"WWW-34 long token68", `Negotiate ` + negotiate, list(ch68("negotiate", negotiate))},
		{"WWW-35 many blanks", `Bearer   realm =   "one"   ,error="two" ,  error_description = " three "`, list(ch("bearer", "realm", "one", "error", "two", "error_description", " three "))},
		{"WWW-37 no scheme", `error="x"`, nil},
		{"WWW-38 Negotiate and Basic", `Negotiate abc123==, Basic realm="r"`, list(ch68("negotiate", "abc123=="), ch("basic", "realm", "r"))},
		{"WWW-39 unknown parameter", `Bearer foobar="x", scope="read"`, list(ch("bearer", "foobar", "x", "scope", "read"))},
		{"WWW-40 reads as token68", `Bearer error=`, list(ch68("bearer", "error="))},
		{"WWW-42 no sign", `Bearer error"x"`, nil},
		{"WWW-43 blanks first, no scheme", `  error="x", error_description="y"`, nil},
		{"WWW-44 rubbish at the end", `Bearer error="ok", ???`, nil},
		{"WWW-45 last quote escaped", `Bearer error="bad\esc\"`, nil},
		{"WWW-46 rubbish after token68", `Negotiate abc== ???`, nil},
		{"WWW-48 token68, then a parameter", `Negotiate abc123==, realm="x"`, nil},
		{"WWW-49 backslash", `Bearer error_description="a \\ b"`, list(ch("bearer", "error_description", `a \ b`))},
		{"WWW-50 error twice", `Bearer error="a", error="b"`, list(ch("bearer", "error", "b"))},
		{"WWW-51 names in lower case", `Bearer ERROR="x", Scope="y"`, list(ch("bearer", "error", "x", "scope", "y"))},
		{"WWW-52 blanks after the scheme", `Basic   realm="r"`, list(ch("basic", "realm", "r"))},
		{"WWW-53 comma last", `Bearer realm="r",`, list(ch("bearer", "realm", "r"))},
		{"WWW-54 three", `Bearer realm="r1", Digest blah==, Basic realm="r2"`, list(ch("bearer", "realm", "r1"), ch68("digest", "blah=="), ch("basic", "realm", "r2"))},

		{"R201 no blank after the scheme", `Alpha;x`, nil},
		{"R201 no blank before a token68", `Alpha/abc`, nil},
		{"R203 no name", `Alpha ="x"`, nil},
		{"R203 signs alone are no token68", `Alpha ==`, nil},
		{"R203 something right after a token68", `Alpha abc==def`, nil},
		{"R203 all that a token68 may have", `Alpha -._~+/09AZaz==`, list(ch68("alpha", "-._~+/09AZaz=="))},
		{"R202 bare scheme and a comma", `Bearer,`, nil},
		{"R203 three signs are no token68", `Alpha abc===`, nil},
		{"R204 quoted-pair, not a JSON escape", `Alpha realm="\t\u0041"`, list(ch("alpha", "realm", "tu0041"))},
		{"R205 token68, then a parameter without a comma", `X abc== realm="y"`, nil},
		{"T11 the Kelvin sign is no token", "Beare\u212a", nil},
		{"T11 all letters", `AZaz AZaz=AZaz`, list(ch("azaz", "azaz", "AZaz"))},
		{"a tab is a blank", "Alpha\trealm=one", list(ch("alpha", "realm", "one"))},
		{"backslash at the end", `Alpha realm="one\`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantChallenges(t, test.want, test.header)
		})
	}
	t.Run("R200 T06 two header lines", func(t *testing.T) {
		wantChallenges(t, list(ch("alpha", "realm", "one"), ch("beta")), `Alpha realm="one"`, `Beta`)
	})
	t.Run("R200 a parameter in the next line", func(t *testing.T) {
		wantChallenges(t, list(ch("alpha", "realm", "one", "error", "x")), `Alpha realm="one"`, `error="x"`)
	})
}

func wantChallenges(t *testing.T, want []grant.Challenge, lines ...string) {
	t.Helper()
	resp := response(401, "")
	resp.Header["Www-Authenticate"] = lines
	if got := grant.ParseChallenges(resp.Header); !reflect.DeepEqual(got, want) {
		t.Errorf("parsed %+v, want %+v", got, want)
	}
	_, err := processors[0].process(t, newServer(), newClient(nil), resp)
	if want == nil {
		wantOutcome(t, err, notConform)
		return
	}
	refusal, ok := errors.AsType[*grant.Error](err)
	if !ok || refusal.Status != 401 || !reflect.DeepEqual(refusal.Challenges, want) {
		t.Errorf("got %+v, want %v", err, want)
	}
}

// A challenge tells what the body does not, and the body wins.
func TestChallengeError(t *testing.T) {
	const challenge = `Bearer error="invalid_token", error_description="it expired", error_uri="https://e.example"`
	tests := []struct {
		name   string
		body   string
		header string
		want   grant.Error
		text   string
	}{
		{"challenge alone", "", challenge, grant.Error{Code: "invalid_token", Description: "it expired", URI: "https://e.example"},
			"token endpoint refused with status 401: invalid_token (it expired)"},
		{"body and challenge", `{"error":"invalid_client"}`, challenge, grant.Error{Code: "invalid_client"},
			"token endpoint refused with status 401: invalid_client"},
		{"challenge without an error", "", `Basic realm="x"`, grant.Error{},
			"token endpoint refused with status 401: it demands the authentication scheme basic"},
		{"error in the second challenge", "", `Basic, DPoP error="use_dpop_nonce"`, grant.Error{Code: "use_dpop_nonce"},
			"token endpoint refused with status 401: use_dpop_nonce"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := processors[0].process(t, newServer(), newClient(nil), response(401, test.body, "WWW-Authenticate", test.header))
			e, ok := errors.AsType[*grant.Error](err)
			if !ok || e.Code != test.want.Code || e.Description != test.want.Description || e.URI != test.want.URI || len(e.Challenges) == 0 {
				t.Fatalf("got %+v", err)
			}
			if err.Error() != test.text {
				t.Errorf("text %q, want %q", err, test.text)
			}
		})
	}
}

func FuzzChallenges(f *testing.F) {
	for _, seed := range []string{`Beta realm="r1", kind=1, Alpha realm="r2" `, `Bearer error=`, `N abc==, B realm="\"r"`, `A,`, `A b"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		_, err := processors[0].process(t, newServer(), newClient(nil), response(401, "", "WWW-Authenticate", header))
		e, ok := errors.AsType[*grant.Error](err)
		if !ok {
			return
		}
		// What was understood means the same when it is written plainly.
		var plain []string
		for _, c := range e.Challenges {
			text := c.Scheme + " " + c.Token68
			for name, value := range c.Parameters {
				text += name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `" `
			}
			plain = append(plain, strings.TrimSpace(text))
			if c.Scheme == "" || c.Token68 != "" && len(c.Parameters) > 0 {
				t.Errorf("%q: %+v", header, c)
			}
		}
		wantChallenges(t, e.Challenges, strings.Join(plain, ", "))
	})
}
