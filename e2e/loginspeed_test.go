package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestSpeedOfLogin holds a login against a program that does as little as there is to one, with a provider that takes 50 ms for each
// request, side by side: from the start to the address to sign in at, from the redirect to saved tokens, and all but the person.
func TestSpeedOfLogin(t *testing.T) {
	const delay = 50 * time.Millisecond
	p := startProvider(t, providerConfig{Behavior: behavior{Delay: int(delay / time.Millisecond)}})
	k := startKeyring(t)
	dir := t.TempDir()
	ours := append([]string{buildSmall(t, dir, "..", "./cmd/oauth-login")}, login(p, "--no-browser", "--scope", "openid")...)
	bare := []string{buildSmall(t, dir, ".", "./barelogin"), p.Issuer, "native"}
	known := append(slices.Clone(bare), p.Issuer+"/auth", p.Issuer+"/token")
	unsaved := append(slices.Clone(ours), "--store", "none")
	cache := filepath.Join(k.dir, ".cache")
	logins := []*timedLogin{ // each limit, and what is held against it
		{name: "bare program", args: bare},
		{name: "first login", args: unsaved, forget: cache},
		{name: "bare program that knows the endpoints", args: known},
		{name: "next login", args: unsaved},
		{name: "bare, knows the endpoints, saves", args: known, env: "SAVE=1"},
		{name: "next login, saved", args: ours},
	}
	for round := range 8 {
		for _, l := range logins {
			l.run(t, k, round > 0) // the first is to warm up
		}
	}
	for i := 1; i < len(logins); i += 2 {
		ours, limit := logins[i], logins[i-1]
		for _, part := range []struct {
			name        string
			ours, limit []time.Duration
		}{
			{"start to browser", ours.toBrowser, limit.toBrowser}, {"redirect to tokens", ours.toTokens, limit.toTokens}, {"all but the person", ours.whole, limit.whole},
		} {
			figure(t, ours.name+": "+part.name, median(part.ours), median(part.limit), float64(median(part.ours))/float64(median(part.limit)))
		}
	}
	first, next := logins[1], logins[3]
	for _, l := range []*timedLogin{first, next} {
		if took := slices.Min(l.toTokens); took >= 2*delay {
			t.Errorf("%s: from the redirect to the tokens it takes %v: more than one round trip", l.name, took)
		}
	}
	if took := slices.Min(first.toBrowser); took < delay {
		t.Errorf("the first login is at the browser after %v: nothing was asked", took)
	}
	if took := slices.Min(next.toBrowser); took >= delay {
		t.Errorf("the next login is at the browser after %v: something was asked", took)
	}
}

// A timedLogin is one way to sign in.
type timedLogin struct {
	name   string
	args   []string
	env    string
	forget string // a directory to remove before

	toBrowser, toTokens, whole []time.Duration
}

// run signs in once, by hand.
func (l *timedLogin) run(t *testing.T, k *keyring, counts bool) {
	t.Helper()
	if l.forget != "" {
		if err := os.RemoveAll(l.forget); err != nil {
			t.Fatal(err)
		}
	}
	c := &command{path: l.args[0], env: append(k.env(), l.env)}
	start := time.Now()
	running := c.start(t, l.args[1:]...)
	address := running.url(t)
	browser := time.Now()
	callback := signInByHand(t, address, person{Login: "alice"})
	redirect := time.Now()
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(newGet(t, callback))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	saved := time.Now()
	if next, err := resp.Location(); err == nil {
		get(t, next.String())
	}
	running.wait(t).expect(t, exitDone)
	if counts {
		l.toBrowser = append(l.toBrowser, browser.Sub(start))
		l.toTokens = append(l.toTokens, saved.Sub(redirect))
		l.whole = append(l.whole, browser.Sub(start)+saved.Sub(redirect))
	}
}

func newGet(t *testing.T, address string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func median(times []time.Duration) time.Duration {
	times = slices.Sorted(slices.Values(times))
	return times[len(times)/2].Round(100 * time.Microsecond)
}
