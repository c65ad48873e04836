package main

import (
	"context"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

const (
	outputText = "text"
	outputJSON = "json"
)

// options are the values of the flags.
type options struct {
	output  string
	events  string
	verbose bool
	trace   string
	lockDir string

	profile, issuer, clientID string
	provider                  string
	preset                    *preset // nil for none

	clientSecretFile, clientAuth         string
	clientKey, clientKeyID, clientCert   string
	dpop                                 bool
	authorizationEndpoint, tokenEndpoint string
	jwksURI                              string
	scopes, authParams, tokenParams      []string
	resources                            []string
	resourceScopes                       []string // that the resource speaks of
	replaces                             string   // the key of a login that this one takes the place of
	audience, prompt, loginHint, acr     string
	maxAge                               int
	par, jar, fapi2                      bool
	responseMode                         string
	ports, redirectHost                  string
	redirectURI, callbackPath            string
	device                               bool
	browser                              string
	noBrowser                            bool
	timeout                              time.Duration
	httpTimeout                          time.Duration
	caCert                               string

	store, storeIdentity, storePassphraseFile string

	endSession  bool
	all, yes    bool
	expectUser  string
	interactive bool
	minTTL      time.Duration
	refresh     bool
	idToken     bool
	format      string
	apiVersion  string   // of an ExecCredential
	variable    string   // that 'exec' sets
	hosts       []string // that the token is meant for
	username    string   // beside a token that is shown as a password

	given func(flag string) bool // on the command line, not in the environment
}

const noMaxAge = -1

// selectFlags say which login a command is about.
func (o *options) selectFlags(f *pflag.FlagSet) {
	f.StringVar(&o.issuer, "issuer", "", "`URL` of the issuer; default: that of the last login")
	f.StringVar(&o.clientID, "client-id", "", "`ID` of the client at the issuer; default: that of the last login")
	f.StringVar(&o.profile, "profile", "", "`NAME` of the login, for several with one issuer and client")
	o.storeFlags(f)
	f.StringVar(&o.caCert, "ca-cert", "", "`FILE` with certificates to trust beside the system's (PEM)")
	f.DurationVar(&o.httpTimeout, "http-timeout", 30*time.Second, "how long one request to the issuer may take")
}

// loginFlags are the flags of a sign-in.
func (o *options) loginFlags(f *pflag.FlagSet) {
	o.selectFlags(f)
	f.Lookup("client-id").Usage = "`ID` of the client at the issuer; default: register one, where the issuer offers that"
	o.providerFlag(f)
	f.StringVar(&o.clientSecretFile, "client-secret-file", "", "`FILE` that holds the client secret, or the JSON file of Google's console; - reads standard input")
	o.keyFlags(f)
	f.StringArrayVar(&o.scopes, "scope", nil, "`SCOPE` to ask for, repeatable; default: openid, email and offline_access where offered")
	f.StringVar(&o.audience, "audience", "", "`AUDIENCE` to ask for, as some providers know it")
	f.StringArrayVar(&o.resources, "resource", nil, "`URI` of a resource that the token is for, repeatable; alone it finds the issuer")
	f.StringVar(&o.prompt, "prompt", "", "`WHAT` the provider should show: login, consent, select_account or none")
	o.userFlag(f)
	f.StringVar(&o.loginHint, "login-hint", "", "`ACCOUNT` that the provider should suggest")
	f.IntVar(&o.maxAge, "max-age", noMaxAge, "sign in again if the last time was more than `SECONDS` ago")
	f.Lookup("max-age").DefValue = "0" // so that no default is shown
	f.StringVar(&o.acr, "acr-values", "", "authentication contexts (`ACR`) to ask for")
	o.requestFlags(f)
	f.StringArrayVar(&o.authParams, "auth-param", nil, "`KEY=VALUE` to add to the authorization request, repeatable")
	f.StringArrayVar(&o.tokenParams, "token-param", nil, "`KEY=VALUE` to add to token requests, repeatable")
	f.StringVar(&o.authorizationEndpoint, "authorization-endpoint", "", "`URL`, for an issuer without metadata")
	f.StringVar(&o.tokenEndpoint, "token-endpoint", "", "`URL`, for an issuer without metadata")
	f.StringVar(&o.jwksURI, "jwks-uri", "", "`URL` of the issuer's keys, for an issuer without metadata")
	o.receiverFlags(f)
}

// receiverFlags say where the browser comes from and goes to.
func (o *options) receiverFlags(f *pflag.FlagSet) {
	o.redirectFlags(f)
	f.BoolVar(&o.device, "device", false, "sign in with a browser on another device: show a code to type in there")
	o.browserFlag(f)
	f.BoolVar(&o.noBrowser, "no-browser", false, "open no browser, only print the URL")
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long to wait for the person; 0 waits until interrupted")
}

// redirectFlags say where the browser goes to.
func (o *options) redirectFlags(f *pflag.FlagSet) {
	f.StringVar(&o.ports, "port", anyPort, "`PORT` to listen on, or several in order of preference: 8000,18000; 0 is any")
	f.StringVar(&o.redirectHost, "redirect-host", defaultRedirectHost, "`HOST` of the redirect URI: 127.0.0.1, localhost or [::1]")
	f.StringVar(&o.callbackPath, "callback-path", defaultCallbackPath, "`PATH` of the redirect URI")
	f.StringVar(&o.redirectURI, "redirect-uri", "", "exact redirect `URI`, in place of --redirect-host, --port and --callback-path")
}

func (o *options) browserFlag(f *pflag.FlagSet) {
	f.StringVar(&o.browser, "browser", "", "`COMMAND` that opens the browser; %s stands for the URL")
}

func (o *options) providerFlag(f *pflag.FlagSet) {
	f.StringVar(&o.provider, "provider", "", "`NAME` of a provider whose ways are known: github, google, microsoft ...; see 'oauth-login providers'")
}

func (o *options) tokenFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.interactive, "interactive", false, "sign in with the browser when a login is needed")
	f.DurationVar(&o.minTTL, "min-ttl", 30*time.Second, "how long the token must live at least; half of its life is enough")
	f.BoolVar(&o.idToken, "id-token", false, "the ID token in place of the access token")
	o.userFlag(f)
	o.receiverFlags(f)
}

func (o *options) refreshFlag(f *pflag.FlagSet) {
	f.BoolVar(&o.refresh, "refresh", false, "a new token, even if the stored one is valid; for an API that refuses that one")
}

func (o *options) logoutFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.all, "all", false, "every login of yours; asks at the terminal first")
	f.BoolVar(&o.yes, "yes", false, "do not ask, with --all")
	f.BoolVar(&o.endSession, "end-session", false, "sign out at the provider too, with the browser")
	o.browserFlag(f)
	f.BoolVar(&o.noBrowser, "no-browser", false, "open no browser, only print the URL")
}

func (o *options) demoFlags(f *pflag.FlagSet) {
	o.browserFlag(f)
	f.BoolVar(&o.noBrowser, "no-browser", false, "open no browser: the demo plays its part")
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long to wait for the person")
}

// resolve makes the name of a file that is remembered mean the same from every
// directory, and has one way to write a port.
func (o *options) resolve() (err error) {
	o.ports = plainPorts(o.ports)
	for _, name := range []*string{&o.caCert, &o.clientKey, &o.clientCert, &o.storeIdentity, &o.storePassphraseFile} {
		if *name == "" {
			continue
		}
		if *name, err = filepath.Abs(*name); err != nil {
			return err
		}
	}
	return nil
}

// plainPorts takes spaces and leading zeros out of a list.
func plainPorts(list string) string {
	ports := strings.Split(list, ",")
	for i, port := range ports {
		port = strings.TrimSpace(port)
		if ports[i] = strings.TrimLeft(port, "0"); ports[i] == "" && port != "" {
			ports[i] = anyPort
		}
	}
	return strings.Join(ports, ",")
}

// client makes the client of a sign-in.
func (p *program) client(ctx context.Context, o *options) (*grant.Client, error) {
	secret, err := p.readClientSecret(ctx, o)
	if err != nil {
		return nil, err
	}
	client := &grant.Client{
		Issuer: o.issuer, ClientID: o.clientID, ClientSecret: secret, TokenEndpointAuthMethod: o.clientAuth, DPoPBoundAccessTokens: o.dpop,
		Prompt: o.prompt, LoginHint: o.loginHint, ACRValues: o.acr, Audience: o.audience, Resources: o.resources,
	}
	o.protect(client)
	if o.maxAge != noMaxAge {
		client.MaxAge = &o.maxAge
	}
	for _, scope := range o.scopes {
		client.Scopes = append(client.Scopes, strings.Fields(scope)...)
	}
	if client.AuthorizationParameters, err = parameters("auth-param", o.authParams); err != nil {
		return nil, err
	}
	if client.TokenParameters, err = parameters("token-param", o.tokenParams); err != nil {
		return nil, err
	}
	if client.Server, err = o.server(); err != nil {
		return nil, err
	}
	o.preset.apply(client)
	if err := o.checkSecret(client); err != nil {
		return nil, err
	}
	return client, p.reach(ctx, o, client, o.withFiles(store.Profile{}))
}

func parameters(flag string, pairs []string) (url.Values, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	values := url.Values{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, usageError("--"+flag+" wants KEY=VALUE", "for example --"+flag+" audience=https://api.example")
		}
		values.Add(key, value)
	}
	return values, nil
}

// server returns explicit endpoints, nil for an issuer with metadata.
func (o *options) server() (*grant.AuthorizationServer, error) {
	if o.authorizationEndpoint == "" && o.tokenEndpoint == "" && o.jwksURI == "" {
		return nil, nil
	}
	if o.authorizationEndpoint == "" || o.tokenEndpoint == "" {
		return nil, usageError("an issuer without metadata needs both --authorization-endpoint and --token-endpoint", "leave all three out to have them discovered")
	}
	return &grant.AuthorizationServer{
		Issuer: o.issuer, AuthorizationEndpoint: o.authorizationEndpoint, TokenEndpoint: o.tokenEndpoint, JWKSURI: o.jwksURI,
	}, nil
}

// loopback returns the options of the receiver.
func (o *options) loopback() (*loopback.Options, error) {
	opts := &loopback.Options{
		RedirectHost: o.redirectHost, CallbackPath: o.callbackPath, RedirectURI: o.redirectURI,
		Browser: o.browser, NoBrowser: o.noBrowser, Timeout: o.timeout,
	}
	if o.timeout == 0 {
		opts.Timeout = -1
	}
	for _, text := range strings.Split(o.ports, ",") {
		port, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
		if err != nil {
			return nil, usageError("--port wants ports such as 8000 or 8000,18000, not "+quoted(o.ports), "")
		}
		opts.Ports = append(opts.Ports, int(port))
	}
	return opts, opts.Check()
}
