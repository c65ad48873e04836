package issuer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"
)

const (
	proofTTL = time.Minute     // how far the time of a proof may be from ours
	nonceTTL = 5 * time.Minute // how long a nonce is taken
)

// checkProof checks the DPoP proof of a request and returns the thumbprint of its key: "" for a request without one.
// The request came to a server at origin. accessToken is the token that goes with it, "" at the token endpoint (RFC
// 9449, section 4.3; the numbers are its).
func (i *Issuer) checkProof(r *http.Request, origin, accessToken string) (jkt string, failure *oauthError) {
	headers := r.Header.Values("DPoP")
	if len(headers) == 0 {
		return "", nil
	}
	if len(headers) > 1 {
		return "", invalidProof("there is more than one proof") // 1
	}
	proof, ok := parseJWS(headers[0])
	if !ok || proof.header["typ"] != "dpop+jwt" { // 2, 4
		return "", invalidProof("the proof is malformed")
	}
	jwk, _ := proof.header["jwk"].(map[string]any)
	public, thumbprint, ok := publicKey(jwk)
	if !ok || !proof.signedBy(public) { // 5, 6, 7
		return "", invalidProof("the proof is not signed with the key in it")
	}
	now, iat := i.opts.Now(), proof.time("iat")
	switch {
	case proof.text("htm") != r.Method, proof.text("htu") != origin+r.URL.EscapedPath(): // 8, 9
		return "", invalidProof("the proof is for another request")
	case i.opts.DPoPNonce && !i.nonces.good(proof.text("nonce"), now): // 10, section 8
		return "", &oauthError{code: "use_dpop_nonce", description: "the proof needs the nonce of the issuer"}
	case iat.Before(now.Add(-proofTTL)) || iat.After(now.Add(proofTTL)): // 11
		return "", invalidProof("the proof is too old or from the future")
	case accessToken != "" && proof.text("ath") != hashOf(accessToken): // 12
		return "", invalidProof("the proof is for another token")
	case !i.proofs.use(proof.text("jti"), now, iat.Add(2*proofTTL)): // section 11.1
		return "", invalidProof("the proof was used before, or has no jti")
	}
	return thumbprint, nil
}

func invalidProof(description string) *oauthError {
	return &oauthError{code: "invalid_dpop_proof", description: description}
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// offerNonce sends the nonce for the next proof, whatever the answer is (RFC 9449, section 8.2).
func (i *Issuer) offerNonce(w http.ResponseWriter) {
	if i.opts.DPoPNonce {
		w.Header().Set("DPoP-Nonce", i.nonces.fresh(i.opts.Now()))
	}
}

// nonceKey makes nonces that can be told from others without remembering them: the time and a code that authenticates it.
type nonceKey string

func (k nonceKey) fresh(now time.Time) string {
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(now.Unix()))
	mac := hmac.New(sha256.New, []byte(k))
	mac.Write(at[:])
	return base64.RawURLEncoding.EncodeToString(mac.Sum(at[:]))
}

func (k nonceKey) good(nonce string, now time.Time) bool {
	data, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(data) < 8 {
		return false
	}
	at := time.Unix(int64(binary.BigEndian.Uint64(data)), 0)
	return sameSecret(nonce, k.fresh(at)) && now.Sub(at) < nonceTTL
}

// refuseDPoP sends the challenge of RFC 9449, section 7.1.
func refuseDPoP(w http.ResponseWriter, code string) {
	w.Header().Set("WWW-Authenticate", `DPoP error="`+code+`", algs="`+strings.Join(algsSupported[:], " ")+`"`)
	w.WriteHeader(http.StatusUnauthorized)
}
