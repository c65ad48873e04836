package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// What people read goes to standard error, in one voice: lower case, no full
// stop at the end of a line that starts with the name of the program, and after
// every error a hint that says what to do next. Standard output carries data
// and nothing else.

func (p *program) say(format string, args ...any) {
	fmt.Fprintln(p.err, printable(fmt.Sprintf(format, args...)))
}

func (p *program) warning(format string, args ...any) {
	p.say("oauth-login: warning: "+format, args...)
}

func (p *program) hint(text string) { p.say("hint: %s", text) }

// keychainIsSlow explains a wait that the person may be able to end.
func (p *program) keychainIsSlow(name string) {
	p.say("Waiting for the keychain (%s); look for a window that asks for a password", name)
}

// detail is for --verbose.
func (p *program) detail(o *options, format string, args ...any) {
	if o.verbose {
		p.say("oauth-login: "+format, args...)
	}
}

func (p *program) printJSON(v any) error {
	encoder := json.NewEncoder(p.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

func (p *program) reportFailure(f failure, asJSON bool) {
	p.say("oauth-login: error: %s", f.text)
	for _, hint := range f.hints {
		p.hint(hint)
	}
	if !asJSON {
		return
	}
	report := failureJSON{}
	report.Error.Code, report.Error.Name = f.code, f.name
	report.Error.Message, report.Error.Hints = printable(f.text), f.hints
	p.printJSON(report)
}

type failureJSON struct {
	Error struct {
		Code    int      `json:"code"` // the exit code
		Name    string   `json:"name"`
		Message string   `json:"message"`
		Hints   []string `json:"hints"`
	} `json:"error"`
}

// printable keeps texts from servers from moving the cursor, changing colours
// or reordering what is read.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }
