package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"

	"github.com/oauth-login/oauth-login/store"
)

// What people read goes to standard error, in one voice: lower case, no full
// stop at the end of a line that starts with the name of the program, and after
// every error a hint that says what to do next. Standard output carries data
// and nothing else.

// say prints a text of ours. What is put into it may come from a server, so it
// can neither start a line nor fill the screen. With --events, nobody reads it.
func (p *program) say(format string, args ...any) {
	if p.events != nil {
		return
	}
	for i, arg := range args {
		switch arg := arg.(type) {
		case string:
			args[i] = printable(arg)
		case address:
			args[i] = printableUpTo(longestAddress, string(arg))
		case error:
			args[i] = printable(arg.Error())
		}
	}
	fmt.Fprintln(p.err, p.styled(wrap(fmt.Sprintf(format, args...), p.columns())))
}

// screen is the terminal where people read standard error, nil where that leads
// elsewhere.
func (p *program) screen() *os.File { return screenAt(p.err) }

// screenAt is the same for another stream.
func screenAt(stream io.Writer) *os.File {
	if file, ok := stream.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return file
	}
	return nil
}

// columns is how long a line of text may be, 0 where nobody reads it at a
// terminal.
func (p *program) columns() int { return columnsAt(p.err) }

// columnsAt is the same for another stream.
func columnsAt(stream io.Writer) int {
	const most = 80
	terminal := screenAt(stream)
	if terminal == nil {
		return 0
	}
	if width, _, err := term.GetSize(int(terminal.Fd())); err == nil && width > 0 {
		return min(width, most)
	}
	return most
}

func (p *program) warning(format string, args ...any) {
	p.emit(event{Event: "warning", Message: fmt.Sprintf(format, args...)})
	p.say("oauth-login: warning: "+format, args...)
}

func (p *program) hint(text string) {
	p.emit(event{Event: "hint", Message: text})
	p.say("hint: %s", text)
}

// promptTimeout is how long the keychain may wait for the person to type a
// password: as good as not at all, unless one sits at a terminal.
func promptTimeout(streams ...*os.File) time.Duration {
	for _, stream := range streams {
		if term.IsTerminal(int(stream.Fd())) {
			return time.Minute
		}
	}
	return 3 * time.Second
}

// keychainIsSlow explains a wait that the person may be able to end.
func (p *program) keychainIsSlow(name string) {
	p.say("Waiting for the keychain (%s); look for a window that asks for a password", name)
}

// othersAreSlow explains a wait for another process.
func (p *program) othersAreSlow(login bool) {
	if login {
		p.say("Waiting for another oauth-login that is signing in; finish the login that it has begun")
		return
	}
	p.say("Waiting for another oauth-login that changes the same login")
}

// wasDamaged tells of a login that was replaced because nobody could read it.
func (p *program) wasDamaged(place store.Place) func(*store.DamagedError) {
	return func(e *store.DamagedError) {
		p.warning("what was stored before could not be read: %s", e.Reason)
		if e.Copy != "" {
			p.hint("a copy is kept in the " + p.storeName(place) + " as " + e.Copy + ", until 'oauth-login logout'")
		}
	}
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
	p.emitError(f)
	p.say("oauth-login: error: %s", f.text)
	p.say("hint: %s", strings.Join(f.hints, "; or "))
	if !asJSON {
		return
	}
	report := failureJSON{tokenJSON: f.token}
	report.Error.Code, report.Error.Name = f.code, f.name
	report.Error.Message, report.Error.Hints = printable(f.text), f.hints
	p.printJSON(report)
}

type failureJSON struct {
	*tokenJSON // of an unsavedToken
	Error      struct {
		Code    int      `json:"code"` // the exit code
		Name    string   `json:"name"`
		Message string   `json:"message"`
		Hints   []string `json:"hints"`
	} `json:"error"`
}

// printable keeps texts from servers from moving the cursor, changing colours,
// reordering what is read, or looking like a line of ours.
func printable(s string) string { return printableUpTo(4096, s) }

// An address is of use only in one piece. One with a signed request in it may be
// long (RFC 9101, section 5.1).
type address string

const longestAddress = 256 << 10 // bytes

// printableUpTo keeps the screen from being filled, too.
func printableUpTo(longest int, s string) string {
	if len(s) > longest {
		s = s[:longest] + "..."
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }
