package main

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
)

// A preset says in what a provider differs from what the specifications and this
// command have for the usual. It is data, shown by 'oauth-login providers', and
// weaker than every flag: --provider fills in what no flag says.
type preset struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// Unsupported is why nobody can sign in there from a terminal, "" where one can.
	Unsupported string `json:"unsupported,omitempty"`

	// Issuer is the issuer of everybody, and IssuerForm that of those who have one
	// of their own, with words in capitals to replace. One of the two may be empty.
	Issuer     string `json:"issuer,omitempty"`
	IssuerForm string `json:"issuer_form,omitempty"`
	// The endpoints are paths on the issuer's host, for a provider without metadata.
	// Nothing is discovered there.
	AuthorizationPath string `json:"authorization_path,omitempty"`
	TokenPath         string `json:"token_path,omitempty"`
	DevicePath        string `json:"device_path,omitempty"`

	// RedirectHost, Ports and CallbackPath are those of the redirect URI, empty for
	// what is usual.
	RedirectHost string `json:"redirect_host,omitempty"`
	Ports        string `json:"ports,omitempty"`
	CallbackPath string `json:"callback_path,omitempty"`
	// ExactRedirect says that the port is compared too, so that no free one will do.
	ExactRedirect bool `json:"exact_redirect"`

	// Scopes are asked for without --scope; none where the client's own are meant.
	Scopes []string `json:"scopes,omitempty"`
	// Prompt, Audience and AuthParams are sent unless flags say otherwise.
	Prompt     string            `json:"prompt,omitempty"`
	Audience   string            `json:"audience,omitempty"`
	AuthParams map[string]string `json:"authorization_parameters,omitempty"`
	// NoResource says that a resource indicator (RFC 8707) is refused there, and
	// NoOfflineAccess that the scope offline_access is.
	NoResource      bool `json:"no_resource,omitempty"`
	NoOfflineAccess bool `json:"no_offline_access,omitempty"`
	// WantsAudience says that without one the access token is good for no API.
	WantsAudience bool `json:"wants_audience,omitempty"`

	// NeedsSecret says that a client has a secret although it cannot keep it, and
	// SecretMethod how it is sent, "" for what the metadata says.
	NeedsSecret  bool   `json:"needs_secret"`
	SecretMethod string `json:"secret_method,omitempty"`

	// Register says, step by step, where a client is registered, and as what.
	Register []string `json:"register,omitempty"`
	// NoRefresh is why no refresh token may come for offline_access, "" where that is
	// not to be expected.
	NoRefresh string `json:"no_refresh,omitempty"`
	// Notes are whole sentences about what else is different.
	Notes []string `json:"notes,omitempty"`
}

// What flags have that nobody gave.
const (
	anyPort             = "0"
	defaultRedirectHost = "127.0.0.1"
	defaultCallbackPath = "/callback"
)

// presetOf returns nil for a name that is not known.
func presetOf(name string) *preset {
	all := presets()
	if i := slices.IndexFunc(all, func(p preset) bool { return p.Name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// presetFor returns the preset whose issuers are on the same host, nil for none. Hosts
// of anybody's own tell nothing.
func presetFor(issuer string) *preset {
	all := presets()
	for i, p := range all {
		if onHostOf(p.Issuer, issuer) || onHostOf(p.IssuerForm, issuer) {
			return &all[i]
		}
	}
	return nil
}

// onHostOf compares the labels of host names. One in capitals is any.
func onHostOf(form, issuer string) bool {
	known, err1 := url.Parse(form)
	given, err2 := url.Parse(issuer)
	if err1 != nil || err2 != nil || !strings.Contains(known.Host, ".") {
		return false
	}
	return slices.EqualFunc(strings.Split(known.Host, "."), strings.Split(strings.ToLower(given.Host), "."), func(a, b string) bool {
		return a == b || a == strings.ToUpper(a) && b != ""
	})
}

// useProvider takes the preset that --provider names, if it names one.
func (o *options) useProvider() error {
	if o.provider == "" {
		return nil
	}
	found := presetOf(o.provider)
	if found == nil {
		return unknownProvider(o.provider)
	}
	if found.Unsupported != "" {
		return &commandError{code: exitUsage, text: "nobody can sign in to " + found.Title + " from here: " + found.Unsupported, hint: found.more()}
	}
	if o.issuer = cmp.Or(o.issuer, found.Issuer); o.issuer == "" {
		return &commandError{code: exitUsage, text: "--provider " + found.Name + " needs the issuer, which is one of your own there",
			hint: found.command() + "; " + found.more()}
	}
	if err := found.refuse(o); err != nil {
		return err
	}
	o.adopt(found, o.given)
	return nil
}

// refuse finds flags that the provider would refuse, or that lead nowhere, before
// the person is sent away. nil refuses nothing.
func (p *preset) refuse(o *options) error {
	switch {
	case p == nil:
		return nil
	case o.issuer != "" && o.issuer == p.IssuerForm:
		return usageError("the words in capitals in "+o.issuer+" stand for your own", p.more())
	case p.NoResource && len(o.resources) > 0:
		return usageError(p.Title+" takes no --resource", "name the resource by its scopes, with --scope; "+p.more())
	case p.NoOfflineAccess && slices.Contains(strings.Fields(strings.Join(o.scopes, " ")), "offline_access"):
		return usageError(p.Title+" does not know the scope offline_access", "leave it out of --scope; "+p.more())
	case p.ExactRedirect && !o.device && o.redirectURI == "" && o.given("port") && slices.Contains(strings.Split(o.ports, ","), anyPort):
		return usageError(p.Title+" compares the port of the redirect URI, so that none fits --port 0",
			"leave --port out and register "+strings.Join(p.redirectURIs(), " and "))
	}
	return nil
}

func (p *preset) more() string { return "'oauth-login providers " + p.Name + "' says more" }

// adopt has the redirect URI be the one that a provider wants, unless flags say
// otherwise. nil changes nothing.
func (o *options) adopt(p *preset, given func(flag string) bool) {
	if p == nil {
		return
	}
	o.preset = p
	for _, flag := range []struct {
		name, usual, wanted string
		value               *string
	}{
		{"port", anyPort, p.Ports, &o.ports},
		{"redirect-host", defaultRedirectHost, p.RedirectHost, &o.redirectHost},
		{"callback-path", defaultCallbackPath, p.CallbackPath, &o.callbackPath},
	} {
		if *flag.value == flag.usual && !given(flag.name) {
			*flag.value = cmp.Or(flag.wanted, flag.usual)
		}
	}
}

// apply gives a client what no flag has said. nil changes nothing.
func (p *preset) apply(client *grant.Client) {
	if p == nil {
		return
	}
	if len(client.Scopes) == 0 {
		client.Scopes = slices.Clone(p.Scopes)
	}
	client.Prompt = cmp.Or(client.Prompt, p.Prompt)
	client.Audience = cmp.Or(client.Audience, p.Audience)
	for name, value := range p.AuthParams {
		if client.AuthorizationParameters == nil {
			client.AuthorizationParameters = url.Values{}
		}
		if !client.AuthorizationParameters.Has(name) {
			client.AuthorizationParameters.Set(name, value)
		}
	}
	if client.ClientSecret != "" {
		client.TokenEndpointAuthMethod = cmp.Or(client.TokenEndpointAuthMethod, p.SecretMethod)
	}
	if client.Server == nil {
		client.Server = p.server(client.Issuer)
	}
}

// server returns the endpoints of a provider without metadata, nil for one with.
func (p *preset) server(issuer string) *grant.AuthorizationServer {
	base, err := url.Parse(issuer)
	if p.TokenPath == "" || err != nil || base.Host == "" {
		return nil
	}
	at := func(path string) string {
		if path == "" {
			return ""
		}
		return base.Scheme + "://" + base.Host + path
	}
	return &grant.AuthorizationServer{
		Issuer: issuer, AuthorizationEndpoint: at(p.AuthorizationPath), TokenEndpoint: at(p.TokenPath), DeviceAuthorizationEndpoint: at(p.DevicePath),
	}
}

// checkSecret finds a secret that is missing before the person is sent away.
func (o *options) checkSecret(client *grant.Client) error {
	if o.preset == nil || !o.preset.NeedsSecret || client.ClientSecret != "" || client.Key != nil || o.device {
		return nil
	}
	if client.ClientID == "" { // whoever has no client is told first what to register
		return nil
	}
	hint := "name the file that holds it with --client-secret-file, or put it into " + secretVariable
	if o.preset.DevicePath != "" {
		hint += "; --device needs none"
	}
	return usageError(o.preset.Title+" wants the secret of the client, although that is no secret here", hint)
}

// explainPorts: where ports are compared, no other one will do.
func (o *options) explainPorts(err error) error {
	taken, ok := errors.AsType[*loopback.BindError](err)
	if !ok || o.preset == nil || !o.preset.ExactRedirect {
		return err
	}
	return &commandError{code: exitFailure, err: taken, text: taken.Error(),
		hint: "end the program that has the port, or register another redirect URI at the provider and give its port with --port"}
}

// redirectURIs are those to register, without a port where any will do.
func (p *preset) redirectURIs() []string {
	o := options{redirectHost: defaultRedirectHost, callbackPath: defaultCallbackPath, ports: anyPort}
	o.adopt(p, func(string) bool { return false })
	if !p.ExactRedirect {
		return o.redirectsTo("")
	}
	return o.redirectsTo(strings.Split(o.ports, ",")...)
}

// command is how to sign in, with words in capitals to replace.
func (p *preset) command() string { return "oauth-login --provider " + p.Name + " " + p.flags() }

// flags are those that a sign-in needs beside --provider.
func (p *preset) flags() string {
	flags := "--client-id ID"
	if p.Issuer == "" {
		flags = "--issuer " + p.IssuerForm + " " + flags
	}
	if p.NeedsSecret {
		flags += " --client-secret-file FILE"
	}
	return flags
}
