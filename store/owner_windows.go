package store

import "io/fs"

// checkOwner accepts everything: a mode means nothing here. What protects the
// files is the access list that they inherit from the user's profile directory:
// this user, the administrators and the system.
func checkOwner(string, fs.FileInfo) error { return nil }

func checkWriters(string, fs.FileInfo) error { return nil }

func checkKeyOwner(string, fs.FileInfo) error { return nil }
