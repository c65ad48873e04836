package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// A registeredLogin is a login of a client that this command has registered
// itself (RFC 7591).
type registeredLogin struct {
	profile      store.Profile
	registration *grant.Registration
}

// registered finds the login that the flags name, if its client was registered by
// this command, and for the same resources. nil: there is none.
func (p *program) registered(ctx context.Context, o *options, client *grant.Client) (*registeredLogin, error) {
	profiles, err := p.profiles.List()
	if err != nil {
		return nil, err
	}
	for _, profile := range profiles {
		if profile.Issuer != o.issuer || profile.Name != o.profile || o.clientID != "" && profile.ClientID != o.clientID || profile.Newer {
			continue
		}
		if profile, err = o.locate(profile); err != nil {
			return nil, err
		}
		record, err := p.load(ctx, profile)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil { // the new login may go elsewhere
			continue
		}
		if stored := record.Client(); stored.Registration != nil && slices.Equal(stored.Resources, client.Resources) {
			return &registeredLogin{o.withFiles(profile), stored.Registration}, nil
		}
	}
	return nil, nil
}

// loginRegistered signs in with the client that this command has registered, or
// registers one: where there is none, where the redirect URI is another one now,
// and where the provider has forgotten it.
func (p *program) loginRegistered(ctx context.Context, o *options, client *grant.Client, known *registeredLogin) error {
	if known == nil {
		return p.loginNew(ctx, o, client, o.withFiles(store.Profile{Issuer: client.Issuer, Name: o.profile}), nil)
	}
	if p.reusable(ctx, o, client, known.registration) {
		err := p.loginAs(ctx, o, client, known.profile, known.profile.Place)
		if !isForgotten(err) {
			return err
		}
		p.say("The provider has forgotten the client %s", client.ClientID)
	}
	return p.loginNew(ctx, o, client, known.profile, known)
}

// loginNew registers a client and signs in with it. A registration that leads to
// no login is taken back, and the login that it replaces is removed in the end.
func (p *program) loginNew(ctx context.Context, o *options, client *grant.Client, profile store.Profile, replaced *registeredLogin) error {
	if err := p.register(ctx, o, client); err != nil {
		return err
	}
	if profile.ClientID = client.ClientID; replaced != nil {
		o.replaces = replaced.profile.Key()
	}
	err := p.loginAs(ctx, o, client, profile, profile.Place)
	if err != nil && !p.isListed(profile) {
		rest, release := grace(ctx)
		defer release()
		p.deregister(rest, o, client)
		return err
	}
	if replaced != nil {
		p.discard(ctx, o, replaced.profile)
	}
	return err
}

// isListed reports whether a login is stored, although an error came after that. If
// nobody knows, it may be.
func (p *program) isListed(profile store.Profile) bool {
	listed, err := p.listed(profile)
	return err != nil || listed.ClientID != ""
}

// isForgotten reports whether a provider says that it does not know the client.
func isForgotten(err error) bool {
	refusal, ok := errors.AsType[*grant.Error](err)
	return ok && refusal.Code == "invalid_client"
}

// forgotten makes a login required where the provider has forgotten the client of
// one: its refresh token is of no more use.
func forgotten(record *store.Record, err error) error {
	if isForgotten(err) && record.Client().Registration != nil {
		return fmt.Errorf("%w: the provider has forgotten the client: %w", store.ErrLoginRequired, err)
	}
	return err
}

// reusable makes client the one that was registered, if it still serves.
func (p *program) reusable(ctx context.Context, o *options, client *grant.Client, registration *grant.Registration) bool {
	if end := registration.ClientSecretExpiry; !end.IsZero() && time.Until(end) < time.Minute {
		p.say("The secret of the client %s has expired", registration.ClientID)
		return false
	}
	if !o.covered(registration.Metadata.RedirectURIs) {
		p.say("The client %s is registered for other redirect URIs", registration.ClientID)
		return false
	}
	registration.Apply(client)
	if !p.stillRegistered(ctx, client) {
		p.say("The provider has forgotten the client %s", registration.ClientID)
		return false
	}
	o.usePort(registration.Metadata.RedirectURIs)
	return true
}

// stillRegistered asks the provider, as a browser that is sent there with a client
// that is forgotten never comes back (RFC 7592, section 2.1). A provider that does
// not answer that may know the client all the same.
func (p *program) stillRegistered(ctx context.Context, client *grant.Client) bool {
	if client.Registration.RegistrationAccessToken == "" {
		return true
	}
	current, err := client.ReadRegistration(ctx)
	if err == nil {
		current.Metadata.RedirectURIs = client.Registration.Metadata.RedirectURIs // as they were asked for
		current.Apply(client)
		return true
	}
	status := 0
	if refusal, ok := errors.AsType[*grant.Error](err); ok {
		status = refusal.Status
	}
	if check, ok := errors.AsType[*grant.CheckError](err); ok {
		status = check.Status
	}
	return status != http.StatusUnauthorized && status != http.StatusNotFound
}

// register makes client one that the provider knows, or says what to register by
// hand.
func (p *program) register(ctx context.Context, o *options, client *grant.Client) error {
	if client.MetadataCache != nil {
		client.MetadataCache = unread{client.MetadataCache} // the provider may offer it since today
	}
	as, err := client.Discover(ctx)
	if err != nil {
		return err
	}
	if as.RegistrationEndpoint == "" {
		return &commandError{code: exitUsage, text: "no client is given for " + client.Issuer + ", and the provider registers none by itself",
			hint: o.toRegister(as)}
	}
	uris, err := o.redirectURIs(ctx)
	if err != nil {
		return err
	}
	registration, err := client.Register(ctx, &grant.ClientMetadata{
		RedirectURIs: uris, GrantTypes: grantTypes(as), ResponseTypes: []string{"code"},
		ClientName: "oauth-login", SoftwareID: softwareID, SoftwareVersion: grant.Version,
	}, nil)
	if refusal, ok := errors.AsType[*grant.Error](err); ok {
		return &commandError{code: exitRefused, err: err, text: refusal.Error(), hint: o.toRegister(as)}
	}
	if err != nil {
		return err
	}
	registration.Metadata.RedirectURIs = uris
	registration.Apply(client)
	p.say("Registered at %s as the client %s", client.Issuer, client.ClientID)
	o.usePort(uris)
	return nil
}

// unread is a cache that is written alone.
type unread struct{ grant.MetadataCache }

func (unread) LoadMetadata(context.Context, string) ([]byte, error) { return nil, nil }

// softwareID is the same for all copies of this command (RFC 7591, section 2).
const softwareID = "github.com/oauth-login/oauth-login"

// grantTypes are those that this command may use, as far as the provider has them.
func grantTypes(as *grant.AuthorizationServer) []string {
	types := []string{"authorization_code"}
	if as.GrantTypesSupported == nil || slices.Contains(as.GrantTypesSupported, "refresh_token") {
		types = append(types, "refresh_token")
	}
	if device := "urn:ietf:params:oauth:grant-type:device_code"; slices.Contains(as.GrantTypesSupported, device) {
		types = append(types, device)
	}
	return types
}

// toRegister lists what a person has to register at the provider.
func (o *options) toRegister(as *grant.AuthorizationServer) string {
	if p := o.preset; p != nil && o.redirectURI == "" {
		return "register one: " + strings.Join(p.Register, "; ") + "; with the redirect URI " + strings.Join(p.redirectURIs(), " and ") +
			"; and give its ID with --client-id; " + p.more()
	}
	scopes := strings.Fields(strings.Join(o.scopes, " "))
	if len(scopes) == 0 {
		scopes = append(slices.Clone(o.resourceScopes), usualScopes(as)...)
	}
	text := "register a native (public) client there, without a secret, with the redirect URI " + o.redirectPattern() +
		" and the grants authorization_code and refresh_token"
	if len(scopes) > 0 {
		text += ", for the scopes " + strings.Join(scopes, " ")
	}
	return text + "; and give its ID with --client-id"
}

// redirectURIs are those to register. Where any port would do, it is one that is
// free now, and none, which stands for all of them (RFC 8252, section 7.3): some
// providers know one form, and some the other.
func (o *options) redirectURIs(ctx context.Context) ([]string, error) {
	if o.redirectURI != "" {
		return []string{o.redirectURI}, nil
	}
	ports := strings.Split(o.ports, ",")
	if !slices.Contains(ports, "0") {
		return o.redirectsTo(ports...), nil
	}
	receiver, err := o.loopback()
	if err != nil {
		return nil, err
	}
	server, err := loopback.Listen(ctx, receiver)
	if err != nil {
		return nil, err
	}
	defer server.Close()
	return append([]string{server.RedirectURI()}, o.redirectsTo("")...), nil
}

// redirectsTo are the redirect URIs with some ports, "" for none.
func (o *options) redirectsTo(ports ...string) (uris []string) {
	for _, port := range ports {
		if port = strings.TrimSpace(port); port != "" {
			port = ":" + port
		}
		uris = append(uris, "http://"+o.redirectHost+port+o.callbackPath)
	}
	return uris
}

// covered reports whether the redirect URIs that the flags lead to are registered.
func (o *options) covered(registered []string) bool {
	wanted := []string{o.redirectURI}
	if ports := strings.Split(o.ports, ","); o.redirectURI == "" {
		if wanted = o.redirectsTo(ports...); slices.Contains(ports, "0") {
			wanted = o.redirectsTo("")
		}
	}
	for _, uri := range wanted {
		if !slices.Contains(registered, uri) {
			return false
		}
	}
	return true
}

// usePort listens on the port that was registered, if that is free and the flags
// name no other.
func (o *options) usePort(registered []string) {
	if o.redirectURI != "" || o.ports != "0" {
		return
	}
	for _, uri := range registered {
		if u, err := url.Parse(uri); err == nil && u.Port() != "" && net.JoinHostPort(strings.Trim(o.redirectHost, "[]"), u.Port()) == u.Host {
			o.ports = u.Port() + ",0"
			return
		}
	}
}

// deregister has the provider forget a client that nobody uses any more (RFC 7592,
// section 2.3), if it can.
func (p *program) deregister(ctx context.Context, o *options, client *grant.Client) {
	if client.Registration == nil || client.Registration.RegistrationAccessToken == "" {
		return
	}
	if err := client.DeleteRegistration(ctx); err != nil {
		p.detail(o, "the registration of the client could not be deleted: %v", err)
	}
}

// discard removes a login that another one has taken the place of.
func (p *program) discard(ctx context.Context, o *options, profile store.Profile) {
	err := p.remove(ctx, o, profile, func(ctx context.Context, client *grant.Client, token *grant.Token) {
		_ = revoke(ctx, client, token) // the provider may have forgotten the client
		p.deregister(ctx, o, client)
	})
	if err != nil {
		p.warning("the login with the client %s, which is replaced, could not be removed: %v", profile.ClientID, err)
	}
}
