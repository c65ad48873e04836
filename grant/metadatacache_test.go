package grant_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// A memoryCache is a MetadataCache in memory.
type memoryCache struct {
	mu      sync.Mutex
	entries map[string][]byte
	fails   error
}

func (c *memoryCache) LoadMetadata(_ context.Context, issuer string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries[issuer], c.fails
}

func (c *memoryCache) SaveMetadata(_ context.Context, issuer string, entry []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		c.entries = map[string][]byte{}
	}
	if entry == nil {
		delete(c.entries, issuer)
	} else if c.fails == nil {
		c.entries[issuer] = entry
	}
	return c.fails
}

func (c *memoryCache) has() bool { return c.entries[issuer] != nil }

// metadataDocument is that of newServer, with changes.
func metadataDocument(changes members) string {
	data, err := json.Marshal(newServer())
	if err != nil {
		panic(err)
	}
	var doc members
	if err := json.Unmarshal(data, &doc); err != nil {
		panic(err)
	}
	return doc.with(changes).json()
}

// newPublished returns a provider that publishes its metadata.
func newPublished(changes members, header ...string) *provider {
	p := newProvider("")
	p.metadata = always(200, metadataDocument(changes), header...)
	return p
}

// nextProcess is a client of a process that has just started.
func nextProcess(p *provider, cache grant.MetadataCache) *grant.Client {
	client := newClient(p)
	client.Issuer, client.Scopes, client.MetadataCache = issuer, []string{"openid"}, cache
	return client
}

func authorizedBy(t testing.TB, client *grant.Client) *grant.Flow {
	t.Helper()
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	return flow
}

// wantAsked fails the test unless the provider was asked for its metadata that often.
func (p *provider) wantAsked(t testing.TB, when string, want int) {
	t.Helper()
	if got := len(p.requests(oidcPlace)); got != want {
		t.Errorf("%s: the metadata were asked for %d times, want %d", when, got, want)
	}
}

// TestMetadataCache: one request before the browser the first time, none the next
// time, and then one beside the login, which says what is known.
func TestMetadataCache(t *testing.T) {
	p, cache := newPublished(nil, "ETag", `"1"`, "Last-Modified", "Mon, 02 Nov 2026 10:00:00 GMT"), &memoryCache{}
	authorizedBy(t, nextProcess(p, cache))
	p.wantAsked(t, "first login, before the browser", 1)

	flow := authorizedBy(t, nextProcess(p, cache))
	p.wantAsked(t, "next login, before the browser", 1)
	p.metadata = always(304, "", "ETag", `"2"`)
	flow.Warm(t.Context())
	flow.Warm(t.Context())
	p.wantAsked(t, "next login, beside it", 2)
	asked := p.requests(oidcPlace)[1].header
	if asked.Get("If-None-Match") != `"1"` || asked.Get("If-Modified-Since") != "Mon, 02 Nov 2026 10:00:00 GMT" {
		t.Errorf("asked with %v", asked)
	}
	signedIn(t, p, flow, nil)
	if _, err := flow.Exchange(t.Context(), redirectOf(t, flow)); err != nil {
		t.Fatal(err)
	}
	p.wantAsked(t, "next login, in the end", 2)
	if n := len(p.requests("/jwks")); n != 1 {
		t.Errorf("%d requests for the keys", n)
	}

	authorizedBy(t, nextProcess(p, cache)).Warm(t.Context())
	if asked := p.requests(oidcPlace)[2].header; asked.Get("If-None-Match") != `"2"` {
		t.Errorf("asked with %v after the tag has changed", asked)
	}
}

// TestMetadataCacheIsNoCondition: a cache that fails makes no login fail.
func TestMetadataCacheIsNoCondition(t *testing.T) {
	p, cache := newPublished(nil), &memoryCache{fails: errors.New("no disk")}
	for range 2 {
		authorizedBy(t, nextProcess(p, cache))
	}
	p.wantAsked(t, "two logins", 2)
}

// TestMetadataCacheControl: RFC 9111, sections 4.2 and 5.
func TestMetadataCacheControl(t *testing.T) {
	const date = "Sat, 01 Jan 2000 00:00:00 GMT" // when a bubble begins
	tests := []struct {
		name   string
		header []string
		own    http.Header
		wants  map[time.Duration]bool // usable after that time
	}{
		{"nothing said", nil, nil, map[time.Duration]bool{0: true, 24*time.Hour - 1: true, 24 * time.Hour: false}},
		{"no-store", []string{"Cache-Control", "no-store"}, nil, map[time.Duration]bool{0: false}},
		{"no-cache among others", []string{"Cache-Control", "private, No-Cache"}, nil, map[time.Duration]bool{0: false}},
		{"in a second field", []string{"Cache-Control", "private", "Cache-Control", "no-store"}, nil, map[time.Duration]bool{0: false}},
		{"a minute", []string{"Cache-Control", "public,max-age=60"}, nil, map[time.Duration]bool{0: true, time.Minute - 1: true, time.Minute: false}},
		{"quoted", []string{"Cache-Control", `max-age="60"`}, nil, map[time.Duration]bool{time.Minute - 1: true, time.Minute: false}},
		{"a year", []string{"Cache-Control", "max-age=31536000"}, nil, map[time.Duration]bool{24*time.Hour - 1: true, 24 * time.Hour: false}},
		{"two", []string{"Cache-Control", "max-age=600, max-age=60"}, nil, map[time.Duration]bool{time.Minute: false}},
		{"no number", []string{"Cache-Control", "max-age=long"}, nil, map[time.Duration]bool{0: false}},
		{"negative", []string{"Cache-Control", "max-age=-1"}, nil, map[time.Duration]bool{0: false}},
		{"zero", []string{"Cache-Control", "max-age=0"}, nil, map[time.Duration]bool{0: false}},
		{"aged", []string{"Cache-Control", "max-age=60", "Age", "50"}, nil, map[time.Duration]bool{0: true, 10 * time.Second: false}},
		{"of other caches", []string{"Cache-Control", "s-maxage=0"}, nil, map[time.Duration]bool{0: true}},
		{"expires", []string{"Expires", "Sat, 01 Jan 2000 01:00:00 GMT", "Date", date}, nil, map[time.Duration]bool{time.Hour - 1: true, time.Hour: false}},
		{"expires by its own clock", []string{"Expires", "Sat, 01 Jan 2005 01:00:00 GMT", "Date", "Sat, 01 Jan 2005 00:00:00 GMT"}, nil,
			map[time.Duration]bool{time.Hour - 1: true, time.Hour: false}},
		{"has expired", []string{"Expires", "0"}, nil, map[time.Duration]bool{0: false}},
		{"max-age before expires", []string{"Expires", "0", "Cache-Control", "max-age=60"}, nil, map[time.Duration]bool{0: true}},
		{"varies with what we do not send", []string{"Vary", "Accept-Encoding, X-Tenant"}, nil, map[time.Duration]bool{0: true}},
		{"varies with what we send", []string{"Vary", "Accept-Encoding, x-tenant"}, http.Header{"X-Tenant": {"a"}}, map[time.Duration]bool{0: false}},
		{"varies with anything", []string{"Vary", "*"}, nil, map[time.Duration]bool{0: false}},
	}
	for _, test := range tests {
		t.Run(test.name, inBubble(func(t *testing.T) {
			for after, usable := range test.wants {
				p, cache := newPublished(nil, test.header...), &memoryCache{}
				login := func() {
					client := nextProcess(p, cache)
					client.Header = test.own
					authorizedBy(t, client)
				}
				login()
				time.Sleep(after)
				login()
				if asked := len(p.requests(oidcPlace)) == 2; asked == usable {
					t.Errorf("after %v it may be used: %t", after, !usable)
				}
			}
		}))
	}
}

// TestMetadataExpired: then the issuer is asked first, with what is known.
func TestMetadataExpired(t *testing.T) {
	inBubble(func(t *testing.T) {
		p, cache := newPublished(nil, "ETag", `"1"`), &memoryCache{}
		authorizedBy(t, nextProcess(p, cache))
		time.Sleep(25 * time.Hour)
		p.metadata = always(304, "")
		authorizedBy(t, nextProcess(p, cache))
		p.wantAsked(t, "after a day", 2)
		authorizedBy(t, nextProcess(p, cache))
		p.wantAsked(t, "after that", 2)
	})(t)
}

// TestMetadataUnchanged: an answer that leaves out how long the metadata may be used
// leaves that as it was (RFC 9111, section 3.2).
func TestMetadataUnchanged(t *testing.T) {
	for name, test := range map[string]struct {
		then   []string
		usable time.Duration
	}{
		"nothing said":   {nil, time.Minute},
		"said again":     {[]string{"Cache-Control", "max-age=120"}, 2 * time.Minute},
		"under way":      {[]string{"Age", "20"}, 40 * time.Second},
		"expires, after": {[]string{"Expires", "Sat, 01 Jan 2000 01:00:00 GMT"}, 59 * time.Minute},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			p, cache := newPublished(nil, "Cache-Control", "max-age=60", "ETag", `"1"`), &memoryCache{}
			authorizedBy(t, nextProcess(p, cache))
			time.Sleep(time.Minute)
			p.metadata = always(304, "", test.then...)
			authorizedBy(t, nextProcess(p, cache))
			time.Sleep(test.usable - 1)
			authorizedBy(t, nextProcess(p, cache))
			p.wantAsked(t, "before its end", 2)
			time.Sleep(time.Nanosecond)
			authorizedBy(t, nextProcess(p, cache))
			p.wantAsked(t, "at its end", 3)
		}))
	}
}

// TestMetadataOfALongProcess: what came out of the cache has an end, however long the
// process lives.
func TestMetadataOfALongProcess(t *testing.T) {
	inBubble(func(t *testing.T) {
		p, cache := newPublished(nil), &memoryCache{}
		authorizedBy(t, nextProcess(p, cache))
		client := nextProcess(p, cache)
		for _, step := range []struct {
			after time.Duration
			asked int
		}{{0, 1}, {24*time.Hour - 1, 1}, {1, 2}} {
			time.Sleep(step.after)
			if _, err := client.Discover(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.wantAsked(t, step.after.String(), step.asked)
		}
	})(t)
}

// TestMetadataEntrySize: what is kept is little longer than the document.
func TestMetadataEntrySize(t *testing.T) {
	p, cache := newPublished(nil), &memoryCache{}
	document := strings.TrimSuffix(metadataDocument(nil), "}") + `,"x":"` + strings.Repeat("<", 900<<10) + `"}`
	p.metadata = always(200, document)
	for range 2 {
		authorizedBy(t, nextProcess(p, cache))
	}
	p.wantAsked(t, "the second login", 1)
	if kept := len(cache.entries[issuer]); kept > len(document)+1<<10 {
		t.Errorf("%d bytes are kept of %d", kept, len(document))
	}
}

// TestMetadataEntry: an entry is used only if it could have come from the issuer
// itself just now.
func TestMetadataEntry(t *testing.T) {
	tests := []struct {
		name    string
		changes members
		usable  bool
	}{
		{"as it was saved", nil, true},
		{"of a newer version", members{"version": 2}, false},
		{"of another issuer", members{"issuer": "https://other.example"}, false},
		{"a document of another issuer", members{"document": members{"issuer": "https://other.example"}}, false},
		{"a good document of another issuer", members{"document": json.RawMessage(metadataDocument(members{"issuer": "https://other.example"}))}, false},
		{"no document", members{"document": nil}, false},
		{"a document that is none", members{"document": []string{}}, false},
		{"from elsewhere", members{"location": "https://other.example" + oidcPlace}, false},
		{"from another place of the issuer", members{"location": issuer + "/elsewhere"}, false},
		{"a tag with a line break", members{"etag": "\"1\"\r\nX-Evil: 1"}, false},
		{"a date with a line break", members{"last_modified": "x\ny"}, false},
		{"from the future", members{"validated": time.Now().Add(time.Hour), "expires": time.Now().Add(2 * time.Hour)}, false},
		{"too old, whatever it says", members{"validated": time.Now().Add(-25 * time.Hour), "expires": time.Now().Add(time.Hour)}, false},
		{"expired", members{"expires": time.Now().Add(-time.Second)}, false},
		{"expired, and for ever", members{"validated": "x"}, false},
		{"endpoints without TLS", members{"document": members{"issuer": issuer, "authorization_endpoint": "http://op.example.com/authorize", "token_endpoint": issuer + "/token"}}, false},
		{"a file to open", members{"document": members{"issuer": issuer, "authorization_endpoint": "file:///etc/passwd", "token_endpoint": issuer + "/token"}}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, cache := newPublished(nil, "ETag", `"1"`), &memoryCache{}
			authorizedBy(t, nextProcess(p, cache))
			var entry members
			if err := json.Unmarshal(cache.entries[issuer], &entry); err != nil {
				t.Fatal(err)
			}
			cache.entries[issuer] = []byte(entry.with(test.changes).json())
			flow := authorizedBy(t, nextProcess(p, cache))
			if used := len(p.requests(oidcPlace)) == 1; used != test.usable {
				t.Errorf("used: %t", used)
			}
			if !strings.HasPrefix(flow.URL, issuer+"/authorize?") {
				t.Errorf("the person is sent to %s", flow.URL)
			}
		})
	}
	for _, garbage := range []string{"x", "", "null", "[]", "{}", strings.Repeat(" ", 3<<20) + "{}"} {
		p, cache := newPublished(nil), &memoryCache{entries: map[string][]byte{issuer: []byte(garbage)}}
		authorizedBy(t, nextProcess(p, cache))
		p.wantAsked(t, garbage[:min(len(garbage), 9)], 1)
	}
}

// TestRefreshTakesOneRoundTrip in a new process: one request, and where an ID token
// comes, one for the keys beside it.
func TestRefreshTakesOneRoundTrip(t *testing.T) {
	for _, openid := range []bool{false, true} {
		t.Run("", inBubble(func(t *testing.T) {
			const delay = 50 * time.Millisecond
			p, cache := newPublished(nil), &memoryCache{}
			old := &grant.Token{AccessToken: "old", RefreshToken: "refresh"}
			idToken, want := "", 1
			if openid {
				flow := authorizedBy(t, nextProcess(p, cache))
				signedIn(t, p, flow, nil)
				token, err := flow.Exchange(t.Context(), redirectOf(t, flow))
				if err != nil {
					t.Fatal(err)
				}
				old.IDToken, idToken, want = token.IDToken, mint("ES256", idClaims(nil)), 2
			} else {
				authorizedBy(t, nextProcess(p, cache))
			}
			slow := func(answer endpoint) endpoint {
				return func(req *http.Request) (*http.Response, error) {
					time.Sleep(delay)
					return answer(req)
				}
			}
			p.token, p.jwks, p.seen = slow(always(200, tokenBody(idToken))), slow(p.jwks), nil
			start := time.Now()
			if _, err := nextProcess(p, cache).Refresh(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took != delay || len(p.seen) != want {
				t.Errorf("%d requests, %v", len(p.seen), took)
			}
		}))
	}
}
