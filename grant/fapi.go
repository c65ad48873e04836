package grant

import (
	"fmt"
	"slices"
)

// fapiAlgorithms are those of the FAPI 2.0 Security Profile, section 5.4.1, number
// 1. Keys have to be as large as everywhere in this package.
var fapiAlgorithms = []string{"PS256", "ES256", "EdDSA", "Ed25519"}

// algs returns what may be used of the algorithms that a server offers.
func (c *Client) algs(offered []string) []string {
	switch {
	case !c.FAPI2:
		return offered
	case offered == nil:
		return fapiAlgorithms
	}
	return slices.DeleteFunc(append([]string{}, offered...), func(alg string) bool { return !slices.Contains(fapiAlgorithms, alg) })
}

// assertFAPI refuses what no server could make good.
func (c *Client) assertFAPI() error {
	if !c.FAPI2 {
		return nil
	}
	if c.AllowInsecureRequests {
		return argumentError("a FAPI 2.0 client makes no insecure requests") // section 5.2
	}
	for _, alg := range []string{
		c.TokenEndpointAuthSigningAlg, c.RequestObjectSigningAlg,
		c.IDTokenSignedResponseAlg, c.UserinfoSignedResponseAlg, c.AuthorizationSignedResponseAlg,
	} {
		if alg != "" && !slices.Contains(fapiAlgorithms, alg) {
			return argumentError("FAPI 2.0 does not allow the algorithm %s, but %v", alg, fapiAlgorithms)
		}
	}
	return nil
}

// checkFAPIAuth: section 5.3.3.1, number 2.
func (c *Client) checkFAPIAuth(auth ClientAuth) error {
	if !c.FAPI2 || usesCertificate(auth) || auth.Method() == methodPrivateKeyJWT {
		return nil
	}
	return argumentError("a FAPI 2.0 client authenticates with %s or a certificate, and not with %s", methodPrivateKeyJWT, auth.Method())
}

// checkFAPIKey: section 5.4.1, for the key of proofs.
func (c *Client) checkFAPIKey(d *DPoP) error {
	if !c.FAPI2 || d.assert() != nil || slices.Contains(fapiAlgorithms, d.signer.alg) {
		return nil
	}
	return argumentError("FAPI 2.0 does not allow DPoP proofs with %s, but with %v", d.signer.alg, fapiAlgorithms)
}

// checkFAPIServer finds now what would make the login one that FAPI 2.0 does not
// allow.
func (c *Client) checkFAPIServer(as *AuthorizationServer, asked asked) error {
	if !c.FAPI2 {
		return nil
	}
	for _, demand := range []struct {
		met                     bool
		check, reason, expected string
	}{
		// Section 5.3.2.2, number 5. What is left out is not supported: RFC 8414, section 2.
		{slices.Contains(as.CodeChallengeMethodsSupported, "S256"), checkMetadataS256, "PKCE with S256", "S256"},
		// Section 5.3.2.2, number 7. A signed response always has an iss (JARM, section 2.1).
		{as.AuthorizationResponseIssParameterSupported || isSigned(asked.responseMode), checkMetadataIss, "the parameter iss of RFC 9207", "true"},
		// Section 5.3.2.1, numbers 4 and 5.
		{as.DPoPSigningAlgValuesSupported != nil || c.bindsToCertificate(as), checkMetadataDPoP, "tokens that are bound to DPoP or to the client's certificate", ""},
		// Section 5.4.1.
		{!asked.openID() || len(c.algs(as.IDTokenSigningAlgValuesSupported)) > 0, checkMetadataIDToken,
			"an algorithm of FAPI 2.0 for ID tokens", fmt.Sprint(fapiAlgorithms)},
		{!isSigned(asked.responseMode) || len(c.algs(as.AuthorizationSigningAlgValuesSupported)) > 0, checkMetadataJARM,
			"an algorithm of FAPI 2.0 for signed responses", fmt.Sprint(fapiAlgorithms)},
	} {
		if !demand.met {
			return &CheckError{Check: demand.check, Code: codeUnsupported, Expected: demand.expected,
				Reason: "FAPI 2.0 demands " + demand.reason + ", which the server's metadata do not promise"}
		}
	}
	return nil
}

// usesDPoP reports whether tokens are to be bound to a key of their own. FAPI 2.0
// wants them bound to one thing or the other (section 5.3.3.1, number 1).
func (c *Client) usesDPoP(as *AuthorizationServer) bool {
	return c.DPoPBoundAccessTokens || c.FAPI2 && !c.bindsToCertificate(as)
}

// bindsToCertificate reports whether the server binds the tokens of this client to
// its certificate (RFC 8705, section 3).
func (c *Client) bindsToCertificate(as *AuthorizationServer) bool {
	if !as.TLSClientCertificateBoundAccessTokens {
		return false
	}
	if has, known := hasCertificate(c.HTTPClient); known && !has {
		return false
	}
	auth, err := c.clientAuth(as, nil)
	return err == nil && (usesCertificate(auth) || c.UseMTLSEndpointAliases)
}

// boundTypes are the token types that cannot be used by whoever steals the token.
func (p *tokenProcessor) boundTypes() []string {
	switch {
	case p.dpop != nil:
		return []string{tokenTypeDPoP}
	case p.client.bindsToCertificate(p.as):
		return []string{tokenTypeBearer} // bound by the connection: RFC 8705, section 3
	}
	return nil
}
