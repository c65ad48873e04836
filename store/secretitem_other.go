//go:build !(linux || netbsd || openbsd || ((dragonfly || freebsd) && cgo))

package store

import "github.com/zalando/go-keyring"

func getItem(service, user string) (string, error) { return keyring.Get(service, user) }
