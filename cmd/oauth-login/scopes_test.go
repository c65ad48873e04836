package main

import (
	"slices"
	"strings"
	"testing"
)

func TestMissingScopes(t *testing.T) {
	tests := []struct{ asked, granted, want string }{
		{"openid email offline_access", "", "email"},
		{"openid email", "email", ""},
		{"repo gist", "gist repo", ""},
		{"repo gist", "repo user", "gist"},
		{"openid email profile", "openid https://www.googleapis.com/auth/userinfo.email", "profile"},
		{"User.Read Mail.Read", "https://graph.microsoft.com/User.Read", "Mail.Read"},
		{"api://app/.default", "api://app/read", ""},
		{"api://app/.default", "api://application/read", "api://app/.default"},
		{"read", "write/read", "read"},
		{"a", "b/a", "a"},
	}
	for _, test := range tests {
		got := missingScopes(strings.Fields(test.asked), strings.Fields(test.granted))
		if !slices.Equal(got, strings.Fields(test.want)) {
			t.Errorf("of %q, with %q granted, %q is missing", test.asked, test.granted, got)
		}
	}
}
