package main

import "testing"

func TestExpectUser(t *testing.T) {
	const address = "ada@example.com"
	for _, test := range []struct {
		claims accountClaims
		name   string
		want   bool
	}{
		{accountClaims{Email: address, Verified: true}, address, true},
		{accountClaims{Email: address, Verified: "true"}, address, true}, // as Amazon Cognito has it (2024)
		{accountClaims{Email: address, Verified: false}, address, false},
		{accountClaims{Email: address}, address, false},
		{accountClaims{Email: address, Verified: "yes"}, address, false},
		{accountClaims{Email: "bob@example.com", Verified: true, Username: address}, address, false},
		{accountClaims{Username: address}, address, false},
		{accountClaims{Username: "ada"}, "ada", true},
		{accountClaims{Username: "ada"}, "Ada", false},
		{accountClaims{Name: "ada"}, "ada", false},
	} {
		if got := test.claims.proves(test.name); got != test.want {
			t.Errorf("%+v, %s: %v", test.claims, test.name, got)
		}
	}
}
