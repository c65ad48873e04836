package grant

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// A claimChecker applies the rules that all tokens of an issuer have in common:
// RFC 7519, section 4.1.
type claimChecker struct {
	as     *AuthorizationServer
	client *Client
	jwt    *jwt
	now    float64 // seconds since 1970, with the client's skew
}

func newClaimChecker(as *AuthorizationServer, client *Client, t *jwt) claimChecker {
	return claimChecker{as: as, client: client, jwt: t, now: client.now()}
}

// required refuses a token without one of the claims, whose order decides which
// of several is reported.
func (c *claimChecker) required(names ...string) error {
	for _, name := range names {
		if !c.jwt.claims.has(name) {
			return c.refuse(name, codeInvalidResponse, "the claim is missing")
		}
	}
	return nil
}

// exp: RFC 7519, section 4.1.4.
func (c *claimChecker) exp() error {
	if !c.jwt.claims.has("exp") {
		return nil
	}
	exp, ok := c.jwt.claims.number("exp")
	if !ok {
		return c.notNumber("exp")
	}
	if exp <= c.now-c.client.tolerance() {
		return c.timestampError("exp", "the "+c.jwt.kind.String()+" has expired", exp)
	}
	return nil
}

// iat: RFC 7519, section 4.1.6. Its range is left to the client, and a token
// that came in answer to our own request is as fresh as it gets.
func (c *claimChecker) iat() error {
	if _, ok := c.jwt.claims.number("iat"); !ok && c.jwt.claims.has("iat") {
		return c.notNumber("iat")
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
		return c.notNumber("nbf")
	}
	if nbf > c.now+c.client.tolerance() {
		return c.timestampError("nbf", "the "+c.jwt.kind.String()+" is not valid yet", nbf)
	}
	return nil
}

// iss: RFC 7519, section 4.1.1, compared character by character.
func (c *claimChecker) iss() error {
	if !c.jwt.claims.has("iss") {
		return nil
	}
	iss, ok := c.jwt.claims.str("iss")
	if !ok {
		return c.refuse("iss", codeInvalidResponse, "the claim is not a string")
	}
	if iss != c.as.Issuer {
		return &CheckError{Check: c.jwt.kind.check("iss"), Code: codeClaimComparison,
			Reason: "the " + c.jwt.kind.String() + " comes from another issuer", Expected: c.as.Issuer, Actual: iss}
	}
	return nil
}

// aud: RFC 7519, section 4.1.3. The token has to be for us, whoever else it is
// for.
func (c *claimChecker) aud() error {
	if !c.jwt.claims.has("aud") {
		return nil
	}
	aud := audience(c.jwt.claims)
	if aud == nil {
		return c.refuse("aud", codeInvalidResponse, "the claim is neither a string nor an array of strings")
	}
	if !slices.Contains(aud, c.client.ClientID) {
		return &CheckError{Check: c.jwt.kind.check("aud"), Code: codeClaimComparison,
			Reason: "the " + c.jwt.kind.String() + " is for another client", Expected: c.client.ClientID, Actual: fmt.Sprint(aud)}
	}
	return nil
}

// audience returns aud, which is a string or an array of them.
func audience(claims object) []string {
	if single, ok := claims.str("aud"); ok {
		return []string{single}
	}
	list, _ := claims.strs("aud")
	return list
}

func (c *claimChecker) refuse(claim, code, reason string) error {
	return &CheckError{Check: c.jwt.kind.check(claim), Code: code, Reason: reason}
}

func (c *claimChecker) notNumber(claim string) error {
	return c.refuse(claim, codeInvalidResponse, "the claim is not a point in time")
}

// timestampError says how far the clocks are apart, as a wrong clock is the
// usual reason.
func (c *claimChecker) timestampError(claim, reason string, value float64) error {
	return c.refuse(claim, codeTimestamp, fmt.Sprintf("%s by %.9g s, where %.9g s are tolerated; is the clock of this machine right?",
		reason, math.Abs(c.now-value), c.client.tolerance()))
}

// now is the time in whole seconds, by the clock that the client trusts.
func (c *Client) now() float64 { return unixNow() + c.ClockSkew.Seconds() }

func unixNow() float64 { return math.Floor(float64(time.Now().UnixMilli()) / 1000) }

// tolerance is ClockTolerance in seconds.
func (c *Client) tolerance() float64 {
	return max(0, cmp.Or(c.ClockTolerance, defaultClockTolerance).Seconds())
}
