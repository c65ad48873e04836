package grant

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
)

// A jwt is a JWS in compact serialisation (RFC 7515, section 7.1) whose
// signature nobody has looked at yet.
type jwt struct {
	alg, kid     string
	hasKid       bool
	header       object
	claims       object
	payload      []byte
	compact      string // the whole token
	signingInput string // its first two parts
	signature    []byte
}

// parseJWT takes a JWS apart. Encrypted tokens, which have five parts, are
// refused. A header that accept refuses ends it before the payload is looked at;
// nil accepts all.
func parseJWT(raw string, accept func(*jwt) error) (*jwt, error) {
	parts := strings.Split(raw, ".")
	if len(parts) == 5 {
		return nil, &CheckError{Check: checkJWTForm, Code: codeUnsupported, Reason: "the token is encrypted, which is not supported"}
	}
	if len(parts) != 3 {
		return nil, &CheckError{Check: checkJWTForm, Code: codeInvalidResponse, Reason: "the token does not have three parts"}
	}
	t := &jwt{compact: raw, signingInput: parts[0] + "." + parts[1]}
	if err := t.parseHeader(parts[0]); err != nil {
		return nil, err
	}
	if accept != nil {
		if err := accept(t); err != nil {
			return nil, err
		}
	}
	var err error
	if t.claims, t.payload, err = parseJWTPart(parts[1], checkJWTPayload); err != nil {
		return nil, err
	}
	if t.signature, err = decodeBase64URL(parts[2]); err != nil {
		return nil, &CheckError{Check: checkJWTSignature, Code: codeParse, Reason: "the signature is not base64url"}
	}
	return t, nil
}

func (t *jwt) parseHeader(part string) (err error) {
	if t.header, _, err = parseJWTPart(part, checkJWTHeader); err != nil {
		return err
	}
	t.alg, _ = t.header.str("alg")
	if t.hasKid = t.header.has("kid"); !t.hasKid {
		return nil
	}
	var ok bool
	if t.kid, ok = t.header.str("kid"); !ok {
		return &CheckError{Check: checkJWTHeader, Code: codeInvalidResponse, Reason: "kid is not a string"}
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
