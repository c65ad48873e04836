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
		{"   a step that is more", 12, "   a step\n   that is\n   more"},
		{"1. a step that is more", 12, "1. a step\n   that is\n   more"},
		{"äöü äöü äöü", 11, "äöü äöü äöü"},
		{"first line\n\nand then a second\n", 12, "first line\n\nand then a\n  second\n"},
		{"hint: sign in: oauth-login --issuer x --client-id y", 20, "hint: sign in:\n  oauth-login --issuer x --client-id y"},
		{"hint: 'oauth-login login --help' shows the flags", 20, "hint:\n  'oauth-login login --help'\n  shows the flags"},
		{"hint: oauth-login --issuer x --client-id y, or else", 40, "hint:\n  oauth-login --issuer x --client-id y,\n  or else"},
		{"hint: oauth-login --issuer 'x, y; z' --all; or else", 40, "hint:\n  oauth-login --issuer 'x, y; z' --all;\n  or else"},
		{"hint: run 'gnome-keyring-daemon --unlock' there", 30, "hint: run\n  'gnome-keyring-daemon --unlock'\n  there"},
		{"a 'quote that never ends and is of a server", 12, "a 'quote\n  that never\n  ends and\n  is of a\n  server"},
		{"this user's files, and those users' files", 24, "this user's files, and\n  those users' files"},
		{"an oauth-login that is waited for", 20, "an oauth-login that\n  is waited for"},
		{"did you mean 'oauth-login token'? 'oauth-login --help' says", 50, "did you mean 'oauth-login token'?\n  'oauth-login --help' says"},
		{"as 田中太郎 (田中) at", 16, "as 田中太郎\n  (田中) at"},
		{"e\u0301e\u0301e\u0301 e\u0301e\u0301e\u0301", 7, "e\u0301e\u0301e\u0301 e\u0301e\u0301e\u0301"},
		{"not at a terminal, so it stays in one piece", 0, "not at a terminal, so it stays in one piece"},
	}
	for _, test := range tests {
		if got := wrap(test.text, test.columns); got != test.want {
			t.Errorf("wrap(%q, %d) is\n%q, want\n%q", test.text, test.columns, got, test.want)
		}
	}
}

func TestColumnsOf(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "ada": 3, "é": 1, "e\u0301": 1, "田中": 4, "한글": 4, "カナ": 4, "ｶﾅ": 2, "ＡＢ": 4, "🙂": 2, "Ω—…": 3, "a\u200bb": 2,
	} {
		if got := columnsOf(text); got != want {
			t.Errorf("%q takes %d columns, want %d", text, got, want)
		}
	}
}
