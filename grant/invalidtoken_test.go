package grant_test

import (
	"net/http"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

func TestInvalidToken(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		header []string
		want   bool
	}{
		"RFC 6750, section 3":             {401, []string{`Bearer realm="example", error="invalid_token", error_description="The access token expired"`}, true},
		"RFC 9449, section 7.1":           {401, []string{`DPoP error="invalid_token", error_description="Invalid DPoP key binding", algs="ES256"`}, true},
		"letters of the scheme":           {401, []string{`bEARER error=invalid_token`}, true},
		"both schemes, one with an error": {401, []string{`Bearer, DPoP error="invalid_token", algs="ES256"`}, true},
		"both schemes with it":            {401, []string{`DPoP error="invalid_token"`, `Bearer error="invalid_token"`}, true},
		"behind another scheme":           {401, []string{`Basic realm=x`, `Bearer error="invalid_token"`}, true},
		"status 403":                      {403, []string{`Bearer error="invalid_token"`}, false},
		"status 400":                      {400, []string{`Bearer error="invalid_token"`}, false},
		"status 200":                      {200, []string{`Bearer error="invalid_token"`}, false},
		"another scheme":                  {401, []string{`Basic error="invalid_token"`}, false},
		"no error":                        {401, []string{`Bearer realm="invalid_token"`}, false},
		"no challenge":                    {401, nil, false},
		"malformed":                       {401, []string{`Bearer error="invalid_token`}, false},
		"insufficient_scope":              {401, []string{`Bearer error="insufficient_scope", scope="a"`}, false},
		"insufficient_scope, too":         {401, []string{`Bearer error="invalid_token"`, `Bearer error="insufficient_scope", scope="a"`}, false},
		"RFC 9449, section 9":             {401, []string{`DPoP error="use_dpop_nonce", error_description="nonce"`}, false},
		"the proof":                       {401, []string{`DPoP error="invalid_dpop_proof"`}, false},
		"the proof, and as a bearer":      {401, []string{`Bearer error="invalid_token", DPoP error="invalid_dpop_proof"`}, false},
		"the nonce, and as a bearer":      {401, []string{`DPoP error="use_dpop_nonce"`, `Bearer error="invalid_token"`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			resp := &http.Response{StatusCode: test.status, Header: http.Header{"Www-Authenticate": test.header}}
			if got := grant.InvalidToken(resp); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
	if grant.InvalidToken(nil) {
		t.Error("no response refuses nothing")
	}
}
