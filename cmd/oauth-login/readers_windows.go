package main

import "io/fs"

// othersRead: who can read a file is in its access list, which the folders of a
// user keep others out with. Nothing is checked.
func othersRead(fs.FileInfo) bool { return false }
