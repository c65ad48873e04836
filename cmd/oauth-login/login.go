package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// login signs in and saves the tokens.
func (p *program) login(ctx context.Context, o *options) error {
	if err := o.useProvider(); err != nil {
		return err
	}
	if _, err := o.loopback(); err != nil { // before anything is sent
		return err
	}
	if o.issuer == "" && o.clientID == "" && len(o.resources) == 0 {
		return p.loginAgain(ctx, o)
	}
	if o.issuer == "" && len(o.resources) > 0 {
		if err := p.findIssuer(ctx, o); err != nil {
			return err
		}
	}
	if o.issuer == "" {
		return noIssuer()
	}
	if known := presetFor(o.issuer); known != nil && o.preset == nil {
		p.hint("--provider " + known.Name + " knows the ways of " + known.Title)
	}
	client, err := p.client(ctx, o)
	if err != nil {
		return err
	}
	known, err := p.registered(ctx, o, client)
	if err != nil {
		return err
	}
	if known != nil || o.clientID == "" {
		return p.loginRegistered(ctx, o, client, known)
	}
	profile := o.withFiles(store.Profile{Issuer: o.issuer, ClientID: o.clientID, Name: o.profile})
	listed, err := p.listed(profile)
	if err != nil {
		return err
	}
	profile.Newer = listed.Newer
	return p.loginAs(ctx, o, client, profile, listed.Place)
}

// listed returns what the list says of a login, nothing if it is not there.
func (p *program) listed(profile store.Profile) (store.Profile, error) {
	profiles, err := p.profiles.List()
	for _, listed := range profiles {
		if listed.Key() == profile.Key() {
			return listed, err
		}
	}
	return store.Profile{}, err
}

// loginAgain repeats the last login, or the one that --profile names, with the
// settings that are remembered of it.
func (p *program) loginAgain(ctx context.Context, o *options) error {
	profile, err := p.selectProfile(ctx, o)
	if errors.Is(err, store.ErrLoginRequired) {
		return noIssuer() // and nothing to repeat
	}
	if err != nil {
		return err
	}
	given, err := p.client(ctx, o)
	if err != nil {
		return err
	}
	profile = o.withFiles(profile)
	known := presetOf(profile.Provider)
	if err := known.refuse(o); err != nil {
		return err
	}
	o.adopt(known, o.given)
	client, err := p.remembered(ctx, o, profile)
	if err != nil {
		return err
	}
	o.renew(client, given)
	o.preset.apply(client) // flags replace all parameters that were stored, and leave out those that nobody named
	if client.Registration != nil {
		return p.loginRegistered(ctx, o, client, &registeredLogin{profile, client.Registration})
	}
	return p.loginAs(ctx, o, client, profile, profile.Place)
}

// renew gives a client that is remembered what the flags say.
func (o *options) renew(client, given *grant.Client) {
	if given.Scopes != nil {
		client.Scopes = given.Scopes
	}
	client.Prompt = cmp.Or(given.Prompt, client.Prompt)
	client.LoginHint = cmp.Or(given.LoginHint, client.LoginHint)
	client.ACRValues = cmp.Or(given.ACRValues, client.ACRValues)
	client.MaxAge = cmp.Or(given.MaxAge, client.MaxAge)
	client.Audience = cmp.Or(given.Audience, client.Audience)
	if given.AuthorizationParameters != nil {
		client.AuthorizationParameters = given.AuthorizationParameters
	}
	if given.TokenParameters != nil {
		client.TokenParameters = given.TokenParameters
	}
	client.DPoPBoundAccessTokens = client.DPoPBoundAccessTokens || given.DPoPBoundAccessTokens
	if o.given("client-secret-file") { // what the environment has may be that of another client
		client.ClientSecret = given.ClientSecret
	}
}

// remembered is the client of a login, or a new one where nothing usable is
// stored.
func (p *program) remembered(ctx context.Context, o *options, profile store.Profile) (*grant.Client, error) {
	record, err := p.load(ctx, profile)
	if err == nil {
		return p.storedClient(ctx, o, profile, record)
	}
	if !errors.Is(err, store.ErrNotFound) && !isDamaged(err) {
		return nil, err
	}
	client := &grant.Client{
		Issuer: profile.Issuer, ClientID: profile.ClientID, ClientSecret: p.clientSecret, TokenEndpointAuthMethod: o.clientAuth,
	}
	o.protect(client)
	presetOf(profile.Provider).apply(client)
	return client, p.reach(ctx, o, client, o.withFiles(profile))
}

// loginAs signs in and stores the login where --store says, or else where it is
// now.
func (p *program) loginAs(ctx context.Context, o *options, client *grant.Client, profile store.Profile, now store.Place) (err error) {
	if profile.Place, err = o.place(now); err != nil {
		return err
	}
	token, err := p.signIn(ctx, o, client, profile)
	if err != nil {
		return err
	}
	if err := p.reportLogin(o, profile, client, token); err != nil {
		return err
	}
	_ = p.leave(ctx, o, profile) // the login is good all the same
	return nil
}

func isDamaged(err error) bool {
	_, damaged := errors.AsType[*store.DamagedError](err)
	return damaged
}

// signIn finds out whatever could fail before it sends the person away.
func (p *program) signIn(ctx context.Context, o *options, client *grant.Client, profile store.Profile) (*grant.Token, error) {
	if err := cmp.Or(p.checkName(o, profile), checkKey(client)); err != nil {
		return nil, err
	}
	if profile.Place.Store != noStore {
		if err := p.profiles.Check(ctx); err != nil {
			return nil, err
		}
	}
	source, err := p.source(o, client, profile)
	if err != nil {
		return nil, err
	}
	if err := p.chooseScopes(ctx, o, client, profile.Place); err != nil {
		return nil, err
	}
	token, err := source.SignIn(ctx)
	if err != nil {
		return nil, err
	}
	return token, o.checkUser(token) // another process may have signed in
}

// noIssuer says what is missing for a login.
func noIssuer() error {
	return &commandError{code: exitUsage, text: "no issuer is given",
		hint: "oauth-login --issuer https://issuer.example --client-id ID, or try 'oauth-login demo'"}
}

// redirectPattern is the redirect URI to register, as far as it is known.
func (o *options) redirectPattern() string {
	if o.redirectURI != "" {
		return o.redirectURI
	}
	ports := strings.Split(o.ports, ",")
	if slices.Contains(ports, anyPort) {
		return "http://" + o.redirectHost + o.callbackPath + " (any port)"
	}
	return strings.Join(o.redirectsTo(ports...), " and ")
}

// errNameTaken is in the errors of checkName.
var errNameTaken = errors.New("the name of the profile is that of another login")

// checkName keeps one name from meaning two logins.
func (p *program) checkName(o *options, profile store.Profile) error {
	if profile.Name == "" {
		return nil
	}
	profiles, err := p.profiles.List()
	if err != nil {
		return err
	}
	for _, other := range profiles {
		if other.Name == profile.Name && other.Key() != o.replaces && (other.Issuer != profile.Issuer || other.ClientID != profile.ClientID) {
			return &commandError{code: exitUsage, err: errNameTaken, text: "the profile " + quoted(profile.Name) + " is a login at " + other.Issuer + " with the client " + other.ClientID,
				hint: "choose another --profile, or remove that login first: " + logoutCommand(other)}
		}
	}
	return nil
}

// chooseScopes asks for what makes a login useful, as far as the issuer offers
// it and unless --scope says otherwise: who it is (openid, email), and to stay
// signed in (offline_access) where that can be remembered.
func (p *program) chooseScopes(ctx context.Context, o *options, client *grant.Client, place store.Place) error {
	if o.preset != nil { // which has chosen
		if place.Store == noStore && len(o.scopes) == 0 {
			client.Scopes = slices.DeleteFunc(client.Scopes, func(scope string) bool { return scope == "offline_access" })
		}
		return nil
	}
	if len(client.Scopes) == 0 {
		client.Scopes = slices.Clone(o.resourceScopes)
		as, err := client.Discover(ctx)
		if err != nil {
			return err
		}
		for _, scope := range usualScopes(as) {
			useless := scope == "offline_access" && place.Store == noStore
			if !useless && !slices.Contains(client.Scopes, scope) {
				client.Scopes = append(client.Scopes, scope)
			}
		}
	}
	if o.prompt == "" && slices.Contains(client.Scopes, "openid") && slices.Contains(client.Scopes, "offline_access") {
		// Without it a strict provider ignores the scope: OpenID Connect Core
		// 1.0, section 11. --prompt overrides it.
		client.Prompt = "consent"
	}
	p.detail(o, "asking for the scopes %q", strings.Join(client.Scopes, " "))
	return nil
}

// loginJSON is what login and status say in JSON.
type loginJSON struct {
	Issuer    string     `json:"issuer"`
	ClientID  string     `json:"client_id"`
	Provider  string     `json:"provider,omitempty"` // of --provider
	Profile   string     `json:"profile,omitempty"`
	Default   bool       `json:"default,omitempty"`
	Subject   string     `json:"subject,omitempty"`
	Account   string     `json:"account,omitempty"`
	Scopes    []string   `json:"scopes,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"` // of the access token
	Refresh   bool       `json:"refresh"`              // a refresh token is there
	Store     string     `json:"store"`
	OpenedBy  string     `json:"opened_by,omitempty"` // what opens the store
	State     string     `json:"state,omitempty"`     // "valid", "refreshable", "expired", "missing" or "damaged"
	Problem   string     `json:"problem,omitempty"`   // why nothing can be said about it
	Repair    string     `json:"repair,omitempty"`

	// With --store none, this is the only chance to get the token.
	AccessToken string `json:"access_token,omitempty"`
	TokenType   string `json:"token_type,omitempty"`
}

func (p *program) reportLogin(o *options, profile store.Profile, client *grant.Client, token *grant.Token) error {
	p.say("Signed in%s at %s", who(token), profile.Issuer)
	if profile.Place.Store == noStore {
		unsaved := *token
		unsaved.RefreshToken = "" // it is lost
		token = &unsaved
		p.say("Nothing is stored; %s", lifetime(token))
	} else {
		p.say("Tokens are in the %s; %s", p.storeName(profile.Place), lifetime(token))
	}
	if client.DPoPBoundAccessTokens && !isBound(token) {
		p.warning("the provider has not bound the access token to a key (DPoP): whoever has it can use it")
	}
	if missing := missingScopes(client.Scopes, token.Scopes); len(missing) > 0 {
		p.warning("the provider did not grant the scopes %s", strings.Join(missing, " "))
	}
	if o.preset != nil && o.preset.NoRefresh != "" && token.RefreshToken == "" && slices.Contains(client.Scopes, "offline_access") {
		p.warning("the provider gave no refresh token: %s", o.preset.NoRefresh)
	}
	if o.preset != nil && o.preset.WantsAudience && client.Audience == "" {
		p.hint("this access token is good for 'oauth-login userinfo' alone; --audience names the API that you want to call")
	}
	summary := p.loginSummary(profile, token)
	if profile.Place.Store == noStore {
		p.hint(unsavedHint(profile, client))
		summary.AccessToken, summary.TokenType = string(token.AccessToken), token.TokenType
	} else {
		p.hint("'oauth-login token' prints the access token")
	}
	if o.output != outputJSON {
		return nil
	}
	return p.printJSON(summary)
}

// unsavedHint says how to see a token that is not stored. 'token' signs in by what names
// the login, and has no flags for the rest.
func unsavedHint(profile store.Profile, client *grant.Client) string {
	const hint = "add --output json to have the access token printed"
	if profile.Provider+profile.CACert+profile.ClientKey+profile.ClientCert != "" || client.ClientSecret != "" {
		return hint
	}
	return hint + ", or: oauth-login token --interactive --store none " + fullName(profile)
}

func (p *program) loginSummary(profile store.Profile, token *grant.Token) loginJSON {
	summary := loginJSON{
		Issuer: profile.Issuer, ClientID: profile.ClientID, Provider: profile.Provider, Profile: profile.Name, Default: profile.Default,
		Scopes: token.Scopes, Refresh: token.RefreshToken != "", Store: p.storeName(profile.Place), OpenedBy: lockName(profile.Place), Account: account(token),
		ExpiresAt: expiresAt(token.Expiry),
	}
	if token.IDToken != nil {
		summary.Subject = token.IDToken.Subject
	}
	return summary
}

func lifetime(token *grant.Token) string {
	if token.Expiry.IsZero() {
		return "the provider did not say how long the access token lives"
	}
	text := "the access token lives until " + token.Expiry.Local().Format("15:04:05")
	if time.Until(token.Expiry) > 12*time.Hour {
		text = "the access token lives until " + token.Expiry.Local().Format("2006-01-02 15:04")
	}
	if token.RefreshToken == "" {
		return text + ", and then a new login is needed"
	}
	return text + ", and is refreshed then"
}
