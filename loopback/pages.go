package loopback

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An Outcome is what a page tells the person.
type Outcome int

const (
	// Unknown: the request does not belong to a login that waits here. It may
	// have ended already.
	Unknown Outcome = iota
	// SignedIn: the tokens are checked, and saved where they are to be.
	SignedIn
	// Refused: the person or the provider said no.
	Refused
	// Failed: the sign-in could not be completed.
	Failed

	outcomes = int(Failed) + 1
)

// status returns the status of the last page. It tells the truth as the text
// does, for those who follow redirects and do not read: curl --fail, or a script
// that stands in for a browser. 500 is for all that went wrong behind the
// receiver, whoever is to blame.
func (o Outcome) status() int {
	switch o {
	case SignedIn:
		return http.StatusOK
	case Refused:
		return http.StatusForbidden
	default:
		return http.StatusInternalServerError
	}
}

// text returns the title and the text of the built-in page. It does not say
// what the reason was: that is in the terminal, where no other page can look.
func (o Outcome) text() (title, text string) {
	switch o {
	case SignedIn:
		return "Signed in", "You can close this tab and go back to the program that you came from."
	case Refused:
		return "Sign-in refused", "You or the provider did not allow the access. The program that you came from says more."
	case Failed:
		return "Sign-in failed", "The provider answered, but the sign-in could not be completed. The program that you came from says why."
	default:
		return "No sign-in waits here", "It may have ended already, or this page was opened by something else. " +
			"To sign in, start again from the program that you came from."
	}
}

//go:embed page.html
var pageMarkup string

// pages are the bytes that are served. They are made before the first request,
// so nothing of a request can get into them.
type pages [outcomes]page

type page struct {
	body   []byte
	policy string // Content-Security-Policy
}

func newPages(own func(Outcome) []byte) *pages {
	made := new(pages)
	for i := range made {
		outcome := Outcome(i)
		if own != nil {
			if body := own(outcome); body != nil {
				made[i] = page{bytes.Clone(body), policy("style-src 'unsafe-inline'; img-src data:")}
				continue
			}
		}
		body := builtIn(outcome)
		made[i] = page{[]byte(body), policy("style-src '" + styleHash(body) + "'")}
	}
	return made
}

// builtIn fills the page in. Not with html/template: the linker would have to keep
// every exported method in the program, since a template may name any of them.
func builtIn(outcome Outcome) string {
	title, text := outcome.text()
	class := "bad"
	if outcome == SignedIn {
		class = "good"
	}
	return strings.NewReplacer(
		"{{class}}", class, "{{title}}", html.EscapeString(title), "{{text}}", html.EscapeString(text),
	).Replace(pageMarkup)
}

// policy allows what a page needs and nothing else (Content Security Policy
// Level 3).
func policy(needs string) string {
	return "default-src 'none'; " + needs + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// styleHash allows the one style element of a page: CSP Level 3, section 2.3.1.
func styleHash(body string) string {
	_, rest, _ := strings.Cut(body, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// write serves the page of an outcome.
func (p *pages) write(w http.ResponseWriter, status int, o Outcome) {
	p.header(w.Header(), o)
	w.WriteHeader(status)
	_, _ = w.Write(p[o].body) // who has gone away needs no page
}

// send is write on a connection that nobody else answers. It is the last answer
// there.
func (p *pages) send(w io.Writer, status int, o Outcome) error {
	answer := &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Close: true,
		ContentLength: int64(len(p[o].body)), Body: io.NopCloser(bytes.NewReader(p[o].body)),
	}
	p.header(answer.Header, o)
	answer.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat)) // RFC 9110, section 6.6.1
	var whole bytes.Buffer
	if err := answer.Write(&whole); err != nil {
		return err
	}
	_, err := w.Write(whole.Bytes())
	return err
}

// header sets the headers of a page.
func (p *pages) header(h http.Header, o Outcome) {
	p.secure(h, o)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(p[o].body)))
}

// redirect sends the browser to a path. 303 makes it a GET whatever brought it
// here (RFC 9110, section 15.4.4).
func (p *pages) redirect(w http.ResponseWriter, path string) {
	p.secure(w.Header(), Unknown)
	w.Header().Set("Location", path)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusSeeOther)
}

// secure sets the headers that every answer has.
func (p *pages) secure(h http.Header, o Outcome) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address of a callback holds a code
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", p[o].policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
