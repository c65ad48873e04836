package issuer

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// registry holds the clients: those that the issuer was started with, and those that have registered themselves.
type registry struct {
	mu      sync.Mutex
	clients map[string]*Client
	managed map[string]string // registration access token by client ID, of those that have registered themselves
}

func newRegistry(clients map[string]*Client) *registry {
	return &registry{clients: clients, managed: make(map[string]string)}
}

// find returns a client, nil for an unknown ID.
func (g *registry) find(id string) *Client {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.clients[id]
}

func (g *registry) add(c *Client, token string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clients[c.ID], g.managed[c.ID] = c, token
}

// managedBy returns the client with that registration access token, nil for none.
func (g *registry) managedBy(id, token string) *Client {
	g.mu.Lock()
	defer g.mu.Unlock()
	if known, ok := g.managed[id]; !ok || !sameSecret(known, token) {
		return nil
	}
	return g.clients[id]
}

func (g *registry) remove(ids ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		delete(g.clients, id)
		delete(g.managed, id)
	}
}

// registered returns the IDs of the clients that have registered themselves.
func (g *registry) registered() (ids []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id := range g.managed {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// RegisteredClients returns the IDs of the clients that have registered themselves and are known yet.
func (i *Issuer) RegisteredClients() []string { return i.registry.registered() }

// ForgetClients forgets all clients that have registered themselves, as providers do after a time.
func (i *Issuer) ForgetClients() { i.registry.remove(i.registry.registered()...) }

// serveRegister is the client registration endpoint (RFC 7591, section 3), open to everybody.
func (i *Issuer) serveRegister(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	c, failure := i.readMetadata(w, r)
	if failure != nil {
		writeJSON(w, "application/json", failure.status(), failure.body())
		return
	}
	token := i.ledger.handOut()
	i.registry.add(c, token)
	body := i.information(c, token)
	if i.opts.Registration != nil {
		i.opts.Registration(body)
	}
	writeJSON(w, "application/json", http.StatusCreated, body)
}

// readMetadata reads the members of client metadata that mean something here (RFC 7591, section 2).
func (i *Issuer) readMetadata(w http.ResponseWriter, r *http.Request) (*Client, *oauthError) {
	invalid := func(description string) *oauthError {
		return &oauthError{code: "invalid_client_metadata", description: description}
	}
	var metadata struct {
		RedirectURIs    []string `json:"redirect_uris"`
		PostLogout      []string `json:"post_logout_redirect_uris"`
		AuthMethod      string   `json:"token_endpoint_auth_method"`
		ApplicationType string   `json:"application_type"`
		Name            string   `json:"client_name"`
		IDTokenAlg      string   `json:"id_token_signed_response_alg"`
		UserinfoAlg     string   `json:"userinfo_signed_response_alg"`
		DPoPBound       bool     `json:"dpop_bound_access_tokens"`
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFormBytes))
	if err != nil || json.Unmarshal(data, &metadata) != nil || r.Header.Get("Content-Type") != "application/json" {
		return nil, invalid("the request is not JSON")
	}
	if metadata.AuthMethod == "" {
		metadata.AuthMethod = AuthBasic // RFC 7591, section 2
	}
	c := &Client{
		ID: "registered-" + randomValue()[:12], Name: metadata.Name, AuthMethod: metadata.AuthMethod,
		Alg: metadata.IDTokenAlg, UserinfoAlg: metadata.UserinfoAlg, DPoPBound: metadata.DPoPBound,
		RedirectURIs: metadata.RedirectURIs, PostLogoutRedirectURIs: metadata.PostLogout,
	}
	if c.AuthMethod != AuthNone {
		c.Secret = i.ledger.handOut()
	}
	if len(c.RedirectURIs) == 0 || metadata.ApplicationType != "native" && slices.ContainsFunc(c.RedirectURIs, isHTTP) {
		// OpenID Connect Dynamic Client Registration, section 2: http is for native clients.
		return nil, &oauthError{code: "invalid_redirect_uri", description: "redirect_uris are missing, or not those of a web application"}
	}
	if err := c.setDefaults(i.opts.Alg); err != nil {
		return nil, invalid("a value is not supported")
	}
	if i.keys.current(c.Alg) == nil || c.UserinfoAlg != "" && i.keys.current(c.UserinfoAlg) == nil {
		return nil, invalid("the issuer has no key for this algorithm")
	}
	return c, nil
}

func isHTTP(uri string) bool { return strings.HasPrefix(uri, "http:") }

// information is the client information response (RFC 7591, section 3.2.1; RFC 7592, section 3).
func (i *Issuer) information(c *Client, token string) map[string]any {
	body := map[string]any{
		"client_id":                    c.ID,
		"client_id_issued_at":          i.opts.Now().Unix(),
		"client_name":                  c.Name,
		"redirect_uris":                c.RedirectURIs,
		"token_endpoint_auth_method":   c.AuthMethod,
		"id_token_signed_response_alg": c.Alg,
		"grant_types":                  []string{"authorization_code", "refresh_token", deviceGrant},
		"response_types":               []string{"code"},
		"registration_access_token":    token,
		"registration_client_uri":      i.origin + i.base + registerPath + "/" + c.ID,
	}
	if c.Secret != "" {
		body["client_secret"], body["client_secret_expires_at"] = c.Secret, 0
	}
	if c.UserinfoAlg != "" {
		body["userinfo_signed_response_alg"] = c.UserinfoAlg
	}
	return body
}

// serveRegistered is the client configuration endpoint (RFC 7592, sections 2.1 and 2.3).
func (i *Issuer) serveRegistered(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	token, _ := bearerToken(r)
	c := i.registry.managedBy(r.PathValue("id"), token)
	switch {
	case c == nil:
		refuseBearer(w, "register", http.StatusUnauthorized, `, error="invalid_token"`)
	case r.Method == http.MethodDelete:
		i.registry.remove(c.ID)
		w.WriteHeader(http.StatusNoContent)
	default:
		writeJSON(w, "application/json", http.StatusOK, i.information(c, token))
	}
}
