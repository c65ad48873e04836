package main

import "testing"

func TestWrap(t *testing.T) {
	const address = "https://issuer.example/a/long/address"
	tests := []struct {
		text    string
		columns int
		want    string
	}{
		{"", 20, ""},
		{"short", 20, "short"},
		{"exactly twenty chars", 20, "exactly twenty chars"},
		{"exactly twenty-one ch", 20, "exactly twenty-one\n  ch"},
		{"one two three four five six seven", 12, "one two\n  three four\n  five six\n  seven"},
		{"hint: see " + address + " there", 20, "hint: see\n  " + address + "\n  there"},
		{address, 20, address},
		{"   a step that is more", 12, "   a step\n  that is\n  more"},
		{"äöü äöü äöü", 11, "äöü äöü äöü"},
		{"first line\n\nand then a second\n", 12, "first line\n\nand then a\n  second\n"},
		{"hint: sign in: oauth-login --issuer x --client-id y", 20, "hint: sign in:\n  oauth-login --issuer x --client-id y"},
		{"not at a terminal, so it stays in one piece", 0, "not at a terminal, so it stays in one piece"},
	}
	for _, test := range tests {
		if got := wrap(test.text, test.columns); got != test.want {
			t.Errorf("wrap(%q, %d) is\n%q, want\n%q", test.text, test.columns, got, test.want)
		}
	}
}
