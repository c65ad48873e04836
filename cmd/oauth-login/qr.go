package main

import (
	"runtime"
	"strings"

	"golang.org/x/term"
	"rsc.io/qr"
)

// A QR code spares the person with a telephone from typing an address (RFC 8628,
// section 3.3.1). A camera wants dark on light with a margin, whatever the colours
// of the terminal are: so both colours are set, and there is none without colours.

const (
	quietZone = 4              // modules around the code: ISO/IEC 18004, section 6.3.8
	darkLight = "\x1b[30;107m" // black on bright white
)

// showQR draws an address, where the terminal is large enough for it and can draw.
func (p *program) showQR(address string) {
	terminal := p.screen()
	if terminal == nil || p.events != nil || !p.drawsBlocks() {
		return
	}
	width, height, err := term.GetSize(int(terminal.Fd()))
	if err != nil {
		return
	}
	code, err := qr.Encode(address, qr.L)
	if err != nil || code.Size+2*quietZone > width || (code.Size+2*quietZone+1)/2 > height {
		return
	}
	_, _ = terminal.WriteString(drawQR(code) + "\n") // the address above says the same
}

// drawsBlocks reports whether the terminal knows colours and half blocks.
func (p *program) drawsBlocks() bool {
	if !p.knowsColours() || runtime.GOOS == "windows" { // whose new terminal knows both
		return p.knowsColours()
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} { // in this order: POSIX, section 8.2
		if locale := strings.ToLower(p.getenv(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}

// drawQR draws two modules in each character, one above the other.
func drawQR(code *qr.Code) string {
	var b strings.Builder
	end := code.Size + quietZone
	for y := -quietZone; y < end; y += 2 {
		b.WriteString(darkLight)
		for x := -quietZone; x < end; x++ {
			b.WriteString(halfBlock(code.Black(x, y), code.Black(x, y+1)))
		}
		b.WriteString(noColour + "\n")
	}
	return b.String()
}

// halfBlock is a character with two modules, true for dark.
func halfBlock(upper, lower bool) string {
	switch {
	case upper && lower:
		return "█"
	case upper:
		return "▀"
	case lower:
		return "▄"
	}
	return " "
}
