package grant

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// scrub removes secrets from those texts of an error that came from a server:
// some servers echo what they were sent, in other letters perhaps. A secret of
// less than eight bytes is none, and would blank out ordinary words.
func scrub(err error, secrets ...string) error {
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // one may begin like another
	var pairs []string
	for _, secret := range secrets {
		if len(secret) >= 8 {
			pairs = append(pairs, secret, redacted, url.QueryEscape(secret), redacted, lowerASCII(secret), redacted)
		}
	}
	if len(pairs) == 0 {
		return err
	}
	clean := strings.NewReplacer(pairs...).Replace
	if e, ok := errors.AsType[*Error](err); ok {
		e.Code, e.Description, e.URI = clean(e.Code), clean(e.Description), clean(e.URI)
		for i := range e.Challenges {
			c := &e.Challenges[i]
			c.Scheme, c.Token68 = clean(c.Scheme), clean(c.Token68)
			for name, value := range c.Parameters {
				c.Parameters[name] = clean(value)
			}
		}
	}
	if e, ok := errors.AsType[*CheckError](err); ok {
		e.Reason, e.Expected, e.Actual = clean(e.Reason), clean(e.Expected), clean(e.Actual)
	}
	return err
}

// sentSecrets returns what a request of this package said in confidence.
func sentSecrets(req *http.Request) (secrets []string) {
	if req == nil {
		return nil
	}
	secrets = append(secrets, req.Header.Get("DPoP"))
	if _, credentials, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok {
		secrets = append(secrets, credentials)
	}
	if _, password, ok := req.BasicAuth(); ok {
		if secret, err := url.QueryUnescape(password); err == nil {
			secrets = append(secrets, secret)
		}
		secrets = append(secrets, password)
	}
	if req.GetBody == nil {
		return secrets
	}
	body, err := req.GetBody()
	if err != nil {
		return secrets
	}
	form, err := readBody(&http.Response{Body: body})
	if err != nil {
		return secrets
	}
	values, err := url.ParseQuery(string(form))
	if err != nil {
		return secrets
	}
	for _, name := range []string{"code", "code_verifier", "refresh_token", "device_code", "token", "client_secret", "client_assertion", "state", "nonce", "request"} {
		secrets = append(secrets, values[name]...)
	}
	return secrets
}

// receivedSecrets returns what a response says in confidence.
func receivedSecrets(body object) (secrets []string) {
	for _, name := range []string{"access_token", "refresh_token", "id_token", "device_code", "client_secret", "registration_access_token"} {
		if secret, ok := body.str(name); ok {
			secrets = append(secrets, secret)
		}
	}
	return secrets
}
