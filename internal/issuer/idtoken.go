package issuer

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"maps"
	"time"
)

const idTokenTTL = time.Hour

// idToken makes the ID token that goes with t (OpenID Connect Core, sections 2 and 3.1.3.6) and remembers it.
func (i *Issuer) idToken(t *tokens) (string, error) {
	key := i.keys.current(t.grant.client.Alg)
	header := map[string]any{"typ": "JWT", "alg": key.alg, "kid": key.id}
	claims := i.idTokenClaims(t, key.hash())
	if i.opts.IDToken != nil {
		i.opts.IDToken(header, claims)
	}
	token, err := key.signJWT(header, claims)
	if err != nil {
		return "", err
	}
	i.ledger.addIDToken(token, t.grant)
	return token, nil
}

func (i *Issuer) idTokenClaims(t *tokens, hash crypto.Hash) map[string]any {
	now := i.opts.Now()
	claims := map[string]any{
		"iss":       i.url,
		"aud":       t.grant.client.ID,
		"iat":       now.Unix(),
		"exp":       now.Add(idTokenTTL).Unix(),
		"auth_time": t.grant.authTime.Unix(), // the time of the sign-in, also after a refresh (section 12.2)
		"at_hash":   leftHalf(hash, t.access),
	}
	if t.firstTime && t.grant.nonce != "" { // section 12.2: no nonce after a refresh
		claims["nonce"] = t.grant.nonce
	}
	if t.grant.acr != "" {
		claims["acr"] = t.grant.acr
	}
	maps.Copy(claims, t.grant.user.claims(t.scopes))
	return claims
}

// leftHalf is the hash of OpenID Connect Core, section 3.1.3.6, for at_hash.
func leftHalf(hash crypto.Hash, token string) string {
	h := hash.New()
	h.Write([]byte(token))
	sum := h.Sum(nil)
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// signJWT makes a JWS in compact form (RFC 7515, section 7.1).
func (k *signingKey) signJWT(header, claims map[string]any) (string, error) {
	h, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	input := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c)
	signature, err := k.sign([]byte(input))
	if err != nil {
		return "", err
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
