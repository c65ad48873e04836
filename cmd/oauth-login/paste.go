package main

import (
	"context"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/oauth-login/oauth-login/grant"
)

// A browser on another machine cannot come back here, and shows an address that
// does not answer. The person may paste that address into the terminal while the
// listener waits. It holds a code, so it is not shown, and goes nowhere but into
// the checks.

// maxPaste is how much of a line is kept, in bytes. No answer is as long.
const maxPaste = 64 << 10

// restOfPaste is how long a terminal may take between two parts of a paste.
const restOfPaste = 20 * time.Millisecond

// paste returns what reads addresses from the terminal, nil where nobody sits at
// one or no address will have the answer.
func (p *program) paste(o *options, client *grant.Client) func(context.Context, func(string) error) {
	in, ok := p.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || o.clientSecretFile == "-" || strings.HasPrefix(client.ResponseMode, "form_post") {
		return nil
	}
	return func(ctx context.Context, submit func(string) error) {
		p.asking.Add(1)
		defer p.asking.Done()
		p.readPastes(ctx, in, submit)
	}
}

// readPastes ends with ctx, or with an address that is the answer. Then the
// terminal is as it was, and what is left of the paste is gone: a shell would
// take it for a command.
func (p *program) readPastes(ctx context.Context, in *os.File, submit func(string) error) {
	keys, err := openKeyboard(ctx, in)
	if err != nil {
		return // a job in the background, say; there is the browser
	}
	defer keys.close()
	var typing line
	buffer := make([]byte, 4096)
	for {
		n, err := keys.read(ctx, buffer)
		if err != nil {
			return
		}
		for _, address := range typing.add(buffer[:n]) {
			if err := submit(address); err == nil {
				keys.discard(restOfPaste)
				return
			} else if ctx.Err() == nil {
				p.pasteRefused(err)
			}
		}
	}
}

// pasteRefused explains what is wrong with what was pasted.
func (p *program) pasteRefused(err error) {
	p.emit(event{Event: "paste_refused", Message: err.Error()})
	p.say("oauth-login: warning: %v", err)
}

// A line is what was typed since the last Enter, without the terminal's help.
type line struct{ text []byte }

// add returns the lines that are complete.
func (l *line) add(typed []byte) (lines []string) {
	for _, c := range typed {
		switch {
		case c == '\r' || c == '\n':
			lines = append(lines, string(l.text))
			l.text = nil
		case c == '\b' || c == 0x7f: // backspace
			l.text = l.text[:max(0, len(l.text)-1)]
		case c == 0x15: // Ctrl-U
			l.text = nil
		case c >= ' ' && len(l.text) < maxPaste:
			l.text = append(l.text, c)
		}
	}
	return lines
}
