package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// provider looks at what the issuer says about itself, and what is between it and here.
func (x *examination) provider(ctx context.Context) {
	if x.profile.Issuer == "" {
		x.ok("issuer", "none is given, and nobody is signed in: this is about this machine alone")
		return
	}
	client := &grant.Client{Issuer: x.profile.Issuer, ClientID: x.profile.ClientID}
	x.options.protect(client)
	o := *x.options
	if !o.given("http-timeout") {
		o.httpTimeout = probeTime
	}
	if !x.reads(ctx, &o, client) {
		return
	}
	x.login(ctx, client)
	x.options.preset.apply(client)
	client.MetadataCache = nil // what the provider says now is what matters
	seen := &visits{base: client.HTTPClient.Transport}
	client.HTTPClient.Transport = seen
	defer client.CloseIdleConnections()
	if client.Server != nil {
		x.reachable(ctx, client)
	} else {
		x.discover(ctx, client, seen)
	}
	x.connection(seen.list)
	x.clock(seen.list)
}

// reads reads the files that a connection needs. One may be a pipe, or on a disk that is
// not there.
func (x *examination) reads(ctx context.Context, o *options, client *grant.Client) bool {
	limited, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	err := x.reach(limited, o, client, x.profile)
	switch {
	case err != nil && limited.Err() != nil:
		x.problem("files", "look at --ca-cert, --client-key and --client-cert, and at the disk", "a file that is named cannot be read within %s", probeTime)
	case err != nil:
		x.problem("files", fixOf(ctx, err), "%v", err)
	}
	return err == nil
}

// discover looks for the metadata, and at what they say.
func (x *examination) discover(ctx context.Context, client *grant.Client, seen *visits) {
	as, err := client.Discover(ctx)
	x.tried(seen.list, as != nil)
	if err != nil {
		x.undiscovered(ctx, client.Issuer, err)
		return
	}
	x.ok("issuer", "%s, as the document says", as.Issuer)
	x.offers(as)
	x.keys(ctx, client, as)
}

// reachable is for a provider whose endpoints are given. It asks for nothing there.
func (x *examination) reachable(ctx context.Context, client *grant.Client) {
	x.ok("metadata", "the endpoints of %s are given, so nothing is looked up", client.Issuer)
	u, err := url.Parse(client.Server.TokenEndpoint)
	if err != nil {
		x.problem("server", "correct --token-endpoint", "the token endpoint is not a URL")
		return
	}
	origin := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}).String()
	began := time.Now()
	if status, err := fetch(ctx, client, origin); err != nil {
		x.problem("server", networkHint(err), "%s: %v", origin, err)
	} else {
		x.ok("server", "%s: %d after %s", origin, status, milliseconds(time.Since(began)))
	}
}

// fetch returns the status of a page.
func fetch(ctx context.Context, client *grant.Client, page string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, client.HTTPClient.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return 0, err
	}
	if req.URL.Scheme != "https" && !strings.HasPrefix(client.Issuer, "http://") { // one on a loopback host
		return 0, errors.New("it is not https")
	}
	req.Header.Set("User-Agent", "oauth-login/v"+grant.Version)
	resp, err := client.HTTPClient.Transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// login looks whether the login that this is about can be read. It asks nobody for a
// passphrase.
func (x *examination) login(ctx context.Context, client *grant.Client) {
	place := x.profile.Place
	if place.Store == "" || place.Store == noStore || place.Store == encryptedStore && place.Identity == "" && place.PassphraseFile == "" {
		return
	}
	limited, cancel := context.WithTimeout(ctx, 2*probeTime)
	defer cancel()
	login, err := x.inspect(limited, x.profile)
	if err != nil {
		x.problem("login", fixOf(ctx, err), "the last login cannot be read: %v", err)
		return
	}
	switch login.State {
	case stateValid, stateRefreshable:
		x.ok("login", "there is one at %s: %s", x.profile.Issuer, login.State)
	case stateNewer:
		x.problem("login", login.Repair, "the one at %s was stored by a newer version", x.profile.Issuer)
	default:
		repair := "sign in again: oauth-login login"
		if !x.profile.Default {
			repair = "sign in again: " + login.Repair
		}
		x.warn("login", repair, "the one at %s is %s", x.profile.Issuer, login.State)
	}
	if record, err := x.load(limited, x.profile); err == nil {
		client.Server = record.Client().Server
	}
}

// tried tells each URL of the discovery, and what it had.
func (x *examination) tried(visits []visit, found bool) {
	for _, v := range visits {
		switch {
		case v.err != nil: // which comes to more than this place
		case v.status == http.StatusOK || found:
			x.ok("metadata", "%s: %d after %s", v.url, v.status, milliseconds(v.took))
		default:
			x.warn("metadata", "", "%s: %d after %s", v.url, v.status, milliseconds(v.took))
		}
	}
}

// undiscovered says why nothing came of it.
func (x *examination) undiscovered(ctx context.Context, issuer string, err error) {
	check, ok := errors.AsType[*grant.CheckError](err)
	switch {
	case ok && check.Check == "metadata.issuer":
		x.problem("issuer", checkHint(check), "the document belongs to %s, not to %s", check.Actual, issuer)
	case ok && check.Check == "metadata.location":
		x.problem("issuer", checkHint(check), "no metadata of %s was found", issuer)
	default:
		x.problem("metadata", fixOf(ctx, err), "%v", err)
	}
}

// offers tells what the provider knows of what this command can use.
func (x *examination) offers(as *grant.AuthorizationServer) {
	switch methods := as.CodeChallengeMethodsSupported; {
	case slices.Contains(methods, "S256"):
		x.ok("PKCE", "S256 (RFC 7636)")
	case methods == nil:
		x.warn("PKCE", "nothing to do if signing in works; it is used all the same", "the provider does not say whether it knows S256 (RFC 7636)")
	default:
		x.problem("PKCE", "ask the provider to support S256; nothing less is used", "the provider knows %s, and not S256 (RFC 7636)", strings.Join(methods, " "))
	}
	if as.AuthorizationResponseIssParameterSupported {
		x.ok("iss", "the provider names itself in its answers (RFC 9207)")
	} else {
		x.ok("iss", "the provider does not name itself in its answers (RFC 9207)")
	}
	var offered, missing []string
	for _, feature := range []struct {
		name string
		has  bool
	}{
		{"pushed requests (--par)", as.PushedAuthorizationRequestEndpoint != ""},
		{"DPoP (--dpop)", len(as.DPoPSigningAlgValuesSupported) > 0},
		{"another device (--device)", as.DeviceAuthorizationEndpoint != ""},
		{"registration of clients", as.RegistrationEndpoint != ""},
		{"userinfo", as.UserinfoEndpoint != ""},
		{"revocation", as.RevocationEndpoint != ""},
		{"sign-out (--end-session)", as.EndSessionEndpoint != ""},
	} {
		if feature.has {
			offered = append(offered, feature.name)
		} else {
			missing = append(missing, feature.name)
		}
	}
	if len(offered) > 0 {
		x.ok("offers", "%s", strings.Join(offered, ", "))
	}
	if len(missing) > 0 {
		x.ok("offers", "not: %s", strings.Join(missing, ", "))
	}
}

// keys fetches those of the ID tokens.
func (x *examination) keys(ctx context.Context, client *grant.Client, as *grant.AuthorizationServer) {
	if as.JWKSURI == "" {
		x.ok("keys", "the provider has none: it knows no ID tokens")
		return
	}
	const withoutKeys = "tell the provider; without its keys no ID token can be checked"
	if u, err := url.Parse(as.JWKSURI); err != nil || u.User != nil {
		x.problem("keys", withoutKeys, "jwks_uri, the address of the keys, is no URL without credentials")
		return
	}
	began := time.Now()
	status, err := fetch(ctx, client, as.JWKSURI)
	switch {
	case err != nil:
		x.problem("keys", networkHint(err), "%s: %v", as.JWKSURI, err)
	case status != http.StatusOK:
		x.problem("keys", withoutKeys, "%s: %d", as.JWKSURI, status)
	default:
		x.ok("keys", "%s: %d after %s", as.JWKSURI, status, milliseconds(time.Since(began)))
	}
}
