package grant_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

func TestErrorTexts(t *testing.T) {
	const long = "0123456789abcdefghijklmnopqrst" // 30 characters
	for want, err := range map[string]error{
		"token endpoint refused":                   &grant.Error{Endpoint: "token"},
		"token endpoint refused with status 503":   &grant.Error{Endpoint: "token", Status: 503},
		"token endpoint refused: x (d)":            &grant.Error{Endpoint: "token", Code: "x", Description: "d"},
		"a.b: why":                                 &grant.CheckError{Check: "a.b", Reason: "why"},
		`a.b: why (expected "x", got "")`:          &grant.CheckError{Check: "a.b", Reason: "why", Expected: "x"},
		`a.b: why (expected "", got "y")`:          &grant.CheckError{Check: "a.b", Reason: "why", Actual: "y"},
		`a.b: why (expected "x", got "y"): broken`: &grant.CheckError{Check: "a.b", Reason: "why", Expected: "x", Actual: "y", Err: errors.New("broken")},

		"token endpoint refused: " + strings.Repeat(long, 10):         &grant.Error{Endpoint: "token", Code: strings.Repeat(long, 10)},
		"token endpoint refused: " + strings.Repeat(long, 10) + "...": &grant.Error{Endpoint: "token", Code: strings.Repeat(long, 10) + "x"},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Our own timeout is named, and no other end of a context is taken for it.
func TestTimeoutIsNamed(t *testing.T) {
	inBubble(func(t *testing.T) {
		for name, test := range map[string]struct {
			timeout time.Duration // of the caller
			want    bool
		}{"ours": {time.Hour, true}, "the caller's": {time.Second, false}} {
			p := newProvider("")
			p.token = untilDone
			client := newClient(p)
			client.Server = newServer()
			ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
			defer cancel()
			_, err := client.Refresh(ctx, &grant.Token{RefreshToken: "r"})
			if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "no answer within 30s") != test.want {
				t.Errorf("%s: %v", name, err)
			}
		}
	})(t)
}

// The options of a call reach the request for the keys.
func TestSignedResponseOptions(t *testing.T) {
	p, unused := newProvider(""), newProvider("")
	good := signedResponse("RS256", members{"code": "c", "state": "s"})
	_, err := grant.ValidateJWTAuthResponse(t.Context(), newServer(), newClient(unused), good, "s", &grant.RequestOptions{HTTPClient: &http.Client{Transport: p}})
	wantOutcome(t, err, "ok")
	if p.one(t, "/jwks"); len(unused.seen) != 0 {
		t.Errorf("%d requests with the client's", len(unused.seen))
	}
}

// The host behind a redirect is named, and only that of a redirect.
func TestRedirectIsNamed(t *testing.T) {
	for status, want := range map[int]bool{299: false, 300: true, 302: true, 399: true, 500: false} {
		_, err := processors[0].process(t, newServer(), newClient(nil), response(status, "", "Location", "https://sso.example/x?secret"))
		if err == nil || strings.Contains(err.Error(), "https://sso.example") != want || strings.Contains(err.Error(), "secret") {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

// The options of a call reach the request for the keys of a signed answer.
func TestUserinfoOptions(t *testing.T) {
	p, unused := newProvider(""), newProvider("")
	signed := mint("ES256", members{"sub": subject})
	as := newServer()
	as.UserinfoSigningAlgValuesSupported = []string{"ES256"}
	_, err := grant.ProcessUserinfoResponse(t.Context(), as, newClient(unused), aboutSubject(), response(200, signed, "Content-Type", "application/jwt"),
		&grant.ProcessUserinfoOptions{HTTPClient: &http.Client{Transport: p}})
	wantOutcome(t, err, "ok")
	if p.one(t, "/jwks"); len(unused.seen) != 0 {
		t.Errorf("%d requests with the client's", len(unused.seen))
	}
}
