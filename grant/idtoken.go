package grant

import (
	"cmp"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
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

// Claims decodes the claims of the token into v, as encoding/json does.
func (t *IDToken) Claims(v any) error {
	if t == nil || t.payload == nil {
		return argumentError("there is no verified ID token")
	}
	return json.Unmarshal(t.payload.json, v)
}

// Format prints a placeholder for every verb: the claims are about a person.
func (IDToken) Format(f fmt.State, _ rune) { io.WriteString(f, "id_token "+redacted) }

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

// audience returns aud, which is a string or an array of them.
func audience(claims object) []string {
	if single, ok := claims.str("aud"); ok {
		return []string{single}
	}
	list, _ := claims.strs("aud")
	return list
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
	t, err := parseJWT(raw, func(t *jwt) error {
		return cmp.Or(checkAlg(p.as, p.client, t), checkCrit(t))
	})
	if err != nil {
		return nil, err
	}
	c := claimChecker{as: p.as, client: p.client, want: p.idToken, jwt: t, now: p.client.now()}
	for _, check := range []func() error{
		c.required, c.exp, c.iat, c.nbf, c.iss, c.sub, c.aud, c.authTime, c.maxAge, c.nonce,
		func() error { return c.atHash(accessToken) },
	} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	if err := p.keys.verify(ctx, p.as, p.client, t); err != nil {
		return nil, err
	}
	return newIDToken(raw, t), nil
}

// checkAlg applies OpenID Connect Core 1.0, section 3.1.3.7, number 7. What the
// client registered wins over what the server lists; without both it is RS256. A
// token without a signature, or with one that the client could have made itself,
// is never accepted.
func checkAlg(as *AuthorizationServer, client *Client, t *jwt) error {
	var expected []string
	switch {
	case client.IDTokenSignedResponseAlg != "":
		expected = []string{client.IDTokenSignedResponseAlg}
	case as.IDTokenSigningAlgValuesSupported != nil:
		expected = as.IDTokenSigningAlgValuesSupported
	default:
		expected = []string{"RS256"}
	}
	if !slices.Contains(expected, t.alg) {
		return &CheckError{Check: checkJWTAlg, Code: codeInvalidResponse,
			Reason: "the ID token is signed with another algorithm than agreed", Expected: fmt.Sprint(expected), Actual: t.alg}
	}
	if _, known := algorithms[t.alg]; !known {
		return &CheckError{Check: checkJWTAlg, Code: codeUnsupported,
			Reason: "ID tokens with this algorithm are not accepted", Actual: t.alg}
	}
	return nil
}

// checkCrit refuses extensions that have to be understood (RFC 7515, section
// 4.1.11). We understand none.
func checkCrit(t *jwt) error {
	if t.header.has("crit") {
		return &CheckError{Check: checkJWTCrit, Code: codeUnsupported, Reason: "the header has crit, and no extension is supported"}
	}
	return nil
}

// A claimChecker applies OpenID Connect Core 1.0, section 3.1.3.7, whose
// numbers stand beside the checks.
type claimChecker struct {
	as     *AuthorizationServer
	client *Client
	want   idTokenChecks
	jwt    *jwt
	now    float64 // seconds since 1970, with the client's skew
}

// required: OpenID Connect Core 1.0, section 2.
func (c *claimChecker) required() error {
	names := []string{"aud", "exp", "iat", "iss", "sub"}
	if c.want.requireAuthTime {
		names = append(names, "auth_time")
	}
	if c.want.nonce != "" {
		names = append(names, "nonce")
	}
	for _, name := range names {
		if !c.jwt.claims.has(name) {
			return &CheckError{Check: "id_token." + name, Code: codeInvalidResponse, Reason: "the claim is missing"}
		}
	}
	return nil
}

// exp: number 9.
func (c *claimChecker) exp() error {
	exp, ok := c.jwt.claims.number("exp")
	if !ok {
		return notNumber(checkIDTokenExp)
	}
	if exp <= c.now-c.client.tolerance() {
		return c.timestampError(checkIDTokenExp, "the ID token has expired", exp)
	}
	return nil
}

// iat: number 10 leaves its range to the client, and a token that came over
// TLS in answer to our own request is as fresh as it gets.
func (c *claimChecker) iat() error {
	if _, ok := c.jwt.claims.number("iat"); !ok {
		return notNumber(checkIDTokenIat)
	}
	return nil
}

// nbf: RFC 7519, section 4.1.5.
func (c *claimChecker) nbf() error {
	if !c.jwt.claims.has("nbf") {
		return nil
	}
	nbf, ok := c.jwt.claims.number("nbf")
	if !ok {
		return notNumber(checkIDTokenNbf)
	}
	if nbf > c.now+c.client.tolerance() {
		return c.timestampError(checkIDTokenNbf, "the ID token is not valid yet", nbf)
	}
	return nil
}

// iss: number 2.
func (c *claimChecker) iss() error {
	iss, ok := c.jwt.claims.str("iss")
	if !ok {
		return &CheckError{Check: checkIDTokenISS, Code: codeInvalidResponse, Reason: "the claim is not a string"}
	}
	if iss != c.as.Issuer {
		return &CheckError{Check: checkIDTokenISS, Code: codeClaimComparison,
			Reason: "the ID token comes from another issuer", Expected: c.as.Issuer, Actual: iss}
	}
	return nil
}

// sub: section 2, a string that is never empty.
func (c *claimChecker) sub() error {
	if sub, ok := c.jwt.claims.str("sub"); !ok || sub == "" {
		return &CheckError{Check: checkIDTokenSub, Code: codeInvalidResponse, Reason: "the claim is not a string with something in it"}
	}
	return nil
}

// aud: numbers 3 to 5. A token for several audiences has to name us as the
// party that it was issued to.
func (c *claimChecker) aud() error {
	aud := audience(c.jwt.claims)
	if aud == nil {
		return &CheckError{Check: checkIDTokenAud, Code: codeInvalidResponse, Reason: "the claim is neither a string nor an array of strings"}
	}
	if !slices.Contains(aud, c.client.ClientID) {
		return &CheckError{Check: checkIDTokenAud, Code: codeClaimComparison,
			Reason: "the ID token is for another client", Expected: c.client.ClientID, Actual: fmt.Sprint(aud)}
	}
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
func (c *claimChecker) authTime() error {
	if !c.jwt.claims.has("auth_time") {
		return nil
	}
	if authTime, ok := c.jwt.claims.number("auth_time"); !ok || authTime < 0 {
		return notNumber(checkIDTokenAuth)
	}
	return nil
}

// maxAge: number 13.
func (c *claimChecker) maxAge() error {
	if c.want.maxAge == nil {
		return nil
	}
	authTime, _ := c.jwt.claims.number("auth_time")
	if authTime+float64(*c.want.maxAge) < c.now-c.client.tolerance() {
		return c.timestampError(checkIDTokenAuth, "the person signed in longer ago than max_age allows", authTime)
	}
	return nil
}

// nonce: number 11. A nonce that nobody sent is as wrong as another one.
func (c *claimChecker) nonce() error {
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

// atHash: section 3.1.3.8. The claim is optional in the code flow, and has to be right
// where it is present.
func (c *claimChecker) atHash(accessToken Secret) error {
	if !c.jwt.claims.has("at_hash") {
		return nil
	}
	atHash, _ := c.jwt.claims.str("at_hash")
	if !equal(atHash, halfHash(algorithms[c.jwt.alg].hash, string(accessToken))) {
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

func notNumber(check string) error {
	return &CheckError{Check: check, Code: codeInvalidResponse, Reason: "the claim is not a point in time"}
}

// timestampError says how far the clocks are apart, as a wrong clock is the
// usual reason.
func (c *claimChecker) timestampError(check, reason string, claim float64) error {
	return &CheckError{Check: check, Code: codeTimestamp,
		Reason: fmt.Sprintf("%s by %.9g s, where %.9g s are tolerated; is the clock of this machine right?",
			reason, math.Abs(c.now-claim), c.client.tolerance())}
}

// now is the time in whole seconds, by the clock that the client trusts.
func (c *Client) now() float64 {
	return math.Floor(float64(time.Now().UnixMilli())/1000) + c.ClockSkew.Seconds()
}

// tolerance is ClockTolerance in seconds.
func (c *Client) tolerance() float64 {
	return max(0, cmp.Or(c.ClockTolerance, defaultClockTolerance).Seconds())
}
