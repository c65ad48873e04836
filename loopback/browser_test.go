package loopback

import (
	"strings"
	"testing"
)

func TestCheckOpenable(t *testing.T) {
	good := []string{
		"https://issuer.example", "https://issuer.example:8443/a?b=c%20d", `https://issuer.example/?a="&b='^`,
		"http://127.0.0.1:8080/authorize", "http://localhost/a", "http://[::1]:1/a", "http://127.9.9.9/", "HTTPS://issuer.example",
	}
	for _, u := range good {
		if err := checkOpenable(u); err != nil {
			t.Errorf("%s is refused: %v", u, err)
		}
	}
	bad := []string{
		"", "http://issuer.example", "http://127.0.0.1.example", "http://localhost.example", "http://0.0.0.0/", "file:///etc/passwd",
		"javascript:alert(1)", "data:text/html,x", "ms-settings:", "--version", "-x", "/etc/passwd", "https:", "https://", "https:///a",
		"https:issuer.example", "https://issuer.example/\na", "https://issuer.example/ a", "https://issuer.example/\x00",
		"https://issuer.example/\x1b[2J", "https://issuer.example/\u202e", "https://issuer.example/\xff", "https://issuer.example/%zz",
		`https://issuer.example\@evil.example`, "https://issuer.example@evil.example/", " https://issuer.example",
		"https://user:secret@issuer.example/",
	}
	for _, u := range bad {
		err := checkOpenable(u)
		if err == nil {
			t.Errorf("%q is not refused", u)
		} else if u != "" && strings.Contains(err.Error(), u) {
			t.Errorf("the error quotes the URL: %v", err)
		}
	}
}
