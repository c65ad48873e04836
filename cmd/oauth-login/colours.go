package main

import (
	"runtime"
	"strings"
)

// Colours are few, and only for people: an error and a warning stand out, a hint
// stands back. Files, pipes and --events get none.

const (
	bold     = "\x1b[1m"
	dim      = "\x1b[2m"
	noColour = "\x1b[0m"
)

// styled is a text as the terminal shows it best.
func (p *program) styled(text string) string {
	if p.screen() == nil || !p.knowsColours() {
		return text
	}
	for _, style := range []struct{ before, word, look string }{
		{"oauth-login: ", "error:", bold}, {"oauth-login: ", "warning:", bold}, {"", "hint:", dim},
	} {
		if rest, found := strings.CutPrefix(text, style.before+style.word); found {
			return style.before + style.look + style.word + noColour + rest
		}
	}
	return text
}

// knowsColours reports whether the terminal does, and the person wants them
// (no-color.org).
func (p *program) knowsColours() bool {
	if p.has("NO_COLOR") {
		return false
	}
	if runtime.GOOS == "windows" {
		return p.has("WT_SESSION") // older consoles take them only when told so
	}
	return p.has("TERM") && p.getenv("TERM") != "dumb"
}
