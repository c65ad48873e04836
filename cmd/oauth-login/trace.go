package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
)

// A trace is a record of all requests and answers, for a person who looks for what is
// wrong, and may be shown to others: it holds no secret. Each line begins with the
// number of the request that it belongs to, as several may be under way, and > for the
// request or < for its answer.
type trace struct {
	out  io.Writer
	hide *redactor

	mu       sync.Mutex
	requests int
	err      error // of the first line that could not be written
}

// traceMark begins a file that --trace has made.
const traceMark = "# oauth-login trace"

// traceTo opens the trace that --trace names.
func (p *program) traceTo(o *options, verb string) error {
	if o.trace == "" || p.trace != nil {
		return nil
	}
	t := &trace{out: p.err, hide: newRedactor()}
	if o.trace == "-" && p.events != nil {
		return usageError("--trace - does not go with --events, which has standard error for itself", "name a file with --trace")
	}
	if o.trace != "-" {
		file, err := openTrace(o.trace)
		if err != nil {
			return usageError("the trace cannot be written: "+err.Error(), "--trace names a new file, or one that it has made before")
		}
		t.out = file
	}
	p.trace = t
	t.write("", "%s of '%s', version %s %s/%s %s, %s", traceMark, verb, grant.Version, runtime.GOOS, runtime.GOARCH, runtime.Version(),
		time.Now().UTC().Format(time.RFC3339))
	t.write("", "# sha256: and hidden: stand for values that are not shown; equal ones are equal, those with hidden: in one run")
	return nil
}

// openTrace makes a file for this user alone, or opens one that it has made before. It
// follows no link, and never changes another file.
func openTrace(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil || !errors.Is(err, os.ErrExist) {
		return file, err
	}
	info, err := os.Lstat(name)
	switch {
	case err != nil:
		return nil, err
	case info.Mode()&os.ModeSymlink != 0:
		return nil, errors.New(name + " is a symbolic link")
	case !info.Mode().IsRegular():
		return nil, errors.New(name + " is not a file")
	}
	if file, err = os.OpenFile(name, os.O_RDWR|os.O_APPEND|noFollow, 0); err != nil {
		return nil, err
	}
	if err := checkTrace(name, file); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// checkTrace looks at the file that was opened, whatever is at its name by now.
func checkTrace(name string, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	start := make([]byte, len(traceMark))
	n, err := file.ReadAt(start, 0)
	switch {
	case !info.Mode().IsRegular():
		return errors.New(name + " is not a file")
	case n > 0 && string(start[:n]) != traceMark, n == 0 && !errors.Is(err, io.EOF):
		return errors.New(name + " is there already and is no trace")
	case !isOwn(info):
		return errors.New(name + " belongs to another user, or others can read it")
	}
	return nil
}

// close ends the trace. The person is told if some of it is missing.
func (t *trace) close() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if file, ok := t.out.(*os.File); ok && file != os.Stderr {
		return errors.Join(t.err, file.Close())
	}
	return t.err
}

// write writes lines at once, so that no other line comes between. Nothing in them can
// start a line of its own.
func (t *trace) write(prefix, format string, args ...any) {
	var b strings.Builder
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		b.WriteString(strings.TrimRight(prefix+printableUpTo(longestAddress, strings.TrimSuffix(line, "\n")), " ") + "\n")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := io.WriteString(t.out, b.String()); err != nil && t.err == nil {
		t.err = err
	}
}

// request writes a request that is about to be sent, and returns its number.
func (t *trace) request(req *http.Request, proxy *url.URL) int {
	t.mu.Lock()
	t.requests++
	number := t.requests
	t.mu.Unlock()
	text := time.Now().UTC().Format("15:04:05.000 ") + req.Method + " " + t.hide.address(req.URL.String()) + "\n"
	if proxy != nil {
		text += "through the proxy " + t.hide.address(proxy.String()) + "\n"
	}
	text += t.header(req.Header)
	if req.Body != nil && req.Body != http.NoBody {
		text += t.requestBody(req)
	}
	t.write(fmt.Sprintf("%d > ", number), "%s", text)
	return number
}

// requestBody reads a copy, as only the transport may read the body itself.
func (t *trace) requestBody(req *http.Request) string {
	if req.GetBody == nil {
		return "\n(a body that can be read only once)\n"
	}
	body, err := req.GetBody()
	if err != nil {
		return ""
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, maxTracedBody+1))
	if err != nil {
		return ""
	}
	return t.body(req.Header, data)
}

// answer writes an answer, with as much of the body as somebody has read.
func (t *trace) answer(number int, resp *http.Response, body []byte, header, whole time.Duration) {
	text := fmt.Sprintf("%d %s after %s", resp.StatusCode, http.StatusText(resp.StatusCode), milliseconds(header))
	if whole-header >= time.Millisecond {
		text += ", its body after " + milliseconds(whole)
	}
	t.write(fmt.Sprintf("%d < ", number), "%s", text+"\n"+t.header(resp.Header)+t.body(resp.Header, body))
}

func (t *trace) failure(number int, err error, after time.Duration) {
	t.write(fmt.Sprintf("%d < ", number), "no answer after %s: %s", milliseconds(after), t.hide.text(err.Error()))
}

// maxTracedBody is what is kept of a body, in bytes. No answer that is used is larger.
const maxTracedBody = 1 << 20

// body shows forms and JSON, and says of everything else what it is.
func (t *trace) body(header http.Header, data []byte) string {
	if len(data) == 0 {
		return ""
	}
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	switch {
	case len(data) > maxTracedBody:
		return fmt.Sprintf("\n(more than %d bytes)\n", maxTracedBody)
	case kind == "application/x-www-form-urlencoded":
		if pairs, ok := t.hide.pairs(string(data)); ok {
			return "\n" + strings.Join(pairs, "\n") + "\n"
		}
	}
	if text, ok := t.hide.json(data); ok {
		return "\n" + text + "\n"
	}
	name := "" // what is in it may be guessed
	if strings.HasSuffix(kind, "jwt") {
		name = "response"
	}
	return fmt.Sprintf("\n(%d bytes, %s)\n", len(data), t.hide.hide(name, string(data)))
}

// shownHeaders are those whose values are no secret.
const shownHeaders = `
	Accept Age Allow Cache-Control Connection Content-Encoding Content-Length Content-Type Date Etag Expires If-Modified-Since
	If-None-Match Last-Modified Pragma Referrer-Policy Retry-After Server Strict-Transport-Security User-Agent Vary Via
	X-Content-Type-Options X-Frame-Options
	Client-Request-Id Request-Id X-Correlation-Id X-Ms-Request-Id X-Okta-Request-Id X-Request-Id`

func (t *trace) header(header http.Header) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			b.WriteString(t.hide.name(name) + ": " + t.headerValue(name, value) + "\n")
		}
	}
	return b.String()
}

func (t *trace) headerValue(name, value string) string {
	switch {
	case isWord(shownHeaders, name):
		return t.hide.text(value)
	case name == "Location" || name == "Content-Location":
		return t.hide.address(value)
	case name == "Authorization" || name == "Proxy-Authorization":
		return t.hide.credentials(value)
	case name == "Www-Authenticate":
		return t.challenges(value)
	case name == "Dpop" || name == "Dpop-Nonce":
		return t.hide.hide("nonce", value)
	}
	return t.hide.hide("", value)
}

// challenges shows what a server has to say about a token that it does not take.
func (t *trace) challenges(value string) string {
	var list []string
	for _, challenge := range grant.ParseChallenges(http.Header{"Www-Authenticate": {value}}) {
		text := t.hide.name(challenge.Scheme)
		if challenge.Token68 != "" {
			text += " " + t.hide.hide("token", challenge.Token68)
		}
		for _, name := range slices.Sorted(maps.Keys(challenge.Parameters)) {
			shown := t.hide.value(name, challenge.Parameters[name])
			if name == "realm" || name == "algs" || name == "resource_metadata" {
				shown = t.hide.text(challenge.Parameters[name])
			}
			text += " " + t.hide.name(name) + "=" + quoted(shown)
		}
		list = append(list, text)
	}
	if list == nil {
		return t.hide.hide("", value)
	}
	return strings.Join(list, ", ")
}

// login writes what happens in the browser, as far as it is seen from here.
func (t *trace) login(e loopback.Event) {
	if t == nil {
		return
	}
	switch e.Kind {
	case loopback.AuthorizationURL:
		t.write("- ", "the page to sign in at: %s", t.hide.address(e.URL))
	case loopback.Ignored:
		t.write("- ", "ignored a request: %s", e.Reason)
	}
}

// redirect writes the redirect that has arrived.
func (t *trace) redirect(params url.Values) {
	t.write("- ", "the redirect that arrived: %s", "?"+t.hide.query(params.Encode()))
}

func milliseconds(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}
