package loopback_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/loopback"
)

// TestUnverified: an error without a state ends nothing. It is told to whoever waits,
// in characters that can do no harm, and so that nobody can make it long or many.
func TestUnverified(t *testing.T) {
	long := strings.Repeat("x", 1000)
	tests := []struct {
		name  string
		query []string
		want  []loopback.Unverified
	}{
		{"as Authlib sends it", []string{"error=invalid_scope&error_description=The+requested+scope+is+unknown"},
			[]loopback.Unverified{{Code: "invalid_scope", Description: "The requested scope is unknown"}}},
		{"code alone", []string{"error=access_denied"}, []loopback.Unverified{{Code: "access_denied"}}},
		{"the same again", []string{"error=access_denied", "error=access_denied", "error=access_denied&x=1"}, []loopback.Unverified{{Code: "access_denied"}}},
		{"too many", []string{"error=a", "error=b", "error=c"}, []loopback.Unverified{{Code: "a"}, {Code: "b"}}},
		{"too long", []string{"error=" + long + "&error_description=" + long},
			[]loopback.Unverified{{Code: long[:37] + "...", Description: long[:117] + "..."}}},
		{"cut in a character", []string{"error=a&error_description=" + long[:116] + "%C3%A9%C3%A9%C3%A9"},
			[]loopback.Unverified{{Code: "a", Description: long[:116] + "?..."}}},
		{"what moves the cursor, looks like a line of ours, or ends the quotation", []string{"error=a%1B%5B2J&error_description=%0D%0Ahint:+%22%5C%22%C2%9B31m%E2%80%AEx%7F"},
			[]loopback.Unverified{{Code: "a?[2J", Description: "??hint: ????31m?x?"}}},
		{"with the state of another login", []string{"error=access_denied&state=x", "error=access_denied&state="}, nil},
		{"two errors", []string{"error=a&error=b"}, nil},
		{"no error", []string{"code=x", "error="}, nil},
		{"unreadable", []string{"error=%zz", "error=a;b"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told, waiting []loopback.Unverified
				r := newReceiver(t, &loopback.Options{Timeout: time.Minute, Notify: func(e loopback.Event) {
					switch e.Kind {
					case loopback.Ignored:
						told = append(told, e.Unverified...)
					case loopback.Waiting:
						waiting = e.Unverified
					}
				}})
				go func() {
					time.Sleep(time.Second)
					for _, query := range test.query {
						if w := ask(r, "http://127.0.0.1:8080/callback?"+query); w.Code != 400 || strings.Contains(w.Body.String(), "access_denied") {
							t.Errorf("%s gets %d\n%s", query, w.Code, w.Body)
						}
					}
				}()
				err := r.Receive(t.Context(), isState("s"), func(context.Context, url.Values) error {
					t.Error("it has settled the login")
					return nil
				})
				timeout, ok := errors.AsType[*loopback.TimeoutError](err)
				if !ok || !slices.Equal(timeout.Unverified, test.want) || !slices.Equal(waiting, test.want) {
					t.Errorf("the error is %#v\nand at 30 seconds %#v", err, waiting)
				}
				if !slices.Equal(told, test.want) {
					t.Errorf("told of %#v", told)
				}
			})
		})
	}
}
