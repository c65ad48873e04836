package loopback_test

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
	"github.com/oauth-login/oauth-login/loopback"
)

// startTest starts a provider, and a client of it.
func startTest(t *testing.T, opts *issuertest.Options) (*issuertest.Issuer, *grant.Client) {
	t.Helper()
	iss := issuertest.NewWith(t, opts)
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid"}, AllowInsecureRequests: true}
	t.Cleanup(client.CloseIdleConnections)
	return iss, client
}

// deadline bounds a login that goes wrong.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// TestPagesOfATemplate: html/template makes the pages, with a name of the program's
// own in it, escaped.
func TestPagesOfATemplate(t *testing.T) {
	page := template.Must(template.New("page").Parse(
		`<!DOCTYPE html><html lang="en"><title>{{.Program}}</title><style>h1 { color: green }</style><h1>{{if .Good}}Welcome to{{else}}Not today in{{end}} {{.Program}}</h1></html>`))
	iss, client := startTest(t, nil)
	opts := &loopback.Options{
		Open: iss.Open,
		Page: func(outcome loopback.Outcome) []byte {
			var b bytes.Buffer
			if err := page.Execute(&b, map[string]any{"Program": "Ada & <Co>", "Good": outcome == loopback.SignedIn}); err != nil {
				t.Error(err)
			}
			return b.Bytes()
		},
	}
	for _, refuse := range []bool{false, true} {
		iss.Refuse(refuse)
		want := "<h1>Welcome to Ada &amp; &lt;Co&gt;</h1>"
		if refuse {
			want = "<h1>Not today in Ada &amp; &lt;Co&gt;</h1>"
		}
		if _, err := loopback.Login(deadline(t), client, opts); (err != nil) != refuse {
			t.Errorf("refused: %v, and the error is %v", refuse, err)
		}
		if got := iss.LastPage().Body; !strings.Contains(got, want) {
			t.Errorf("the page is %s", got)
		}
	}
}

// A site is a web site that a person may be sent on to.
type site struct {
	url  string
	seen atomic.Pointer[http.Request]
}

func startSite(t *testing.T) *site {
	s := new(site)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.seen.Store(r)
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + "/welcome?from=cli"
	return s
}

// TestSignedInURL: the browser is sent on when the tokens are saved, to the very
// address, and brings nothing of the login along.
func TestSignedInURL(t *testing.T) {
	iss, client := startTest(t, nil)
	welcome := startSite(t)
	saved := false
	_, err := loopback.Login(deadline(t), client, &loopback.Options{
		Open: iss.Open, SignedInURL: welcome.url,
		Save: func(context.Context, *grant.Token) error {
			saved = welcome.seen.Load() == nil
			return nil
		},
	})
	if err != nil || !saved {
		t.Errorf("saved before the browser was sent on: %v, %v", saved, err)
	}
	r := welcome.seen.Load()
	if r == nil {
		t.Fatal("the browser was not sent on")
	}
	if r.Method != http.MethodGet || r.RequestURI != "/welcome?from=cli" || r.Header.Get("Referer") != "" {
		t.Errorf("the site got %s %s from %q", r.Method, r.RequestURI, r.Header.Get("Referer"))
	}
}

// TestSignedInURLIsForSuccess: who has refused, and whose tokens could not be had or
// saved, sees the page. So does who asks without a login.
func TestSignedInURLIsForSuccess(t *testing.T) {
	tests := map[string]struct {
		answer http.HandlerFunc
		save   func(context.Context, *grant.Token) error
		query  string
		status int
	}{
		"refused by the person":   {query: "error=access_denied", status: http.StatusForbidden},
		"refused by the provider": {answer: refuse, status: http.StatusInternalServerError},
		"not saved":               {save: func(context.Context, *grant.Token) error { return errDisk }, status: http.StatusInternalServerError},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			welcome := startSite(t)
			s := startToy(t, test.answer)
			l := start(t.Context(), t, s.client, &loopback.Options{NoBrowser: true, Save: test.save, SignedInURL: welcome.url})
			if early := browse(t, l.RedirectURI+"/done"); early.status != http.StatusNotFound {
				t.Errorf("before the end, the last page is %d", early.status)
			}
			callback := l.callback(t)
			if test.query != "" {
				callback = l.RedirectURI + "?" + test.query + "&state=" + l.state(t)
			}
			got := browse(t, callback)
			if got.status != test.status || got.url != l.RedirectURI+"/done" || got.header.Get("Refresh") != "" {
				t.Errorf("the browser ended up at %s with %d, and goes on to %q", got.url, got.status, got.header.Get("Refresh"))
			}
			if _, err := l.wait(t); err == nil {
				t.Error("the login has succeeded")
			}
		})
	}
}

// TestSignedInURLIsNotOfTheRequest: nothing that a request says changes it.
func TestSignedInURLIsNotOfTheRequest(t *testing.T) {
	welcome, evil := startSite(t), startSite(t)
	s := startToy(t, nil)
	l := start(t.Context(), t, s.client, &loopback.Options{NoBrowser: true, SignedInURL: welcome.url})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.callback(t)+"&SignedInURL="+evil.url+"&redirect="+evil.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-Host", strings.TrimPrefix(evil.url, "http://"))
	last, err := send(req, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := last.header.Values("Refresh"); !slices.Equal(got, []string{"0; url=" + welcome.url}) || strings.Contains(last.body, evil.url) {
		t.Errorf("the browser goes on with %q", got)
	}
	if last.url != l.RedirectURI+"/done" || !strings.Contains(last.body, "Signed in") {
		t.Errorf("until then, it shows %s %s", last.url, last.body)
	}
	checkSecure(t, last.header)
	l.succeed(t)
}

// TestSignedInURLIsChecked: before a port is open.
func TestSignedInURLIsChecked(t *testing.T) {
	for _, u := range []string{
		"http://example.com/", "javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "//example.com/", "/path", "welcome",
		"https://", "https://ada@example.com/", "https://example.com/ x", "https://example.com/\r\nSet-Cookie: a=b", "https://example.com\\@evil.example/",
	} {
		s := startToy(t, nil)
		if _, err := loopback.Login(t.Context(), s.client, &loopback.Options{NoBrowser: true, SignedInURL: u}); !errors.Is(err, grant.ErrArgument) {
			t.Errorf("%q: %v", u, err)
		}
	}
	for _, u := range []string{"https://example.com/welcome?a=b#c", "http://localhost:3000/", "http://[::1]/"} {
		if _, err := loopback.NewReceiver("http://127.0.0.1:1/callback", &loopback.Options{SignedInURL: u}); err != nil {
			t.Errorf("%q: %v", u, err)
		}
	}
}

// TestEvents: a program that shows the progress hears of every step, one at a time.
func TestEvents(t *testing.T) {
	iss, client := startTest(t, nil)
	var kinds []loopback.EventKind
	var busy atomic.Bool
	_, err := loopback.Login(deadline(t), client, &loopback.Options{Open: iss.Open, Notify: func(e loopback.Event) {
		if !busy.CompareAndSwap(false, true) {
			t.Error("two events at a time")
		}
		defer busy.Store(false)
		kinds = append(kinds, e.Kind)
		if e.Kind == loopback.AuthorizationURL && !strings.HasPrefix(e.URL, iss.URL) {
			t.Errorf("the URL is %s", e.URL)
		}
	}})
	want := []loopback.EventKind{loopback.Listening, loopback.AuthorizationURL, loopback.Received, loopback.Done}
	if err != nil || !slices.Equal(kinds, want) {
		t.Errorf("%v and the events %v", err, kinds)
	}
}

// TestHTTPClient: every request of a login goes through the program's own client.
func TestHTTPClient(t *testing.T) {
	iss, client := startTest(t, nil)
	var paths atomic.Int32
	client.HTTPClient = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		paths.Add(1)
		req = req.Clone(req.Context())
		req.Header.Set("X-Through", "proxy")
		return http.DefaultTransport.RoundTrip(req)
	})}
	if _, err := loopback.Login(deadline(t), client, &loopback.Options{Open: iss.Open}); err != nil {
		t.Fatal(err)
	}
	asked := iss.Requests("discovery") + iss.Requests("token") + iss.Requests("jwks")
	if got := int(paths.Load()); got != asked || asked != 3 {
		t.Errorf("%d of %d requests went through it", got, asked)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
