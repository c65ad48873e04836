package loopback_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/oauth-login/oauth-login/loopback"
)

// FuzzCallback: a well-formed query or form with exactly the right state settles a
// login, any other does not, and no answer has anything of it.
func FuzzCallback(f *testing.F) {
	const state = "Zm9vYmFyYmF6cXV4"
	for _, query := range []string{
		"code=c&state=" + state, "state=" + state + "&error=access_denied", "state=" + state + "&state=" + state, "state=" + state + "x",
		"state=" + strings.ToLower(state), "%73tate=" + state, "state=%5am9vYmFyYmF6cXV4", "state=" + state + ";code=c", "state=" + state + "&x=%zz",
		"state=" + state + "&x=%ff", "", "&&=&", "State=" + state, "state[]=" + state, "code=<script>alert(1)</script>", "state=+" + state,
		"state=" + state + "#", "state=" + state + "\x00", "state=" + state + "&x=" + strings.Repeat("x", 17<<10),
	} {
		f.Add(query, false)
		f.Add(query, true)
	}
	f.Fuzz(func(t *testing.T, query string, posted bool) {
		synctest.Test(t, func(t *testing.T) {
			r, err := loopback.NewReceiver("http://127.0.0.1:8080/callback", &loopback.Options{FormPost: posted})
			if err != nil {
				t.Fatal(err)
			}
			refusal := answer(ask(r, "http://127.0.0.1:8080/callback")) // the same bytes for every query
			ctx, cancel := context.WithCancel(t.Context())
			w := httptest.NewRecorder()
			go func() {
				defer cancel()
				synctest.Wait()
				req := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8080/callback", nil)
				req.URL.RawQuery = query
				if posted {
					req = httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8080/callback", strings.NewReader(query))
					req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				}
				r.ServeHTTP(w, req)
			}()
			finished := 0
			err = r.Receive(ctx, isState(state), func(context.Context, url.Values) error {
				finished++
				return nil
			})
			<-ctx.Done()
			params, malformed := url.ParseQuery(query)
			ours := malformed == nil && len(params["state"]) == 1 && params["state"][0] == state
			ours = ours && utf8.ValidString(fmt.Sprint(params)) && len(query) <= map[bool]int{false: 16 << 10, true: 64 << 10}[posted]
			switch {
			case ours != (finished == 1):
				t.Errorf("%q has settled the login %d times", query, finished)
			case finished > 0 && (err != nil || w.Code != http.StatusSeeOther || w.Body.Len() != 0 || w.Header().Get("Location") != "/callback/done"):
				t.Errorf("a settled login ended with %v and %s", err, answer(w))
			case finished == 0 && answer(w)[len("400"):] != refusal[len("400"):]:
				t.Errorf("%q is not answered as all others are", query)
			case finished == 0 && (w.Code < 400 || w.Code > 499):
				t.Errorf("%q is answered with %d", query, w.Code)
			}
		})
	})
}

// answer is an answer in one string.
func answer(w *httptest.ResponseRecorder) string { return fmt.Sprint(w.Code, w.Header(), w.Body) }
