package grant

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzParseObject: an object is what encoding/json reads from the same bytes, and
// so are its strings and arrays of strings.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { } `, `{"a":1}`, "\xef\xbb\xbf{\"a\":\"b\"}", "\t{\r\n\"a\" : [ 1 , {\"b\":[]} ] ,\"c\":null\n}\n", `{"a":1,"a":2}`,
		`{"a":"x\"}","b":"\\"}`, `{"\u0061":"\ud800","b\\":"\n"}`, `{"a":-1.5e+9,"b":true,"c":false}`, `{"a":"]","b":["}",["]"]]}`,
		`{"s":["a", "b\t" ,"\""],"e":[ ],"n":["a",1]}`, `[]`, `"a"`, `1`, `null`, ``, ` `, `{`, `{"a"}`, `{"a":1}x`, "{\"a\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseObject(data)
		plain := bytes.TrimPrefix(data, byteOrderMark)
		var want map[string]json.RawMessage
		if !utf8.Valid(plain) || json.Unmarshal(plain, &want) != nil || want == nil {
			if err == nil {
				t.Fatalf("%q is an object", data)
			}
			return
		}
		if err != nil || len(got) != len(want) {
			t.Fatalf("%q: %d members, want %d: %v", data, len(got), len(want), err)
		}
		for name, value := range want {
			if !bytes.Equal(got[name], value) {
				t.Errorf("%q: %q is %q, want %q", data, name, got[name], value)
			}
			compareStrings(t, got, name, value)
		}
	})
}

func compareStrings(t *testing.T, o object, name string, value json.RawMessage) {
	var one *string
	isString := json.Unmarshal(value, &one) == nil && one != nil
	if s, ok := o.str(name); ok != isString || ok && s != *one {
		t.Errorf("%q is the string %q, %v", value, s, ok)
	}
	var several []*string
	areStrings := json.Unmarshal(value, &several) == nil && several != nil
	for _, s := range several {
		areStrings = areStrings && s != nil
	}
	values, ok := o.strs(name)
	if ok != areStrings || ok && len(values) != len(several) {
		t.Fatalf("%q are the strings %q, %v", value, values, ok)
	}
	for n := range values {
		if values[n] != *several[n] {
			t.Errorf("%q has %q", value, values[n])
		}
	}
}
