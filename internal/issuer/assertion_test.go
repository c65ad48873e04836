package issuer_test

import (
	"crypto/rand"
	"net/http"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

func assertionClaims(iss *issuer.Issuer, client string) fields {
	now := time.Now().Unix()
	return fields{"iss": client, "sub": client, "aud": iss.URL(), "jti": rand.Text(), "iat": now, "exp": now + 60}
}

// A client that is let in is refused for its refresh token: invalid_grant.
func TestClientAssertion(t *testing.T) {
	key, other := keys(t), keys(t)
	clients := []issuer.Client{{ID: "secret", Secret: "s3cret", AuthMethod: issuer.AuthSecretJWT}, {ID: "post", Secret: "s3cret", AuthMethod: issuer.AuthPost}}
	for alg, k := range key {
		clients = append(clients, issuer.Client{ID: alg, Key: k.Public()})
	}
	iss := start(t, &issuer.Options{Clients: clients})
	send := func(assertion string, changes ...string) *reply {
		changes = append([]string{"client_id", "-", "client_assertion_type", jwtBearer, "client_assertion", assertion}, changes...)
		return post(t, iss.URL()+"/token", refreshGrant("unknown", changes...))
	}
	for alg, k := range key {
		claims := assertionClaims(iss, alg)
		assertion := sign(t, k, fields{"alg": alg}, claims)
		refused(t, send(assertion), http.StatusBadRequest, "invalid_grant")
		refused(t, send(assertion), http.StatusBadRequest, "invalid_client") // used before
		for name, wrong := range map[string]string{
			"another key":        sign(t, other[alg], fields{"alg": alg}, claims.with(fields{"jti": rand.Text()})),
			"another algorithm":  sign(t, k, fields{"alg": "HS256"}, claims.with(fields{"jti": rand.Text()})),
			"no algorithm":       sign(t, k, fields{"alg": "none"}, claims.with(fields{"jti": rand.Text()})),
			"another client's":   sign(t, k, fields{"alg": alg}, assertionClaims(iss, "secret")),
			"a secret":           sign(t, "s3cret", fields{"alg": "HS256"}, claims.with(fields{"jti": rand.Text()})),
			"other sub":          sign(t, k, fields{"alg": alg}, claims.with(fields{"jti": rand.Text(), "sub": "x"})),
			"no jti":             sign(t, k, fields{"alg": alg}, claims.with(fields{"jti": nil})),
			"another audience":   sign(t, k, fields{"alg": alg}, claims.with(fields{"jti": rand.Text(), "aud": iss.URL() + "/token"})),
			"several audiences":  sign(t, k, fields{"alg": alg}, claims.with(fields{"jti": rand.Text(), "aud": []string{iss.URL(), "https://evil.example"}})),
			"no audience":        sign(t, k, fields{"alg": alg}, claims.with(fields{"jti": rand.Text(), "aud": nil})),
			"expired":            sign(t, k, fields{"alg": alg}, claims.with(fields{"jti": rand.Text(), "exp": time.Now().Unix() - 1})),
			"no end":             sign(t, k, fields{"alg": alg}, claims.with(fields{"jti": rand.Text(), "exp": nil})),
			"a year":             sign(t, k, fields{"alg": alg}, claims.with(fields{"jti": rand.Text(), "exp": time.Now().AddDate(1, 0, 0).Unix()})),
			"from the future":    sign(t, k, fields{"alg": alg}, claims.with(fields{"jti": rand.Text(), "nbf": time.Now().Unix() + 30})),
			"critical extension": sign(t, k, fields{"alg": alg, "crit": []string{"x"}}, claims.with(fields{"jti": rand.Text()})),
			"nothing":            "x",
		} {
			if r := send(wrong); r.status != http.StatusBadRequest || r.body["error"] != "invalid_client" {
				t.Errorf("%s, %s: %d %v", alg, name, r.status, r.body)
			}
		}
		list := claims.with(fields{"jti": rand.Text(), "aud": []string{iss.URL()}})
		refused(t, send(sign(t, k, fields{"alg": alg}, list), "client_id", alg), http.StatusBadRequest, "invalid_grant")
	}
	fresh := func(id string) string { return sign(t, "s3cret", fields{"alg": "HS256"}, assertionClaims(iss, id)) }
	refused(t, send(fresh("secret")), http.StatusBadRequest, "invalid_grant")
	refused(t, send(fresh("post")), http.StatusBadRequest, "invalid_client")
	refused(t, send(sign(t, "wrong", fields{"alg": "HS256"}, assertionClaims(iss, "secret"))), http.StatusBadRequest, "invalid_client")
	refused(t, send(fresh("secret"), "client_id", "post"), http.StatusBadRequest, "invalid_client")
	refused(t, send(fresh("secret"), "client_secret", "s3cret"), http.StatusBadRequest, "invalid_request")
	refused(t, send(fresh("secret"), "client_assertion_type", "x"), http.StatusBadRequest, "invalid_client")
	// The secret itself is not how this client authenticates.
	refused(t, post(t, iss.URL()+"/token", refreshGrant("unknown", "client_id", "secret", "client_secret", "s3cret")), http.StatusBadRequest, "invalid_client")
	refused(t, post(t, iss.URL()+"/token", refreshGrant("unknown", "client_id", "ES256")), http.StatusBadRequest, "invalid_client")
}
