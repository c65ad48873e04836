package grant_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

// TestSignatureLength: an ECDSA signature is two numbers of one length each (RFC
// 7518, section 3.4). The same numbers, written otherwise, are no signature.
func TestSignatureLength(t *testing.T) {
	for name, change := range map[string]struct {
		to   func(signature []byte) []byte
		want string
	}{
		"as it is":              {func(s []byte) []byte { return s }, "ok"},
		"a zero between":        {func(s []byte) []byte { return slices.Insert(s, 32, 0) }, wrongSig},
		"a zero before":         {func(s []byte) []byte { return slices.Insert(s, 0, 0) }, wrongSig},
		"a zero after":          {func(s []byte) []byte { return append(s, 0) }, wrongSig},
		"zeros before both":     {func(s []byte) []byte { return slices.Insert(slices.Insert(s, 32, 0), 0, 0) }, wrongSig},
		"the first number":      {func(s []byte) []byte { return s[:32] }, wrongSig},
		"less than that":        {func(s []byte) []byte { return s[:31] }, wrongSig},
		"nothing":               {func([]byte) []byte { return nil }, wrongSig},
		"the numbers exchanged": {func(s []byte) []byte { return append(slices.Clone(s[32:]), s[:32]...) }, wrongSig},
	} {
		t.Run(name, func(t *testing.T) {
			p, client := newOIDC()
			flow, err := client.Authorize(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			token := mint("ES256", idClaims(members{"nonce": query(t, flow).Get("nonce")}))
			dot := strings.LastIndex(token, ".") + 1
			signature, err := base64.RawURLEncoding.DecodeString(token[dot:])
			if err != nil {
				t.Fatal(err)
			}
			p.token = always(200, tokenBody(token[:dot]+b64(change.to(signature))))
			_, err = flow.Exchange(t.Context(), redirectOf(t, flow))
			wantOutcome(t, err, change.want)
		})
	}
}
