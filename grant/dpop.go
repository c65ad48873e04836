package grant

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A DPoP is a private key that tokens are bound to, with the nonces that servers
// have given for it (RFC 9449). Whoever steals such a token cannot use it without
// the key. Make one with NewDPoP or GenerateDPoP, one for each login; Client does
// so with DPoPBoundAccessTokens. Token carries it.
//
// A DPoP is safe for concurrent use. Do not copy it.
type DPoP struct {
	signer     *signer
	jwk        json.RawMessage // the public key, as it stands in every proof
	thumbprint string
	skew       time.Duration // added to this machine's clock
	nonces     nonceCache
}

// NewDPoP returns a handle for a private key (RFC 9449, section 4), which is RSA
// with 2048 bits or more, P-256, P-384, P-521 or Ed25519. It may live in a device,
// but then the tokens that are bound to it cannot be stored.
//
// algs are the algorithms that the server takes, as in
// AuthorizationServer.DPoPSigningAlgValuesSupported; without any, the usual one of
// the key is used. A key that can do none of them leads to ErrArgument.
func NewDPoP(key crypto.Signer, algs ...string) (*DPoP, error) {
	signer, err := newSigner(key, "", algs)
	if err != nil {
		return nil, err
	}
	return newDPoP(signer)
}

// GenerateDPoP returns a handle with a new key (RFC 9449, section 5), for ES256
// or, where algs has others only, the first of EdDSA, ES384, ES512, PS256 and
// RS256 that is among them. Where there is none, the error is ErrArgument.
func GenerateDPoP(algs ...string) (*DPoP, error) {
	alg := dpopAlgorithm(algs)
	if alg == "" {
		return nil, argumentError("no key can be made for the algorithms %v", algs)
	}
	key, err := generateKey(alg)
	if err != nil {
		return nil, err
	}
	return newDPoP(&signer{alg: alg, key: func() crypto.Signer { return key }})
}

func newDPoP(signer *signer) (*DPoP, error) {
	public := publicJWK(signer.key())
	jwk, err := public.MarshalJSON()
	if err != nil {
		return nil, err
	}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return &DPoP{signer: signer, jwk: jwk, thumbprint: base64.RawURLEncoding.EncodeToString(thumbprint)}, nil
}

// newDPoP makes the key of a login, nil where there is none. A server that lists
// no algorithms (RFC 9449, section 5.1) may know DPoP all the same.
func (c *Client) newDPoP(as *AuthorizationServer) (*DPoP, error) {
	if !c.usesDPoP(as) {
		return nil, nil
	}
	algs := c.algs(as.DPoPSigningAlgValuesSupported)
	if dpopAlgorithm(algs) == "" {
		return nil, &CheckError{Check: checkMetadataDPoP, Code: codeUnsupported,
			Reason: "the server takes DPoP proofs with unknown algorithms only", Expected: "ES256", Actual: fmt.Sprint(as.DPoPSigningAlgValuesSupported)}
	}
	dpop, err := GenerateDPoP(algs...)
	if err != nil {
		return nil, err
	}
	dpop.skew = c.ClockSkew
	return dpop, nil
}

// dpopAlgorithm chooses the algorithm of a new key, "" for none.
func dpopAlgorithm(offered []string) string {
	for _, alg := range []string{"ES256", "EdDSA", "Ed25519", "ES384", "ES512", "PS256", "RS256"} {
		if offered == nil || slices.Contains(offered, alg) {
			return alg
		}
	}
	return ""
}

func generateKey(alg string) (crypto.Signer, error) {
	switch alg {
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA", "Ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return rsa.GenerateKey(rand.Reader, minRSAKeySize)
}

// Thumbprint names the public key: its SHA-256 thumbprint in base64url (RFC 7638,
// section 3), as in dpop_jkt (RFC 9449, section 10) and the jkt of a token.
func (d *DPoP) Thumbprint() string {
	if d == nil {
		return ""
	}
	return d.thumbprint
}

// Format prints the thumbprint for every verb. The key has no printed form.
func (d *DPoP) Format(f fmt.State, _ rune) { io.WriteString(f, "dpop "+d.Thumbprint()) }

// LogValue returns the thumbprint.
func (d *DPoP) LogValue() slog.Value { return slog.StringValue("dpop " + d.Thumbprint()) }

// MarshalText returns the thumbprint.
func (d *DPoP) MarshalText() ([]byte, error) { return []byte("dpop " + d.Thumbprint()), nil }

func (d *DPoP) assert() error {
	if d == nil || d.signer == nil {
		return argumentError("the DPoP handle does not come from NewDPoP or GenerateDPoP")
	}
	return nil
}

// now is the time in seconds, by the clock that the client of the login trusts.
func (d *DPoP) now() float64 { return unixNow() + d.skew.Seconds() }

// proof makes the DPoP proof of one request (RFC 9449, section 4.2), with the
// last nonce of the server. accessToken is the one that goes with it, "" for none.
func (d *DPoP) proof(method string, u *url.URL, accessToken Secret, now float64) (string, error) {
	if err := d.assert(); err != nil {
		return "", err
	}
	htu, err := htu(u)
	if err != nil {
		return "", err
	}
	if method == "" {
		method = http.MethodGet
	}
	claims := map[string]any{"jti": randomValue(), "htm": strings.ToUpper(method), "htu": htu, "iat": int64(math.Floor(now))}
	if nonce := d.nonces.get(origin(u)); nonce != "" {
		claims["nonce"] = nonce // section 8
	}
	if accessToken != "" {
		sum := sha256.Sum256([]byte(accessToken))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	proof, err := d.signer.sign(map[string]any{"typ": "dpop+jwt", "jwk": d.jwk}, claims)
	if err != nil {
		return "", fmt.Errorf("the DPoP proof: %w", err)
	}
	return proof, nil
}

// learn takes the nonce of a response, whatever its status (RFC 9449, sections
// 8.2 and 9).
func (d *DPoP) learn(u *url.URL, header http.Header) {
	if nonce := header.Get("DPoP-Nonce"); d.assert() == nil && isNonce(nonce) {
		d.nonces.put(origin(u), nonce)
	}
}

// isNonce is the syntax of RFC 9449, section 8.1.
func isNonce(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c < '!' || c > '~' || c == '"' || c == '\\' })
}

// htu is the URL of a request without query and fragment (RFC 9449, section 4.2),
// in the form that the URL Standard gives it, as servers compare that: the host in
// lower case, no port that goes without saying, no dot segments, no empty path.
func htu(u *url.URL) (string, error) {
	host := lowerASCII(u.Hostname())
	if host == "" || u.Opaque != "" || strings.ContainsFunc(host, func(c rune) bool { return c > '~' }) {
		return "", argumentError("a DPoP proof needs an absolute URL with an ASCII host; write an international name as xn--")
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && port != defaultPorts[u.Scheme] {
		host += ":" + port
	}
	return u.Scheme + "://" + host + withoutDotSegments(u.EscapedPath()), nil
}

// withoutDotSegments is the path state of the URL Standard, where %2e is a dot.
func withoutDotSegments(path string) string {
	var kept []string
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, segment := range segments {
		dots := strings.ReplaceAll(lowerASCII(segment), "%2e", ".")
		switch {
		case dots != "." && dots != "..":
			kept = append(kept, segment)
			continue
		case dots == "..":
			kept = kept[:max(0, len(kept)-1)]
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

// storedDPoP is the form of a DPoP in a store. The nonces are not worth it.
type storedDPoP struct {
	Key       json.RawMessage `json:"jwk"`
	ClockSkew time.Duration   `json:"clock_skew,omitzero"` // nanoseconds
}

// store returns the private key, nil for none.
func (d *DPoP) store() (*storedDPoP, error) {
	if d == nil {
		return nil, nil
	}
	if err := d.assert(); err != nil {
		return nil, err
	}
	jwk := jose.JSONWebKey{Key: d.signer.key(), Algorithm: d.signer.alg}
	key, err := jwk.MarshalJSON()
	if err != nil {
		return nil, argumentError("the DPoP key cannot be stored, as it does not leave its device")
	}
	return &storedDPoP{Key: key, ClockSkew: d.skew}, nil
}

// dpop reads what store returned.
func (s *storedDPoP) dpop() (*DPoP, error) {
	if s == nil {
		return nil, nil
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(s.Key); err != nil {
		return nil, argumentError("the DPoP key is unreadable") // the cause may quote it
	}
	key, ok := jwk.Key.(crypto.Signer)
	if !ok {
		return nil, argumentError("the DPoP key is not a private key")
	}
	signer, err := newSigner(key, jwk.Algorithm, nil)
	if err != nil {
		return nil, err
	}
	d, err := newDPoP(signer)
	if err != nil {
		return nil, err
	}
	d.skew = s.ClockSkew
	return d, nil
}
