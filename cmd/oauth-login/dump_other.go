//go:build !linux

package main

// keepFromDumps is for Linux. Elsewhere, a Go program leaves a core only where
// GOTRACEBACK=crash asks for one.
func keepFromDumps() {}
