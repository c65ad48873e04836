package main

import (
	"slices"
	"strings"
	"unicode"
)

// wrap breaks lines between words. Longer words, such as addresses, stay in one
// piece, and so do commands: they are there to be copied, and half of one would run
// as well.
func wrap(text string, columns int) string {
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		indent := strings.Repeat(" ", max(2, leading(line))) // of what belongs to the line above
		for columns > 0 && columnsOf(line) > columns {
			end := lineBreak(line, columns)
			if end == 0 {
				break
			}
			b.WriteString(line[:end] + "\n")
			line = indent + line[end+1:]
		}
		b.WriteString(line + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// lineBreak is where the last space of a line is that fits, or else the first one; 0
// if there is none.
func lineBreak(line string, columns int) (end int) {
	for i := leading(line); i < len(line); i++ {
		if i = max(i, pieceEnd(line, i)); i == len(line) {
			break
		}
		if line[i] != ' ' {
			continue
		}
		if end > 0 && columnsOf(line[:i]) > columns {
			break
		}
		end = i
	}
	return end
}

// leading counts the spaces that a line begins with, or the columns of the number that a
// step has.
func leading(line string) int {
	if len(line) > 3 && '1' <= line[0] && line[0] <= '9' && line[1:3] == ". " {
		return 3
	}
	return len(line) - len(strings.TrimLeft(line, " "))
}

// pieceEnd is where a command ends that begins here, 0 if none does: at the quote that
// it is in, or before what is said after it.
func pieceEnd(line string, begin int) int {
	const longest = 60 // of a quote that may be no command
	rest := line[begin:]
	if rest[0] == '\'' && (begin == 0 || strings.IndexByte(" (", line[begin-1]) >= 0) {
		length := strings.IndexByte(rest[1:], '\'')
		if length >= 0 && (length <= longest || strings.HasPrefix(rest[1:], "oauth-login ")) {
			return begin + 1 + length
		}
	}
	words, found := strings.CutPrefix(rest, "oauth-login ")
	if !found {
		return 0
	}
	word, _, _ := strings.Cut(words, " ")
	isVerb := func(group helpGroup) bool { return slices.Contains(group.names, strings.TrimRight(word, ",;.")) }
	if strings.HasPrefix(word, "-") || slices.ContainsFunc(verbGroups, isVerb) {
		return begin + commandLength(rest)
	}
	return 0 // it is spoken of
}

// commandLength is how much of a text is the command that it begins with: up to a comma
// or a semicolon that is not in quotes and ends a word.
func commandLength(text string) int {
	quoted := false
	for i := range len(text) - 1 {
		if text[i] == '\'' {
			quoted = !quoted
		}
		if !quoted && text[i+1] == ' ' && (text[i] == ',' || text[i] == ';') {
			return i
		}
	}
	return len(text)
}

// columnsOf is how many columns of a terminal a text takes.
func columnsOf(text string) (columns int) {
	for _, r := range text {
		switch {
		case r < 0x300: // the usual case
			columns++
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf): // stand on the letter before, or nowhere
		case unicode.Is(wide, r):
			columns += 2
		default:
			columns++
		}
	}
	return columns
}

// wide are the characters that terminals show as wide as two (Unicode Standard Annex
// #11: W and F), block by block.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, // the first letters of Hangul syllables
		{Lo: 0x2e80, Hi: 0x303e, Stride: 1}, // radicals, and punctuation of Chinese, Japanese and Korean
		{Lo: 0x3041, Hi: 0xa4cf, Stride: 1}, // kana, ideographs, Yi
		{Lo: 0xa960, Hi: 0xa97f, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, // Hangul
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
		{Lo: 0xff00, Hi: 0xff60, Stride: 1}, // Latin as wide as ideographs
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, // pictures
		{Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1},
		{Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1},
		{Lo: 0x20000, Hi: 0x3fffd, Stride: 1}, // more ideographs
	},
}
