package grant

import (
	"errors"
	"slices"
	"sync"
)

// maxNonces is how many origins a DPoP remembers the nonce of.
const maxNonces = 100

// A nonceCache holds the last nonce of every origin (RFC 9449, section 8.2): an
// authorization server and an API have their own ones. The zero value is ready for
// use.
type nonceCache struct {
	mu      sync.Mutex
	entries []originNonce // the least recently used first
}

type originNonce struct{ origin, nonce string }

func (c *nonceCache) get(origin string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.index(origin)
	if i < 0 {
		return ""
	}
	entry := c.entries[i]
	c.entries = append(slices.Delete(c.entries, i, i+1), entry)
	return entry.nonce
}

func (c *nonceCache) put(origin, nonce string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.index(origin)
	if i < 0 && len(c.entries) == maxNonces {
		i = 0
	}
	if i >= 0 {
		c.entries = slices.Delete(c.entries, i, i+1)
	}
	c.entries = append(c.entries, originNonce{origin, nonce})
}

func (c *nonceCache) index(origin string) int {
	return slices.IndexFunc(c.entries, func(e originNonce) bool { return e.origin == origin })
}

const useDPoPNonce = "use_dpop_nonce"

// withNonce makes an attempt, and a second one if the server refused the first
// only because the proof had not its nonce, and sent that along: RFC 9449, section
// 8. Such a refusal uses up neither a code nor a refresh token. There is no third
// attempt, and none without a proof.
func withNonce[T any](d *DPoP, attempt func() (T, error)) (T, error) {
	result, err := attempt()
	if d != nil && wantsNonce(err) {
		return attempt()
	}
	return result, err
}

// wantsNonce takes the refusal's word for it: one challenge that says so and
// nothing else, or an error response.
func wantsNonce(err error) bool {
	refusal, ok := errors.AsType[*Error](err)
	switch {
	case !ok || !refusal.newNonce:
		return false
	case len(refusal.Challenges) > 0:
		return isNonceChallenge(refusal.Challenges)
	}
	return refusal.Code == useDPoPNonce // section 8
}

// isNonceChallenge: RFC 9449, section 9.
func isNonceChallenge(challenges []Challenge) bool {
	return len(challenges) == 1 && challenges[0].Scheme == "dpop" && challenges[0].Parameters["error"] == useDPoPNonce
}
