package issuer_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// register sends client metadata.
func register(t *testing.T, iss *issuer.Issuer, metadata map[string]any) *reply {
	t.Helper()
	data, err := json.Marshal(metadata)
	if err != nil {
		t.Fatal(err)
	}
	return send(t, http.MethodPost, iss.URL()+"/register", string(data), "Content-Type", "application/json")
}

func native(changes ...any) map[string]any {
	metadata := map[string]any{"redirect_uris": []string{callback}, "application_type": "native", "token_endpoint_auth_method": "none"}
	for n := 0; n < len(changes); n += 2 {
		metadata[changes[n].(string)] = changes[n+1]
	}
	return metadata
}

func TestRegistration(t *testing.T) {
	iss := start(t, &issuer.Options{OpenRegistration: true})
	if doc := get(t, iss.URL()+"/.well-known/openid-configuration"); doc.string("registration_endpoint") != iss.URL()+"/register" {
		t.Errorf("metadata: %v", doc.body)
	}
	r := register(t, iss, native("client_name", "A tool"))
	if r.status != http.StatusCreated || r.string("client_id") == "" || r.body["client_secret"] != nil || r.string("client_name") != "A tool" ||
		r.string("token_endpoint_auth_method") != "none" || r.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", r.status, r.body)
	}
	// The client works.
	uri := receiver(t)
	got := answer(t, iss, new(issuer.Visitor), request(uri, "client_id", r.string("client_id")))
	if r := post(t, iss.URL()+"/token", codeGrant(uri, got, "client_id", r.string("client_id"))); r.status != http.StatusOK {
		t.Errorf("token endpoint: %d %v", r.status, r.body)
	}
	secret := register(t, iss, native("token_endpoint_auth_method", "client_secret_post"))
	if secret.string("client_secret") == "" || secret.body["client_secret_expires_at"] != 0.0 {
		t.Errorf("%v", secret.body)
	}
	for _, value := range []string{r.string("registration_access_token"), secret.string("client_secret"), secret.string("registration_access_token")} {
		if !slices.Contains(iss.Secrets(), value) {
			t.Errorf("%q is not among the secrets", value)
		}
	}
}

func TestRegistrationRefuses(t *testing.T) {
	iss := start(t, &issuer.Options{OpenRegistration: true})
	for name, test := range map[string]struct {
		metadata map[string]any
		want     string
	}{
		"no redirect URI":            {native("redirect_uris", []string{}), "invalid_redirect_uri"},
		"relative redirect URI":      {native("redirect_uris", []string{"/callback"}), "invalid_client_metadata"},
		"http for a web application": {native("application_type", "web"), "invalid_redirect_uri"},
		"http for the default type":  {native("application_type", ""), "invalid_redirect_uri"},
		"unknown method":             {native("token_endpoint_auth_method", "x"), "invalid_client_metadata"},
		"an algorithm without a key": {native("id_token_signed_response_alg", "PS256"), "invalid_client_metadata"},
		"an algorithm for userinfo":  {native("userinfo_signed_response_alg", "none"), "invalid_client_metadata"},
		"a wrong type":               {native("client_name", 5), "invalid_client_metadata"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, register(t, iss, test.metadata), http.StatusBadRequest, test.want) })
	}
	refused(t, send(t, http.MethodPost, iss.URL()+"/register", "{}", "Content-Type", "text/plain"), http.StatusBadRequest, "invalid_client_metadata")
	closed := start(t, nil)
	if r := register(t, closed, native()); r.status != http.StatusNotFound {
		t.Errorf("not asked to: %d", r.status)
	}
	if doc := get(t, closed.URL()+"/.well-known/openid-configuration"); doc.body["registration_endpoint"] != nil {
		t.Errorf("metadata: %v", doc.body)
	}
}

// RFC 7592, sections 2.1 and 2.3.
func TestClientConfiguration(t *testing.T) {
	iss := start(t, &issuer.Options{OpenRegistration: true})
	r, other := register(t, iss, native()), register(t, iss, native())
	at, token := r.string("registration_client_uri"), r.string("registration_access_token")
	if got := get(t, at, "Authorization", "Bearer "+token); got.status != http.StatusOK || got.string("client_id") != r.string("client_id") {
		t.Errorf("%d %v", got.status, got.body)
	}
	for _, wrong := range []string{"", "Bearer x", "Bearer " + other.string("registration_access_token")} {
		if got := get(t, at, "Authorization", wrong); got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: %d", wrong, got.status)
		}
	}
	if len(iss.RegisteredClients()) != 2 || iss.Requests("registered") != 4 || iss.Requests("register") != 2 {
		t.Errorf("%v, %d and %d requests", iss.RegisteredClients(), iss.Requests("registered"), iss.Requests("register"))
	}
	if got := send(t, http.MethodDelete, at, "", "Authorization", "Bearer "+token); got.status != http.StatusNoContent {
		t.Errorf("%d", got.status)
	}
	if got := get(t, at, "Authorization", "Bearer "+token); got.status != http.StatusUnauthorized {
		t.Errorf("after it was deleted: %d", got.status)
	}
	if ids := iss.RegisteredClients(); !slices.Equal(ids, []string{other.string("client_id")}) {
		t.Errorf("clients %v", ids)
	}
	if iss.ForgetClients(); len(iss.RegisteredClients()) != 0 {
		t.Error("they are not forgotten")
	}
}

func TestExactRedirectURIs(t *testing.T) {
	uri := receiver(t)
	for exact, want := range map[bool]int{false: http.StatusOK, true: http.StatusBadRequest} {
		iss := start(t, &issuer.Options{ExactRedirectURIs: exact})
		page, err := new(issuer.Visitor).Visit(t.Context(), iss.URL()+"/oauth2/authorize?"+request(uri).Encode())
		if err != nil || page.Status != want {
			t.Errorf("exact %t: %d, %v", exact, page.Status, err)
		}
	}
}
