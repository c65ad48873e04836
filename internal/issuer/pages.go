package issuer

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

//go:embed pages.tmpl
var pagesTemplate string

//go:embed pages.css
var pagesStyle string

// frame is what all pages have.
type frame struct {
	Title string
}

// Style returns the style sheet of all pages.
func (frame) Style() template.CSS { return template.CSS(pagesStyle) }

// messageView is a page without a form.
type messageView struct {
	frame
	Text string
}

// parsePages returns the templates and the source expression that allows their style sheet.
func parsePages() (*template.Template, string, error) {
	pages, err := template.New("pages").Parse(pagesTemplate)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256([]byte(pagesStyle))
	return pages, "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'", nil
}

// refuse shows why a request cannot be answered.
func (i *Issuer) refuse(w http.ResponseWriter, problem string) {
	i.say(w, http.StatusBadRequest, "This does not work", problem)
}

func (i *Issuer) say(w http.ResponseWriter, status int, title, text string) {
	i.render(w, status, "message", &messageView{frame{title}, text})
}

// render sends a page. The forms on it may be sent to the issuer, and may from there be redirected to the targets:
// Chromium applies form-action to every hop.
func (i *Issuer) render(w http.ResponseWriter, status int, name string, view any, targets ...string) {
	var page bytes.Buffer
	if err := i.pages.ExecuteTemplate(&page, name, view); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	formAction := "'self'"
	for _, target := range targets {
		if target != "" {
			formAction += " " + sourceExpression(target)
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src "+i.csp+"; form-action "+formAction+
		"; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // a browser that has gone away is not our error
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
