package grant

import (
	"net/http"
	"strings"
)

// A Challenge is one challenge of a WWW-Authenticate header (RFC 9110, section
// 11.6.1). A challenge has either parameters or a token68, never both. All its
// texts come from the server and may hold anything.
type Challenge struct {
	// Scheme is the authentication scheme in lower case, such as "bearer" (RFC
	// 6750, section 3) or "dpop" (RFC 9449, section 7.1).
	Scheme string
	// Parameters are the auth-params, their names in lower case: realm, scope,
	// error, error_description, error_uri, algs (RFC 9449, section 5.1),
	// resource_metadata (RFC 9728, section 5.1). Where a name is repeated, the
	// last one counts. The map is empty, and not nil, when there are none.
	Parameters map[string]string
	// Token68 is the credential-like text that some schemes use instead.
	Token68 string
}

// ParseChallenges returns the challenges of the WWW-Authenticate headers among
// the headers of a response, in their order: RFC 9110, section 11.6.1. It returns
// nil when there are none, and also when they are malformed anywhere, so that
// such a header never hides the error that the body may hold.
//
// Several header lines are one list, and the commas between parameters are
// optional, as some servers forget them. Look at the challenges of a response
// with the status 401 or 403; gateways add the header to good answers too.
func ParseChallenges(header http.Header) []Challenge {
	// Several header lines are one list (RFC 9110, section 5.3).
	p := challengeParser{rest: strings.Join(header.Values("WWW-Authenticate"), ", ")}
	var challenges []Challenge
	for {
		p.skip(" \t,")
		if p.rest == "" {
			return challenges
		}
		c, ok := p.challenge()
		if !ok {
			return nil
		}
		challenges = append(challenges, c)
	}
}

type challengeParser struct{ rest string }

func (p *challengeParser) skip(chars string) { p.rest = strings.TrimLeft(p.rest, chars) }

func (p *challengeParser) challenge() (c Challenge, ok bool) {
	scheme := p.take(isTokenChar)
	if scheme == "" {
		return c, false
	}
	c = Challenge{Scheme: lowerASCII(scheme), Parameters: map[string]string{}}
	switch {
	case p.rest == "":
		return c, true
	case p.rest[0] == ',':
		// A bare scheme; a list that ends in the comma names nothing after it.
		return c, strings.Trim(p.rest, " \t,") != ""
	case p.rest[0] != ' ' && p.rest[0] != '\t':
		return c, false
	}
	return p.parameters(c)
}

// parameters reads auth-params, or one token68, until the next challenge.
func (p *challengeParser) parameters(c Challenge) (Challenge, bool) {
	for {
		p.skip(" \t,")
		if p.rest == "" {
			return c, true
		}
		start := p.rest
		if name, value, ok := p.parameter(); ok {
			c.Parameters[lowerASCII(name)] = value
			continue
		}
		p.rest = start
		token := p.token68()
		switch {
		case token == "" || (p.rest != "" && !strings.ContainsRune(" \t,", rune(p.rest[0]))):
			return c, false
		case len(c.Parameters) > 0:
			p.rest = start // the scheme of the next challenge
		default:
			c.Token68 = token
		}
		return c, true
	}
}

// parameter reads token "=" ( token / quoted-string ), with blanks around the
// sign (RFC 9110, section 11.2).
func (p *challengeParser) parameter() (name, value string, ok bool) {
	name = p.take(isTokenChar)
	p.skip(" \t")
	if name == "" || !strings.HasPrefix(p.rest, "=") {
		return "", "", false
	}
	p.rest = p.rest[1:]
	p.skip(" \t")
	if strings.HasPrefix(p.rest, `"`) {
		value, ok = p.quoted()
		return name, value, ok
	}
	value = p.take(isTokenChar)
	return name, value, value != ""
}

// quoted reads a quoted-string and undoes its quoted-pairs (RFC 9110, section
// 5.6.4).
func (p *challengeParser) quoted() (string, bool) {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '"':
			p.rest = p.rest[i+1:]
			return b.String(), true
		case '\\':
			if i++; i == len(p.rest) {
				return "", false
			}
		}
		b.WriteByte(p.rest[i])
	}
	return "", false
}

func (p *challengeParser) token68() string {
	text := p.take(func(c byte) bool { return isAlphanumeric(c) || strings.IndexByte("-._~+/", c) >= 0 })
	for range 2 {
		if text != "" && strings.HasPrefix(p.rest, "=") {
			text += "="
			p.rest = p.rest[1:]
		}
	}
	return text
}

func (p *challengeParser) take(accept func(byte) bool) string {
	i := 0
	for i < len(p.rest) && accept(p.rest[i]) {
		i++
	}
	taken := p.rest[:i]
	p.rest = p.rest[i:]
	return taken
}

// isToken is token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r > '~' || !isTokenChar(byte(r)) }) < 0
}

// isTokenChar is tchar of RFC 9110, section 5.6.2.
func isTokenChar(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// lowerASCII leaves other letters alone: the Kelvin sign is no "k".
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
