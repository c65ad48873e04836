package main

import (
	"strings"
	"testing"
)

// TestHelperFlagsThatMislead: what would answer nobody, or say more than a name, is
// refused.
func TestHelperFlagsThatMislead(t *testing.T) {
	for _, test := range []struct{ flag, value, says string }{
		{"--for-host", "*", "the name of a host"},
		{"--for-host", "*.example", "the name of a host"},
		{"--for-host", "git.example:", "the name of a host"},
		{"--username", "ada\npassword=x", "--username wants a name on one line"},
		{"--username", "ada\x00", "--username wants a name on one line"},
	} {
		p := newTestProgram(t)
		p.in = strings.NewReader("protocol=https\nhost=git.example\n\n")
		code := p.run(t.Context(), []string{"git-credential", "get", "--issuer", "https://issuer.example", "--for-host", "git.example", test.flag, test.value})
		if code != exitUsage || !strings.Contains(p.stderr.String(), test.says) {
			t.Errorf("%s %q: exit code %d\n%s", test.flag, test.value, code, p.stderr)
		}
	}
}
