package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
)

// keepCopy looks at what a login is about to replace. What cannot be read is
// copied first: perhaps somebody can make something of it. The copy is the record
// as it is, or quoted as Go would where it is not printable ASCII.
func (s *Source) keepCopy(ctx context.Context) (*DamagedError, error) {
	data, err := s.store().Load(ctx, s.key())
	if err == nil {
		_, err = s.decode(data)
	}
	damage, ok := errors.AsType[*DamagedError](err)
	switch {
	case err == nil || errors.Is(err, ErrNotFound):
		return nil, nil
	case !ok:
		return nil, err
	case len(data) == 0: // nothing is there, or nothing that the store can hand out
		return damage, nil
	}
	if !printableASCII(data) {
		data = []byte(strconv.QuoteToASCII(string(data)))
		data = data[:min(len(data), recordMax)]
	}
	key := copyKey(s.key())
	if err := insist(ctx, func() error { return s.store().Save(ctx, key, data) }); err != nil {
		return nil, err
	}
	return &DamagedError{Reason: damage.Reason, Copy: key}, nil
}

// copyKey is where the copy of a damaged record is kept. No login has this key.
func copyKey(key string) string {
	sum := sha256.Sum256([]byte("oauth-login/1\ndamaged\n" + key))
	return hex.EncodeToString(sum[:16])
}
