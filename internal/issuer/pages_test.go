package issuer_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// browser is a user agent that follows redirects within the issuer alone, and does nothing on its own.
type browser struct {
	t      *testing.T
	client *http.Client
}

// view is a page with what can be read off it.
type view struct {
	status int
	header http.Header
	body   string
	url    *url.URL
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, &http.Client{
		Jar:       jar,
		Transport: transport,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Host != via[0].URL.Host {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}}
}

func (b *browser) open(target string) *view {
	b.t.Helper()
	return b.read(b.client.Get(target))
}

func (b *browser) send(target string, form url.Values) *view {
	b.t.Helper()
	return b.read(b.client.PostForm(target, form))
}

func (b *browser) read(resp *http.Response, err error) *view {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return &view{resp.StatusCode, resp.Header, string(body), resp.Request.URL}
}

// form returns the hidden fields of a page.
func (v *view) form(changes ...string) url.Values {
	fields := regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	values := url.Values{}
	for _, m := range fields.FindAllStringSubmatch(v.body, -1) {
		values.Add(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	return change(values, changes...)
}

func authorizeURL(iss *issuer.Issuer, changes ...string) string {
	return iss.URL() + "/oauth2/authorize?" + request(callback, changes...).Encode()
}

// atConsent returns a browser whose person has signed in and sees the consent page.
func atConsent(t *testing.T, iss *issuer.Issuer, changes ...string) (*browser, *view) {
	t.Helper()
	b := newBrowser(t)
	signIn := b.open(authorizeURL(iss, changes...))
	return b, b.send(iss.URL()+"/oauth2/sign-in", signIn.form("username", "ada", "password", "x"))
}

func TestPagesAreStrict(t *testing.T) {
	iss := start(t, nil)
	b, consent := atConsent(t, iss)
	signIn := b.open(authorizeURL(iss, "prompt", "login"))
	wrong := b.open(authorizeURL(iss, "client_id", "x"))
	for name, page := range map[string]struct {
		*view
		status     int
		formAction string
	}{
		"sign-in": {signIn, 200, "'self'"},
		"consent": {consent, 200, "'self' http://127.0.0.1:50000"}, // Chromium applies it to the redirect as well
		"error":   {wrong, 400, "'self'"},
	} {
		style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(page.body)
		if style == nil {
			t.Fatalf("%s: no style", name)
		}
		sum := sha256.Sum256([]byte(style[1]))
		want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action " + page.formAction + "; base-uri 'none'; frame-ancestors 'none'"
		if got := page.header.Get("Content-Security-Policy"); got != want || page.status != page.view.status {
			t.Errorf("%s: %d %q, want %q", name, page.view.status, got, want)
		}
		for header, want := range map[string]string{
			"Cache-Control":          "no-store",
			"Referrer-Policy":        "no-referrer",
			"X-Content-Type-Options": "nosniff",
			"X-Frame-Options":        "DENY",
			"Content-Type":           "text/html; charset=utf-8",
		} {
			if got := page.header.Get(header); got != want {
				t.Errorf("%s: %s %q, want %q", name, header, got, want)
			}
		}
		if !strings.Contains(page.body, `<html lang="en">`) || strings.Contains(page.body, "://") {
			t.Errorf("%s: no language, or an external address:\n%s", name, page.body)
		}
	}
}

func TestFormActionForOtherRedirects(t *testing.T) {
	iss := start(t, &issuer.Options{Clients: []issuer.Client{{ID: "demo", RedirectURIs: []string{
		"http://[::1]/callback", "com.example.app:/cb",
	}}}})
	for uri, source := range map[string]string{"http://[::1]:50000/callback": "http:", "com.example.app:/cb": "com.example.app:"} {
		_, consent := atConsent(t, iss, "redirect_uri", uri)
		if got := consent.header.Get("Content-Security-Policy"); !strings.Contains(got, "; form-action 'self' "+source+"; ") {
			t.Errorf("%s: %s", uri, got)
		}
	}
}

func TestPagesEscape(t *testing.T) {
	iss := start(t, &issuer.Options{Clients: []issuer.Client{{ID: "demo", Name: `<b>"app"</b>`}}})
	b := newBrowser(t)
	signIn := b.open(authorizeURL(iss, "login_hint", `"><script>1</script>`))
	if strings.Contains(signIn.body, "<script") || strings.Contains(signIn.body, "<b>") {
		t.Errorf("not escaped:\n%s", signIn.body)
	}
	if !strings.Contains(signIn.body, `value="&#34;&gt;&lt;script&gt;1&lt;/script&gt;"`) {
		t.Errorf("the hint is not filled in:\n%s", signIn.body)
	}
	consent := b.send(iss.URL()+"/oauth2/sign-in", signIn.form("username", `<i>`, "password", "x"))
	if strings.Contains(consent.body, "<i>") || !strings.Contains(consent.body, "&lt;i&gt;") {
		t.Errorf("not escaped:\n%s", consent.body)
	}
}

func TestConsentNamesClientAndScopes(t *testing.T) {
	iss := start(t, nil)
	_, consent := atConsent(t, iss, "scope", "openid email")
	for _, text := range []string{"oauth-login", "ada", "openid", "email"} {
		if !strings.Contains(consent.body, text) {
			t.Errorf("%q is not on the page:\n%s", text, consent.body)
		}
	}
	for _, text := range []string{"offline_access", "profile"} {
		if strings.Contains(consent.body, text) {
			t.Errorf("%q is on the page:\n%s", text, consent.body)
		}
	}
}

func TestSignInRefuses(t *testing.T) {
	iss := start(t, nil)
	b := newBrowser(t)
	page := b.open(authorizeURL(iss))
	for name, form := range map[string]url.Values{
		"no name":     page.form("password", "x"),
		"blank name":  page.form("username", "  ", "password", "x"),
		"no password": page.form("username", "ada"),
		"long name":   page.form("username", strings.Repeat("x", 65), "password", "x"),
		"control":     page.form("username", "a\x1b[31m", "password", "x"),
		"not UTF-8":   page.form("username", "\xff", "password", "x"),
	} {
		got := b.send(iss.URL()+"/oauth2/sign-in", form)
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `role="alert"`) {
			t.Errorf("%s: %d", name, got.status)
		}
	}
}

func TestForgedForms(t *testing.T) {
	iss := start(t, nil)
	other, _ := atConsent(t, iss)
	b := newBrowser(t)
	signIn := b.open(authorizeURL(iss))
	person := []string{"username", "ada", "password", "x"}
	refusedPage := func(name string, v *view) {
		t.Helper()
		if v.status != http.StatusBadRequest {
			t.Errorf("%s: %d at %s", name, v.status, v.url)
		}
	}
	refusedPage("page in another browser", other.open(signIn.url.String()))
	refusedPage("form in another browser", other.send(iss.URL()+"/oauth2/sign-in", signIn.form(person...)))
	refusedPage("no token", b.send(iss.URL()+"/oauth2/sign-in", signIn.form(append(person, "csrf", "-")...)))
	refusedPage("wrong token", b.send(iss.URL()+"/oauth2/sign-in", signIn.form(append(person, "csrf", "x")...)))
	refusedPage("unknown interaction", b.send(iss.URL()+"/oauth2/sign-in", signIn.form(append(person, "interaction", "x")...)))

	early := signIn.form("decision", "allow")
	refusedPage("consent before sign-in", b.send(iss.URL()+"/oauth2/consent", early))
	if v := b.open(iss.URL() + "/oauth2/consent?interaction=" + early.Get("interaction")); v.url.Path != "/oauth2/sign-in" {
		t.Errorf("consent page before sign-in: %d at %s", v.status, v.url)
	}
	consent := b.send(iss.URL()+"/oauth2/sign-in", signIn.form(person...))
	refusedPage("sign-in token on the consent form", b.send(iss.URL()+"/oauth2/consent", early))
	refusedPage("no decision", b.send(iss.URL()+"/oauth2/consent", consent.form()))
	refusedPage("consent in another browser", other.send(iss.URL()+"/oauth2/consent", consent.form("decision", "allow")))

	// Somebody else signs in, in the same browser, while the consent page is open: its Allow must not speak for them.
	again := b.open(authorizeURL(iss, "prompt", "login"))
	b.send(iss.URL()+"/oauth2/sign-in", again.form("username", "grace", "password", "x"))
	refusedPage("consent of somebody else", b.send(iss.URL()+"/oauth2/consent", consent.form("decision", "allow")))
	if n := len(iss.Secrets()); n != 0 {
		t.Errorf("%d codes were handed out", n)
	}
}

// A double click sends the form twice, and the browser shows the second answer: it must be as good as the first.
func TestConsentTwice(t *testing.T) {
	hooked := make(chan string, 100)
	iss := start(t, &issuer.Options{Redirect: func(params url.Values) { hooked <- params.Get("code") }})
	b, consent := atConsent(t, iss)
	locations := make([]string, 10)
	var wg sync.WaitGroup
	for n := range locations {
		wg.Go(func() {
			resp, err := b.client.PostForm(iss.URL()+"/oauth2/consent", consent.form("decision", "allow"))
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			locations[n] = resp.Header.Get("Location")
		})
	}
	wg.Wait()
	for _, l := range locations {
		if l != locations[0] || !strings.HasPrefix(l, callback+"?code=") {
			t.Fatalf("answers differ, or none is right: %q", locations)
		}
	}
	denied := b.send(iss.URL()+"/oauth2/consent", consent.form("decision", "deny"))
	if got := denied.header.Get("Location"); got != locations[0] {
		t.Errorf("a later Deny changes the answer: %s", got)
	}
	if len(hooked) != 1 || len(iss.Secrets()) != 1 {
		t.Errorf("%d answers, %d codes", len(hooked), len(iss.Secrets()))
	}
}

func TestCookies(t *testing.T) {
	iss := start(t, &issuer.Options{Path: "/tenant"})
	b, _ := atConsent(t, iss)
	paths := map[string]bool{
		"/tenant/oauth2/consent": true,
		"/tenant/token":          false,
		"/callback":              false, // the client's, on another port
		"/":                      false,
	}
	for path, want := range paths {
		u, err := url.Parse(strings.TrimSuffix(iss.URL(), "/tenant") + path)
		if err != nil {
			t.Fatal(err)
		}
		cookies := b.client.Jar.Cookies(u)
		if (len(cookies) == 2) != want || len(cookies) == 1 {
			t.Errorf("%s gets %d cookies", path, len(cookies))
		}
		for _, c := range cookies {
			if !strings.HasSuffix(c.Name, "_"+u.Port()) {
				t.Errorf("cookie %s is not of port %s", c.Name, u.Port())
			}
		}
	}
	r := get(t, iss.URL()+"/oauth2/authorize?"+request(callback).Encode())
	if c := r.header.Get("Set-Cookie"); !strings.HasSuffix(c, "; Path=/tenant/oauth2; HttpOnly; SameSite=Lax") {
		t.Errorf("Set-Cookie: %s", c)
	}
}

func TestForeignHost(t *testing.T) {
	iss := start(t, nil)
	b := newBrowser(t)
	for _, host := range []string{"evil.example", "localhost", "127.0.0.1"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, iss.URL()+"/.well-known/openid-configuration", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		if got := b.read(b.client.Do(req)); got.status != http.StatusMisdirectedRequest {
			t.Errorf("Host %s: %d", host, got.status)
		}
	}
}

// A flood of requests costs a bounded amount of memory: the oldest is forgotten.
func TestInteractionsAreBounded(t *testing.T) {
	clock := newClock()
	iss := start(t, &issuer.Options{Now: clock.now})
	b := newBrowser(t)
	first := b.open(authorizeURL(iss))
	clock.advance(time.Second)
	second := b.open(authorizeURL(iss))
	for range 999 {
		clock.advance(time.Millisecond)
		b.open(authorizeURL(iss))
	}
	if v := b.open(first.url.String()); v.status != http.StatusBadRequest {
		t.Errorf("the oldest of 1001: %d", v.status)
	}
	if v := b.open(second.url.String()); v.status != http.StatusOK {
		t.Errorf("the second of 1001: %d", v.status)
	}
	clock.advance(10 * time.Minute)
	if v := b.open(second.url.String()); v.status != http.StatusBadRequest {
		t.Errorf("after ten minutes: %d", v.status)
	}
}
