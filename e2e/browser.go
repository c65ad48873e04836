package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium is Debian's. chromedp would look for any other, and its absence must be an error.
const chromium = "/usr/bin/chromium"

// browser is a headless Chromium that can reach this machine's loopback addresses and nothing else.
type browser struct{ ctx context.Context }

// startBrowser starts Chromium with an empty profile, and ends it when the test ends.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("disable-features", "OptimizationHints,MediaRouter,Translate,InterestFeedContentSuggestions"),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost"),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("no-sandbox", true), // containers have no user namespaces
		chromedp.NoInheritEnv,
		chromedp.Env("PATH=/usr/bin:/bin", "HOME="+t.TempDir()),
	)
	ctx, closeAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeBrowser := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		closeBrowser()
		closeAllocator()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting Chromium (setup.sh installs it): %v", err)
	}
	return &browser{ctx}
}

// A person is what somebody does on the provider's pages.
type person struct {
	Login  string // the account that signs in; any password does
	Denies bool   // presses "Cancel" instead of "Continue" when asked for consent
	Code   string // of another device, typed in where it is asked for
}

// A visit is what a browser has seen, from the page that it was sent to until it had no more questions to answer.
type visit struct {
	URL       string // of the last page, as are Title and Text
	Title     string
	Text      string // what a person can read on it
	History   []string
	Responses []response // of every navigation on the way, redirects included
}

// A response is one that the browser has received for a page.
type response struct {
	URL        string
	Status     int
	Header     http.Header
	Connection float64 // its number
}

// from returns the responses of a host, given as "host:port".
func (v *visit) from(host string) []response {
	var found []response
	for _, r := range v.Responses {
		if u, err := url.Parse(r.URL); err == nil && u.Host == host {
			found = append(found, r)
		}
	}
	return found
}

// visit opens address in a new window that knows nobody, answers the provider's questions as p, and returns at the first page that
// asks nothing. The provider's pages are those of oidc-provider's devInteractions.
func (b *browser) visit(t *testing.T, address string, p person) *visit {
	t.Helper()
	w := b.window(t)
	defer w.close()
	return w.visit(t, address, p)
}

// A window is one that remembers who has signed in in it.
type window struct {
	ctx   context.Context
	close func()
}

// window opens a window that knows nobody. The end of the test closes it.
func (b *browser) window(t *testing.T) *window {
	t.Helper()
	ctx, closeWindow := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(closeWindow)
	if err := chromedp.Do(ctx); err != nil { // the first call decides how long the window lives
		t.Fatalf("opening a window: %v", err)
	}
	return &window{ctx, closeWindow}
}

// visit is that of browser.
func (w *window) visit(t *testing.T, address string, p person) *visit {
	t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()

	responses := new(responseLog)
	if err := chromedp.Listen(ctx, responses.record); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: address}); err != nil {
		t.Fatalf("opening %s: %v", address, err)
	}
	last, err := answerPages(ctx, p)
	if err != nil {
		t.Fatalf("%v; so far: %v", err, responses)
	}
	history, err := chromedp.Call(ctx, page.GetNavigationHistory, cdp.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range history.Entries {
		last.History = append(last.History, entry.URL, entry.UserTypedURL)
	}
	last.Responses = responses.all()
	return last
}

// answerScript fills in the page that is there, once. It returns the page when it is complete and has nothing to fill in.
const answerScript = `(person => {
	if (document.readyState !== "complete" || location.href === "about:blank" || document.answered) {
		return null;
	}
	if (document.forms.length === 0) {
		return {URL: location.href, Title: document.title, Text: document.body.innerText};
	}
	document.answered = true;
	const [form] = document.forms;
	if (form.elements.login) {
		form.elements.login.value = person.Login;
		form.elements.password.value = "any";
	} else if (form.elements.username) { // of issuertest
		form.elements.username.value = person.Login;
		form.elements.password.value = "any";
	} else if (form.elements.user_code?.type === "text") {
		form.elements.user_code.value = person.Code;
	} else if (person.Denies) {
		document.querySelector("a[href$='/abort']").click();
		return null;
	}
	document.querySelector("[type=submit]")?.click(); // it may stand beside its form
	return null;
})(%s)`

// answerPages answers one page after the other until one asks nothing. Between two pages the script may fail, because the document
// that it began in is gone.
func answerPages(ctx context.Context, p person) (*visit, error) {
	who, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	script := chromedp.Evaluate[*visit](fmt.Sprintf(answerScript, who), asPerson)
	for {
		last, err := chromedp.Run(ctx, script)
		if err == nil && last != nil {
			return last, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no last page: %w (%v)", ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// asPerson makes a script's clicks count as a person's.
func asPerson(p *runtime.EvaluateParams) { p.UserGesture = new(true) }

// responseLog collects the responses to navigations.
type responseLog struct {
	mu        sync.Mutex
	responses []response
}

func (l *responseLog) record(event any) {
	var r *network.Response
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		r = e.RedirectResponse // nil unless a redirect has led here
	case *network.EventResponseReceived:
		r = e.Response
	}
	if r == nil {
		return
	}
	header := make(http.Header)
	for name, value := range r.Headers {
		header.Set(name, fmt.Sprint(value))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.responses = append(l.responses, response{URL: r.URL, Status: int(r.Status), Header: header, Connection: r.ConnectionID})
}

func (l *responseLog) all() []response {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]response(nil), l.responses...)
}

// String leaves queries out: they hold codes.
func (l *responseLog) String() string {
	var s string
	for _, r := range l.all() {
		u, err := url.Parse(r.URL)
		if err != nil {
			continue
		}
		s += fmt.Sprintf("\n%d %s%s", r.Status, u.Host, u.Path)
	}
	return s
}
