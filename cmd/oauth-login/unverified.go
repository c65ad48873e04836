package main

import (
	"strings"

	"github.com/oauth-login/oauth-login/loopback"
)

// unverifiedJSON is an error that came without a state, in an event.
type unverifiedJSON struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

func unverifiedList(errs []loopback.Unverified) (list []unverifiedJSON) {
	for _, e := range errs {
		list = append(list, unverifiedJSON{e.Code, e.Description})
	}
	return list
}

// quoteUnverified quotes errors that came without a state, "" for none. They are
// what a person needs who waits for a provider that sends its errors so, and may
// be the words of any web page, which is said first.
func quoteUnverified(errs []loopback.Unverified) string {
	if len(errs) == 0 {
		return ""
	}
	var texts []string
	for _, e := range errs {
		text := e.Code
		if e.Description != "" {
			text += ": " + e.Description
		}
		texts = append(texts, `"`+text+`"`) // there is no quotation mark in it
	}
	return "(unverified, as any web page can send it) " + strings.Join(texts, " and ")
}
