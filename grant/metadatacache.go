package grant

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A MetadataCache keeps the metadata of issuers (RFC 8414) from one process to the
// next, so that a login need not wait for them: store.MetadataCache is one. How long
// they are used follows RFC 9111, and is a day at most.
//
// What it keeps is public, and its errors are no errors of a login: the issuer is
// asked then, as it is without a cache. What comes out of it passes the checks of
// what comes from the issuer. It need be trusted all the same, as the profile of a
// program is: it says where refresh tokens are sent to. A MetadataCache is safe
// for concurrent use.
type MetadataCache interface {
	// LoadMetadata returns what was saved last for an issuer, nil for nothing.
	LoadMetadata(ctx context.Context, issuer string) ([]byte, error)
	// SaveMetadata replaces what is kept for an issuer, or removes it: nil. The
	// entry has at most a little more than 1 MiB.
	SaveMetadata(ctx context.Context, issuer string, entry []byte) error
}

const (
	entryVersion = 1
	entryMax     = 2 * maxBody
)

// A metadataEntry is what a MetadataCache keeps of one issuer: the document as it
// came, and what RFC 9111 needs to know of the response.
type metadataEntry struct {
	Version      int             `json:"version"`
	Issuer       string          `json:"issuer"`
	Location     string          `json:"location"` // one of the places of the issuer's metadata
	ETag         string          `json:"etag,omitzero"`
	LastModified string          `json:"last_modified,omitzero"`
	Vary         []string        `json:"vary,omitzero"` // the headers of the request that matter
	Validated    time.Time       `json:"validated"`     // when the issuer has said so last
	Expires      time.Time       `json:"expires"`       // when the issuer has to be asked first
	Document     json.RawMessage `json:"document"`
}

// newEntry makes an entry of a response with the status 200.
func newEntry(location string, resp *http.Response, sent time.Time, body []byte) *metadataEntry {
	e := &metadataEntry{
		Version: entryVersion, Location: location, Document: bytes.TrimPrefix(body, byteOrderMark),
		ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified"),
	}
	for _, field := range resp.Header.Values("Vary") {
		for name := range strings.SplitSeq(field, ",") {
			e.Vary = append(e.Vary, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	e.date(resp.Header, sent)
	return e
}

// validated is the entry after a response with the status 304 (RFC 9111, section
// 4.3.4).
func (e *metadataEntry) validated(resp *http.Response, sent time.Time) *metadataEntry {
	next := *e
	if tag := resp.Header.Get("ETag"); tag != "" {
		next.ETag = tag
	}
	next.date(resp.Header, sent)
	if len(resp.Header.Values("Cache-Control")) == 0 && len(resp.Header.Values("Expires")) == 0 {
		next.Expires = next.Validated.Add(e.Expires.Sub(e.Validated) - age(resp.Header)) // what it has said before stays (RFC 9111, section 3.2)
	}
	return &next
}

func (e *metadataEntry) date(header http.Header, sent time.Time) {
	e.Validated = sent.UTC().Round(0) // by the clock that another process sees
	e.Expires = e.Validated.Add(freshFor(header, e.Validated))
}

// fresh reports whether the entry may be used without asking (RFC 9111, section
// 4.2). A clock that was set back makes none fresh for longer.
func (e *metadataEntry) fresh() bool {
	if e == nil {
		return false
	}
	age := time.Since(e.Validated)
	return age >= 0 && age < metadataMaxAge && time.Now().Before(e.Expires)
}

// validators are the headers of a conditional request (RFC 9110, sections 13.1.2
// and 13.1.3).
func (e *metadataEntry) validators() http.Header {
	header := http.Header{}
	if e.ETag != "" {
		header.Set("If-None-Match", e.ETag)
	}
	if e.LastModified != "" {
		header.Set("If-Modified-Since", e.LastModified)
	}
	return header
}

// variesWith reports whether the document may be another one for a client with
// headers of its own (RFC 9111, section 4.1).
func (e *metadataEntry) variesWith(own http.Header) bool {
	if slices.Contains(e.Vary, "*") {
		return true
	}
	for name := range own {
		if slices.Contains(e.Vary, http.CanonicalHeaderKey(name)) {
			return true
		}
	}
	return false
}

// recall returns what the cache has of the issuer, nil for nothing that could come
// from the issuer itself.
func (c *Client) recall(ctx context.Context) (*metadataEntry, *AuthorizationServer) {
	if c.MetadataCache == nil {
		return nil, nil
	}
	u, err := checkIssuerURL(c.Issuer, c.insecureDiscovery())
	if err != nil {
		return nil, nil
	}
	data, err := c.MetadataCache.LoadMetadata(ctx, c.Issuer)
	if err != nil || len(data) > entryMax {
		return nil, nil
	}
	e := new(metadataEntry)
	if json.Unmarshal(data, e) != nil || e.Version != entryVersion || e.Issuer != c.Issuer || e.variesWith(c.Header) ||
		!slices.Contains(wellKnown(u), e.Location) || !isHeaderValue(e.ETag) || !isHeaderValue(e.LastModified) {
		return nil, nil
	}
	doc, err := parseObject(e.Document)
	if err != nil {
		return nil, nil
	}
	as := new(AuthorizationServer)
	as.decode(doc)
	if new(discovery).checkIssuer(as, c.Issuer, e.Location) != nil {
		return nil, nil
	}
	return e, as
}

// isHeaderValue: RFC 9110, section 5.5, without what nobody sends.
func isHeaderValue(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' })
}

// keep has the cache keep what the issuer has said, or nothing where it may not.
func (c *Client) keep(ctx context.Context, e *metadataEntry) {
	if c.MetadataCache == nil {
		return
	}
	if !e.fresh() || e.variesWith(c.Header) {
		c.forget(ctx)
		return
	}
	e.Issuer = c.Issuer
	if data, err := e.encode(); err == nil {
		_ = c.MetadataCache.SaveMetadata(ctx, c.Issuer, data) // without it, the next login takes longer
	}
}

// encode leaves the document as long as it is: json.Marshal would write six bytes
// for a "<".
func (e *metadataEntry) encode() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(e)
	return b.Bytes(), err
}

func (c *Client) forget(ctx context.Context) {
	if c.MetadataCache != nil {
		_ = c.MetadataCache.SaveMetadata(ctx, c.Issuer, nil)
	}
}
