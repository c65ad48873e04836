package grant

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
)

// An object is a JSON object whose members are looked up by their exact names.
// Decoding into a struct would match names in any case and take null for a
// missing member.
type object map[string]json.RawMessage

var byteOrderMark = []byte("\xef\xbb\xbf") // some servers send one

var (
	errNotObject = errors.New("it is not a JSON object")
	errNotUTF8   = errors.New("it is not valid UTF-8")
)

func parseObject(data []byte) (object, error) {
	data = bytes.TrimPrefix(data, byteOrderMark)
	if !utf8.Valid(data) {
		return nil, errNotUTF8
	}
	if !json.Valid(data) {
		return nil, errors.New("it is not valid JSON")
	}
	data = bytes.Trim(data, whiteSpace)
	if data[0] != '{' {
		return nil, errNotObject
	}
	o := make(object, min(bytes.Count(data, []byte{':'}), 32)) // about as many as there are
	for rest := skipSpace(data[1:]); rest[0] != '}'; {
		var name, value json.RawMessage
		name, rest = cutValue(rest)
		value, rest = cutValue(skipSpace(skipSpace(rest)[1:])) // after the colon
		key, _ := text(name)
		o[key] = value // of two with one name, the last one counts, as in encoding/json
		rest = skipComma(rest)
	}
	return o, nil
}

const whiteSpace = " \t\r\n" // RFC 8259, section 2

func skipSpace(data []byte) []byte { return bytes.TrimLeft(data, whiteSpace) }

func skipComma(data []byte) []byte {
	if data = skipSpace(data); data[0] == ',' {
		data = skipSpace(data[1:])
	}
	return data
}

// cutValue cuts the first value off JSON that is known to be valid. The value is a
// part of data, not a copy.
func cutValue(data []byte) (value json.RawMessage, rest []byte) {
	depth, end := 0, 0
	for {
		switch data[end] {
		case '"':
			end += stringLen(data[end:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if end++; depth == 0 && (end == len(data) || isEnd(data[0], data[end])) {
			return json.RawMessage(data[:end:end]), data[end:]
		}
	}
}

// isEnd reports whether a value that begins with one byte has ended before another.
// A number, true, false and null go on until something else comes.
func isEnd(first, next byte) bool {
	return first == '"' || first == '{' || first == '[' || bytes.IndexByte([]byte(whiteSpace+",:]}"), next) >= 0
}

// stringLen returns the length of the string at the start of data, quotes included.
func stringLen(data []byte) int {
	for n := 1; ; n++ {
		switch data[n] {
		case '\\':
			n++
		case '"':
			return n + 1
		}
	}
}

// text decodes a string; ok is false for another value. Few of them have escapes.
func text(raw json.RawMessage) (value string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1]), true
	}
	return unescaped(raw)
}

// unescaped is apart from text, where its variable would cost an allocation each time.
func unescaped(raw json.RawMessage) (value string, ok bool) {
	err := json.Unmarshal(raw, &value)
	return value, err == nil
}

// str returns a member that has to be a string. ok is false for another type,
// null included; the caller checks presence first where that matters.
func (o object) str(name string) (value string, ok bool) {
	return text(o[name])
}

// number returns a member that has to be a finite JSON number.
func (o object) number(name string) (value float64, ok bool) {
	raw := o[name]
	if len(raw) == 0 || (raw[0] != '-' && (raw[0] < '0' || raw[0] > '9')) {
		return 0, false
	}
	value, err := strconv.ParseFloat(string(raw), 64)
	return value, err == nil
}

// strs returns a member that has to be an array of strings.
func (o object) strs(name string) (values []string, ok bool) {
	raw := o[name]
	if len(raw) == 0 || raw[0] != '[' {
		return nil, false
	}
	values = make([]string, 0, 1)
	for rest := skipSpace(raw[1:]); rest[0] != ']'; {
		var item json.RawMessage
		item, rest = cutValue(rest)
		value, ok := text(item)
		if !ok {
			return nil, false
		}
		values, rest = append(values, value), skipComma(rest)
	}
	return values, true
}

func (o object) has(name string) bool { return o[name] != nil }

// decode fills the fields that members of metadata are bound to. It returns the
// names of members that were present with a wrong type.
func (o object) decode(fields map[string]any) (wrongType map[string]bool) {
	wrongType = map[string]bool{}
	for name, field := range fields {
		if o.has(name) && !o.member(name, field) {
			wrongType[name] = true
		}
	}
	return wrongType
}

// member decodes one member of metadata into a field; false for a wrong type.
func (o object) member(name string, field any) (ok bool) {
	switch field := field.(type) {
	case *string:
		*field, ok = o.str(name)
	case *[]string:
		*field, ok = o.strs(name)
	case *bool:
		// Whatever is not plainly false asks for the stricter behaviour.
		raw := string(o[name])
		*field, ok = raw != "false" && raw != "null", true
	case **int:
		number, isNumber := o.number(name)
		if ok = isNumber && number == math.Trunc(number) && math.Abs(number) < 1<<31; ok {
			*field = new(int(number))
		}
	case *json.RawMessage:
		*field, ok = o[name], true
	case *map[string]string:
		aliases, err := parseObject(o[name])
		if ok = err == nil; !ok {
			return false
		}
		*field = map[string]string{}
		for alias := range aliases {
			(*field)[alias], _ = aliases.str(alias) // "" is refused when it is used
		}
	}
	return ok
}

// encodeMembers is the reverse of decode. Unset fields are left out.
func encodeMembers(fields map[string]any) map[string]any {
	doc := map[string]any{}
	for name, field := range fields {
		switch v := field.(type) {
		case *string:
			if *v != "" {
				doc[name] = *v
			}
		case *[]string:
			if *v != nil {
				doc[name] = *v
			}
		case *bool:
			if *v {
				doc[name] = true
			}
		case **int:
			if *v != nil {
				doc[name] = **v
			}
		case *json.RawMessage:
			if *v != nil {
				doc[name] = *v
			}
		case *map[string]string:
			if *v != nil {
				doc[name] = *v
			}
		}
	}
	return doc
}
