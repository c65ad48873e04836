package grant

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A jwtKind is what a JWT is for. It is the first part of the names of the
// checks that the token goes through.
type jwtKind string

const (
	kindIDToken      jwtKind = "id_token"
	kindUserinfo     jwtKind = "userinfo_response"
	kindAuthResponse jwtKind = "authorization_response"
)

// check is the name of a check of a token of this kind.
func (k jwtKind) check(what string) string { return string(k) + "." + what }

// String is what texts for people call the token.
func (k jwtKind) String() string {
	return map[jwtKind]string{kindIDToken: "ID token", kindUserinfo: "userinfo response", kindAuthResponse: "redirect"}[k]
}

// A jwt is a JWS in compact serialisation (RFC 7515, section 7.1) whose
// signature nobody has looked at yet.
type jwt struct {
	kind         jwtKind
	alg, kid     string
	hasKid       bool
	header       object
	claims       object
	payload      []byte
	signingInput string // its first two parts
	signature    []byte
}

// parseJWT takes a JWS apart. Encrypted tokens, which have five parts, are
// refused. A header that accept refuses ends it before the payload is looked at;
// nil accepts all.
func parseJWT(kind jwtKind, raw string, accept func(*jwt) error) (*jwt, error) {
	parts := strings.Split(raw, ".")
	if len(parts) == 5 {
		return nil, &CheckError{Check: kind.check("form"), Code: codeUnsupported, Reason: "the token is encrypted, which is not supported"}
	}
	if len(parts) != 3 {
		return nil, &CheckError{Check: kind.check("form"), Code: codeInvalidResponse, Reason: "the token does not have three parts"}
	}
	t := &jwt{kind: kind, signingInput: strings.TrimSuffix(raw, "."+parts[2])}
	if err := t.parseHeader(parts[0]); err != nil {
		return nil, err
	}
	if accept != nil {
		if err := accept(t); err != nil {
			return nil, err
		}
	}
	var err error
	if t.claims, t.payload, err = parseJWTPart(parts[1], kind.check("payload")); err != nil {
		return nil, err
	}
	if t.signature, err = decodeBase64URL(parts[2]); err != nil {
		return nil, &CheckError{Check: kind.check("signature"), Code: codeParse, Reason: "the signature is not base64url"}
	}
	return t, nil
}

func (t *jwt) parseHeader(part string) (err error) {
	if t.header, _, err = parseJWTPart(part, t.kind.check("header")); err != nil {
		return err
	}
	t.alg, _ = t.header.str("alg")
	if t.hasKid = t.header.has("kid"); !t.hasKid {
		return nil
	}
	var ok bool
	if t.kid, ok = t.header.str("kid"); !ok {
		return &CheckError{Check: t.kind.check("header"), Code: codeInvalidResponse, Reason: "kid is not a string"}
	}
	return nil
}

func parseJWTPart(part, check string) (object, []byte, error) {
	data, err := decodeBase64URL(part)
	if err != nil {
		return nil, nil, &CheckError{Check: check, Code: codeParse, Reason: "it is not base64url"}
	}
	o, err := parseObject(data)
	switch {
	case err == errNotObject:
		return nil, nil, &CheckError{Check: check, Code: codeInvalidResponse, Reason: err.Error()}
	case err != nil:
		return nil, nil, &CheckError{Check: check, Code: codeParse, Reason: err.Error()}
	}
	return o, bytes.TrimPrefix(data, byteOrderMark), nil
}

// decodeBase64URL is base64url without padding (RFC 7515, section 2), and
// stricter than encoding/base64, which skips line breaks.
func decodeBase64URL(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("line break in base64url")
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

// hash is that of the token's algorithm, which was checked.
func (t *jwt) hash() crypto.Hash {
	if t.alg == hs256.alg {
		return hs256.hash
	}
	return algorithms[t.alg].hash
}

// checkAlg refuses an algorithm that was not agreed on: the pinned one wins over
// those that the server offers, and the fallback is for when there is neither; an
// empty fallback refuses then. A token without a signature, or with one that the
// client could have made itself, is never accepted.
func checkAlg(t *jwt, pinned string, offered []string, fallback string) error {
	var expected []string
	switch {
	case pinned != "":
		expected = []string{pinned}
	case offered != nil:
		expected = offered
	case fallback != "":
		expected = []string{fallback}
	}
	if !slices.Contains(expected, t.alg) {
		return &CheckError{Check: t.kind.check("alg"), Code: codeInvalidResponse,
			Reason: "the " + t.kind.String() + " is signed with another algorithm than agreed", Expected: fmt.Sprint(expected), Actual: t.alg}
	}
	if _, known := algorithms[t.alg]; !known {
		return &CheckError{Check: t.kind.check("alg"), Code: codeUnsupported,
			Reason: "this algorithm is not accepted for the " + t.kind.String(), Actual: t.alg}
	}
	return nil
}

// checkCrit refuses extensions that have to be understood (RFC 7515, section
// 4.1.11). We understand none.
func checkCrit(t *jwt) error {
	if t.header.has("crit") {
		return &CheckError{Check: t.kind.check("crit"), Code: codeUnsupported, Reason: "the header has crit, and no extension is supported"}
	}
	return nil
}
