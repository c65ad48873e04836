package main

import "testing"

// TestFindingsStandInColumns: at a terminal, what is found and what helps stand below
// their beginnings.
func TestFindingsStandInColumns(t *testing.T) {
	f := finding{State: findingProblem, Name: "keychain", Text: "the service is not there: nobody has started it", Fix: "start it, then run the command again"}
	for columns, want := range map[int]string{
		0: "problem  keychain  the service is not there: nobody has started it\n" +
			"         fix: start it, then run the command again",
		40: "problem  keychain  the service is not\n" +
			"                   there: nobody has\n" +
			"                   started it\n" +
			"         fix: start it, then run the\n" +
			"         command again",
	} {
		if got := f.lines(columns); got != want {
			t.Errorf("%d columns:\n%s\nwant\n%s", columns, got, want)
		}
	}
}
