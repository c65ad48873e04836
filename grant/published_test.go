package grant

import (
	"strings"
	"testing"
)

// The examples that the specifications print.

// RFC 7636, appendix B.
func TestPublishedCodeChallenge(t *testing.T) {
	const want = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	if got := codeChallenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// RFC 7515, appendices A.2 to A.4, and RFC 8037, appendix A.4. The payloads of
// the last two are no JSON, so that the tokens are put together by hand.
func TestPublishedSignatures(t *testing.T) {
	const joe = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	for _, test := range []struct{ name, alg, input, signature, key string }{
		{"RFC 7515, appendix A.2", "RS256", "eyJhbGciOiJSUzI1NiJ9." + joe,
			"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKB" +
				"YNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6Bf" +
				"I7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
			`{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR` +
				`T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsm` +
				`tdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}`},
		{"RFC 7515, appendix A.3", "ES256", "eyJhbGciOiJFUzI1NiJ9." + joe,
			"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
			`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`},
		{"RFC 7515, appendix A.4", "ES512", "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA",
			"AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
			`{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",` +
				`"y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}`},
		{"RFC 8037, appendix A.4", "EdDSA", "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
			"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
			`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			set, err := parseObject([]byte(`{"keys":[` + test.key + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			keys, err := parseKeys(set)
			if err != nil {
				t.Fatal(err)
			}
			for signature, want := range map[string]bool{test.signature: true, strings.Repeat("A", len(test.signature)): false} {
				token := &jwt{kind: kindIDToken, alg: test.alg, signingInput: test.input}
				if token.signature, err = decodeBase64URL(signature); err != nil {
					t.Fatal(err)
				}
				if err := (&keySet{keys: keys}).verify(token); (err == nil) != want {
					t.Errorf("the signature %.10s...: %v", signature, err)
				}
			}
		})
	}
}

// RFC 7515, appendix A.5: a token without a signature.
func TestPublishedUnsecuredToken(t *testing.T) {
	const raw = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
	token, err := parseJWT(kindIDToken, raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	if iss, _ := token.claims.str("iss"); token.alg != "none" || iss != "joe" {
		t.Errorf("alg %q, iss %q", token.alg, iss)
	}
	if err := checkAlg(token, "none", []string{"none"}, "none"); err == nil {
		t.Error("it was accepted")
	}
	if err := (&keySet{}).verify(token); err == nil {
		t.Error("it was verified")
	}
}
