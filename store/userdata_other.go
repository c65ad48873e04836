//go:build !unix && !windows

package store

import "errors"

func userData() (string, error) { return "", errors.ErrUnsupported }
