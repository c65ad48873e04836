package main

import (
	"net/http"
	"testing"
)

// TestProxyThatIsNone: nothing goes past a proxy whose address cannot be read, but what
// stays on this machine.
func TestProxyThatIsNone(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://ada:pa55%zz@proxy.example:3128")
	for address, ok := range map[string]bool{
		"https://issuer.example/token": false,
		"https://localhost:8443/token": true,
		"https://127.0.0.1:8443/token": true,
		"https://[::1]:8443/token":     true,
		"http://127.0.0.1:8080/token":  true,
	} {
		req, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkPassedOver(req.URL); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	t.Setenv("HTTPS_PROXY", "proxy.example:3128") // is taken for one of http
	req, err := http.NewRequest(http.MethodGet, "https://issuer.example/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkPassedOver(req.URL); err != nil {
		t.Error(err)
	}
}
