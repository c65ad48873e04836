package issuer

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
)

//go:embed pages.css
var pagesStyle string

// A view is what stands on a page below its title.
type view interface {
	title() string
	write(m *markup)
}

// markup is a page in the making. It stands in for html/template, with which the linker has to keep every exported method
// in the program, since a template may name any of them.
type markup struct{ strings.Builder }

// add writes text in which each %s stands for a value, between tags or in double quotes. Values are escaped.
func (m *markup) add(text string, values ...string) {
	escaped := make([]any, len(values))
	for n, value := range values {
		escaped[n] = html.EscapeString(value)
	}
	fmt.Fprintf(m, text, escaped...)
}

// problem says what is wrong with what was typed in; invalid returns the attributes of the field that it belongs to.
func (m *markup) problem(text string) (invalid string) {
	if text == "" {
		return ""
	}
	m.add(`<p class="problem" id="problem" role="alert">%s</p>
`, text)
	return ` aria-invalid="true" aria-describedby="problem"`
}

// document returns the whole page.
func document(v view) string {
	var m markup
	m.WriteString(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
`)
	m.add("<title>%s</title>\n", v.title())
	m.WriteString("<style>" + pagesStyle + "</style>\n</head>\n<body>\n<main>\n")
	m.add("<h1>%s</h1>\n", v.title())
	v.write(&m)
	m.WriteString("</main>\n</body>\n</html>\n")
	return m.String()
}

// messageView is a page without a form.
type messageView struct{ Title, Text string }

func (v messageView) title() string { return v.Title }

func (v messageView) write(m *markup) { m.add("<p>%s</p>\n", v.Text) }

// stylePolicy is the source expression that allows the style sheet of all pages.
func stylePolicy() string {
	sum := sha256.Sum256([]byte(pagesStyle))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// refuse shows why a request cannot be answered.
func (i *Issuer) refuse(w http.ResponseWriter, problem string) {
	i.say(w, http.StatusBadRequest, "This does not work", problem)
}

func (i *Issuer) say(w http.ResponseWriter, status int, title, text string) {
	i.render(w, status, messageView{title, text})
}

// render sends a page. The forms on it may be sent to the issuer, and may from there be redirected to the targets:
// Chromium applies form-action to every hop.
func (i *Issuer) render(w http.ResponseWriter, status int, v view, targets ...string) {
	formAction := "'self'"
	for _, target := range targets {
		if target != "" {
			formAction += " " + sourceExpression(target)
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src "+stylePolicy()+"; form-action "+formAction+
		"; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(document(v))) // a browser that has gone away is not our error
}

// sourceExpression names the origin of a registered redirect URI in a content security policy. An IPv6 address and an
// application's own scheme cannot be named there, so the whole scheme is (CSP Level 3, section 2.3.1).
func sourceExpression(uri string) string {
	u, err := url.Parse(uri)
	if err != nil { // it was parsed when the client was registered
		return "'none'"
	}
	if u.Host == "" || strings.HasPrefix(u.Host, "[") {
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}
