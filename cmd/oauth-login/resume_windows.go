package main

// whenResumed: Windows does not stop processes from the keyboard.
func whenResumed(func()) (stop func()) { return func() {} }

func hide(int) {}
