package grant

import (
	"cmp"
	"context"
	"crypto"
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"time"
)

// An IDToken is an ID token that was verified (OpenID Connect Core 1.0, section
// 3.1.3.7). Issuer and Subject together name the person for good; the other
// claims may change.
type IDToken struct {
	// Raw is the token as it came.
	Raw Secret
	// Issuer, Subject and Audience are iss, sub and aud.
	Issuer, Subject string
	Audience        []string
	// Expiry, IssuedAt and AuthTime are exp, iat and auth_time; AuthTime is the
	// zero time when the token has none.
	Expiry, IssuedAt, AuthTime time.Time

	payload *payload
}

// payload is the second part of a token, behind a pointer, so that fmt does not
// spell it out as a list of bytes.
type payload struct{ json []byte }

// Claims decodes the claims of the token (OpenID Connect Core 1.0, sections 2 and
// 5.1) into v, as encoding/json does.
func (t *IDToken) Claims(v any) error {
	if t == nil || t.payload == nil {
		return argumentError("there is no verified ID token")
	}
	return json.Unmarshal(t.payload.json, v)
}

// Format prints a placeholder for every verb: the claims are about a person.
func (IDToken) Format(f fmt.State, _ rune) { io.WriteString(f, "id_token "+redacted) }

// LogValue returns a placeholder.
func (IDToken) LogValue() slog.Value { return slog.StringValue("id_token " + redacted) }

func newIDToken(raw string, t *jwt) *IDToken {
	token := &IDToken{Raw: Secret(raw), payload: &payload{t.payload}}
	token.Issuer, _ = t.claims.str("iss")
	token.Subject, _ = t.claims.str("sub")
	token.Audience = audience(t.claims)
	token.Expiry = claimTime(t.claims, "exp")
	token.IssuedAt = claimTime(t.claims, "iat")
	token.AuthTime = claimTime(t.claims, "auth_time")
	return token
}

func claimTime(claims object, name string) time.Time {
	seconds, ok := claims.number(name)
	if !ok || math.Abs(seconds) > 1<<40 {
		return time.Time{}
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC()
}

// idTokenChecks are the expectations that depend on the grant.
type idTokenChecks struct {
	requireAuthTime bool
	maxAge          *int // seconds
	checkNonce      bool // false on refresh, where a nonce is optional
	nonce           string
}

// verifyIDToken checks the claims, which costs nothing, and then the
// signature, which may cost a request for the keys.
func (p *tokenProcessor) verifyIDToken(ctx context.Context, raw string, accessToken Secret) (*IDToken, error) {
	t, err := parseJWT(kindIDToken, raw, func(t *jwt) error {
		return cmp.Or(p.checkAlg(t), checkCrit(t))
	})
	if err != nil {
		return nil, err
	}
	c := idTokenChecker{newClaimChecker(p.as, p.client, t), p.idToken}
	for _, check := range []func() error{
		c.required, c.exp, c.iat, c.nbf, c.iss, c.sub, c.aud, c.azp, c.authTime, c.maxAge, c.nonce,
		func() error { return c.atHash(accessToken) },
	} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	if err := p.verifySignature(ctx, t); err != nil {
		return nil, err
	}
	return newIDToken(raw, t), nil
}

// checkAlg: OpenID Connect Core 1.0, section 3.1.3.7, numbers 7 and 8.
func (p *tokenProcessor) checkAlg(t *jwt) error {
	if t.alg == hs256.alg && p.client.verifiesHS256() {
		return nil
	}
	return checkAlg(t, p.client.IDTokenSignedResponseAlg, p.client.algs(p.as.IDTokenSigningAlgValuesSupported), "RS256")
}

func (p *tokenProcessor) verifySignature(ctx context.Context, t *jwt) error {
	if t.alg != hs256.alg {
		return p.keys.verify(ctx, p.as, p.client, t)
	}
	if !hmac.Equal(t.signature, hs256.sum(p.client.ClientSecret, []byte(t.signingInput))) {
		return &CheckError{Check: t.kind.check("signature"), Code: codeInvalidResponse, Reason: "the signature of the " + t.kind.String() + " is wrong"}
	}
	return nil
}

// verifiesHS256 reports whether ID tokens are authenticated with the client's own
// secret. The client has to say so: when the server's list did, a secret that is
// no secret could forge them. "A key of the same size as the hash output ... or
// larger MUST be used" (RFC 7518, section 3.2), as whoever sees a token could try
// out shorter ones.
func (c *Client) verifiesHS256() bool {
	return c.IDTokenSignedResponseAlg == hs256.alg && len(c.ClientSecret) >= hs256.hash.Size()
}

// signedIDToken reports whether a login brings an ID token that needs the issuer's
// keys.
func (c *Client) signedIDToken(asked asked) bool {
	return asked.openID() && c.IDTokenSignedResponseAlg != hs256.alg
}

func (c *Client) checkHS256() error {
	if c.IDTokenSignedResponseAlg == hs256.alg && !c.verifiesHS256() {
		return argumentError("ID tokens with HS256 need a client secret of at least %d bytes", hs256.hash.Size())
	}
	return nil
}

// An idTokenChecker applies OpenID Connect Core 1.0, section 3.1.3.7. Numbers
// 2, 3, 9 and 10 are those of every token.
type idTokenChecker struct {
	claimChecker
	want idTokenChecks
}

// required: OpenID Connect Core 1.0, section 2.
func (c *idTokenChecker) required() error {
	names := []string{"aud", "exp", "iat", "iss", "sub"}
	if c.want.requireAuthTime {
		names = append(names, "auth_time")
	}
	if c.want.nonce != "" {
		names = append(names, "nonce")
	}
	return c.claimChecker.required(names...)
}

// sub: section 2, a string that is never empty.
func (c *idTokenChecker) sub() error {
	if sub, ok := c.jwt.claims.str("sub"); !ok || sub == "" {
		return &CheckError{Check: checkIDTokenSub, Code: codeInvalidResponse, Reason: "the claim is not a string with something in it"}
	}
	return nil
}

// azp: numbers 4 and 5. A token for several audiences has to name us as the
// party that it was issued to.
func (c *idTokenChecker) azp() error {
	aud := audience(c.jwt.claims)
	if len(aud) == 1 {
		return nil
	}
	if !c.jwt.claims.has("azp") {
		return &CheckError{Check: checkIDTokenAud, Code: codeClaimComparison,
			Reason: "the ID token has several audiences and no azp", Expected: c.client.ClientID, Actual: fmt.Sprint(aud)}
	}
	if azp, _ := c.jwt.claims.str("azp"); azp != c.client.ClientID {
		return &CheckError{Check: checkIDTokenAzp, Code: codeClaimComparison,
			Reason: "the ID token was issued to another client", Expected: c.client.ClientID, Actual: azp}
	}
	return nil
}

// authTime: section 2.
func (c *idTokenChecker) authTime() error {
	if !c.jwt.claims.has("auth_time") {
		return nil
	}
	if authTime, ok := c.jwt.claims.number("auth_time"); !ok || authTime < 0 {
		return c.notNumber("auth_time")
	}
	return nil
}

// maxAge: number 13.
func (c *idTokenChecker) maxAge() error {
	if c.want.maxAge == nil {
		return nil
	}
	authTime, _ := c.jwt.claims.number("auth_time")
	if authTime+float64(*c.want.maxAge) < c.now-c.client.tolerance() {
		return c.timestampError("auth_time", "the person signed in longer ago than max_age allows", authTime)
	}
	return nil
}

// nonce: number 11. A nonce that nobody sent is as wrong as another one.
func (c *idTokenChecker) nonce() error {
	if !c.want.checkNonce || (c.want.nonce == "" && !c.jwt.claims.has("nonce")) {
		return nil
	}
	nonce, ok := c.jwt.claims.str("nonce")
	if !ok || c.want.nonce == "" || !equal(nonce, c.want.nonce) {
		return &CheckError{Check: checkIDTokenNonce, Code: codeClaimComparison,
			Reason: "the ID token does not have the nonce of this login"}
	}
	return nil
}

// atHash: section 3.1.3.8. The claim is optional in the code flow, and has to
// be right where it is present.
func (c *idTokenChecker) atHash(accessToken Secret) error {
	if !c.jwt.claims.has("at_hash") {
		return nil
	}
	atHash, _ := c.jwt.claims.str("at_hash")
	if !equal(atHash, halfHash(c.jwt.hash(), string(accessToken))) {
		return &CheckError{Check: checkIDTokenHash, Code: codeClaimComparison,
			Reason: "the access token is not the one that the ID token speaks of"}
	}
	return nil
}

// halfHash is the left half of a hash in base64url.
func halfHash(hash crypto.Hash, s string) string {
	h := hash.New()
	h.Write([]byte(s))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:hash.Size()/2])
}
