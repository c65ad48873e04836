package issuer_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// The pair of RFC 7636, appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// start starts an issuer that lives as long as the test.
func start(t *testing.T, opts *issuer.Options) *issuer.Issuer {
	t.Helper()
	iss, err := issuer.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := iss.Close(); err != nil {
			t.Error(err)
		}
	})
	return iss
}

// receiver is a client's redirect URI that answers "received".
func receiver(t *testing.T) (redirectURI string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "received")
	}))
	t.Cleanup(server.Close)
	return server.URL + "/callback"
}

// request returns the parameters of a right authorization request. Pairs of name and value change it; the value "-" takes
// a parameter away.
func request(redirectURI string, changes ...string) url.Values {
	params := url.Values{
		"client_id":             {"demo"},
		"redirect_uri":          {redirectURI},
		"response_type":         {"code"},
		"scope":                 {"openid profile email offline_access"},
		"state":                 {"the state"},
		"nonce":                 {"the nonce"},
		"code_challenge":        {challenge},
		"code_challenge_method": {"S256"},
	}
	return change(params, changes...)
}

func change(params url.Values, changes ...string) url.Values {
	for n := 0; n < len(changes); n += 2 {
		params.Set(changes[n], changes[n+1])
		if changes[n+1] == "-" {
			params.Del(changes[n])
		}
	}
	return params
}

// answer signs in and returns the parameters of the authorization response.
func answer(t *testing.T, iss *issuer.Issuer, v *issuer.Visitor, params url.Values) url.Values {
	t.Helper()
	page, err := v.Visit(t.Context(), iss.URL()+"/oauth2/authorize?"+params.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if string(page.Body) != "received" {
		t.Fatalf("the visit ended with status %d at %s:\n%s", page.Status, page.URL, page.Body)
	}
	u, err := url.Parse(page.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// codeGrant returns the form of a right token request for the answer.
func codeGrant(redirectURI string, answer url.Values, changes ...string) url.Values {
	return change(url.Values{
		"grant_type":    {"authorization_code"},
		"client_id":     {"demo"},
		"code":          {answer.Get("code")},
		"redirect_uri":  {redirectURI},
		"code_verifier": {verifier},
	}, changes...)
}

func refreshGrant(token string, changes ...string) url.Values {
	return change(url.Values{
		"grant_type":    {"refresh_token"},
		"client_id":     {"demo"},
		"refresh_token": {token},
	}, changes...)
}

// reply is an answer whose body is JSON, if it has one.
type reply struct {
	status int
	header http.Header
	body   map[string]any
}

func (r *reply) string(name string) string {
	s, _ := r.body[name].(string)
	return s
}

// post sends a form. The header is in pairs of name and value.
func post(t *testing.T, target string, form url.Values, header ...string) *reply {
	t.Helper()
	return send(t, http.MethodPost, target, form.Encode(),
		append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
}

func get(t *testing.T, target string, header ...string) *reply {
	t.Helper()
	return send(t, http.MethodGet, target, "", header...)
}

func send(t *testing.T, method, target, body string, header ...string) *reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(header); n += 2 {
		req.Header.Set(header[n], header[n+1])
	}
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req) // follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := &reply{status: resp.StatusCode, header: resp.Header}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(data, &r.body); err != nil {
			t.Fatalf("%s %s: %v", method, target, err)
		}
	}
	return r
}

// signedIn goes through a whole sign-in and returns the token response.
func signedIn(t *testing.T, iss *issuer.Issuer, changes ...string) *reply {
	t.Helper()
	uri := receiver(t)
	r := post(t, iss.URL()+"/token", codeGrant(uri, answer(t, iss, new(issuer.Visitor), request(uri, changes...))))
	if r.status != http.StatusOK {
		t.Fatalf("token endpoint: %d %v", r.status, r.body)
	}
	return r
}

// refused checks an error answer of the token or revocation endpoint.
func refused(t *testing.T, r *reply, status int, code string) {
	t.Helper()
	if r.status != status || r.body["error"] != code {
		t.Errorf("got %d %v, want %d %s", r.status, r.body, status, code)
	}
	if r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control: %q", r.header.Get("Cache-Control"))
	}
}

// part decodes one part of a JWT.
func part(t *testing.T, token string, n int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts in an ID token", len(parts))
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[n])
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

// clock is a clock that stands still until it is told how much time has passed.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
