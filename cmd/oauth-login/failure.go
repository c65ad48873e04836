package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// The exit codes. They are part of the interface, as is error.code in JSON.
const (
	exitDone             = 0
	exitFailure          = 1
	exitUsage            = 2
	exitLoginRequired    = 3
	exitRefused          = 4
	exitTimeout          = 5
	exitStoreUnavailable = 6
	exitNotExecutable    = 126 // as shells have it, of the command of 'exec'
	exitNotFound         = 127
	exitInterrupted      = 130
	exitNotRead          = 141 // as shells have it, of SIGPIPE
)

func exitNames() map[int]string {
	return map[int]string{
		exitFailure: "failure", exitUsage: "usage", exitLoginRequired: "login_required", exitRefused: "refused",
		exitTimeout: "timeout", exitStoreUnavailable: "store_unavailable", exitInterrupted: "interrupted",
		exitNotExecutable: "not_executable", exitNotFound: "not_found",
	}
}

// A failure is an error as the person sees it: what happened, and what to do.
type failure struct {
	code  int
	name  string
	text  string
	hints []string
	token *tokenJSON // that is to be had all the same, nil for none
}

// A commandError is a mistake in how the command was called, or something that
// the command knows the remedy of.
type commandError struct {
	code       int
	text, hint string
	err        error
}

func (e *commandError) Error() string { return e.text }
func (e *commandError) Unwrap() error { return e.err }

// usageError is a mistake in the call. Without a hint, the person is sent to the help
// page of the verb: see onPage.
func usageError(text, hint string) error {
	return &commandError{code: exitUsage, text: text, hint: hint}
}

// describe turns an error into an exit code, one line of text and hints.
func describe(ctx context.Context, err error) failure {
	code, hints := classify(ctx, err)
	text := strings.Join(strings.Fields(err.Error()), " ")
	if code == exitInterrupted {
		text = "interrupted"
	}
	f := failure{code: code, name: exitNames()[code], text: text, hints: hints}
	if e, ok := errors.AsType[*unsavedToken](err); ok {
		f.token = e.token
	}
	return f
}

func classify(ctx context.Context, err error) (code int, hints []string) {
	if ctx.Err() != nil {
		return exitInterrupted, []string{"'oauth-login status' shows who is signed in"}
	}
	if e, ok := errors.AsType[*commandError](err); ok {
		return e.code, []string{e.hint}
	}
	if e, ok := errors.AsType[*store.UnavailableError](err); ok {
		return exitStoreUnavailable, storeHints(e)
	}
	if e, ok := errors.AsType[*store.LockError](err); ok {
		return lockCode(e), []string{lockHint(e)}
	}
	if errors.Is(err, store.ErrLoginRequired) {
		return exitLoginRequired, []string{"sign in again: oauth-login login, or add --interactive to this command"}
	}
	if isDamaged(err) {
		return exitLoginRequired, []string{"sign in again: oauth-login login"}
	}
	if errors.Is(err, store.ErrNewer) {
		return exitStoreUnavailable, []string{"update oauth-login; the login is left as it is"}
	}
	if e, ok := errors.AsType[*loopback.TimeoutError](err); ok {
		return exitTimeout, timeoutHints(e)
	}
	if _, ok := errors.AsType[*loopback.BindError](err); ok {
		return exitFailure, []string{"choose other ports with --port 8000,18000, or leave --port out for any free one"}
	}
	if e, ok := errors.AsType[*grant.Error](err); ok {
		return refusalCode(e), []string{refusalHint(e)}
	}
	if e, ok := errors.AsType[*grant.CheckError](err); ok {
		return checkCode(e), []string{checkHint(e)}
	}
	if errors.Is(err, grant.ErrArgument) {
		return exitUsage, []string{"check the flags; 'oauth-login login --help' shows them"}
	}
	if isOutput(err) {
		return exitFailure, []string{"make room where standard output goes, or send it elsewhere"}
	}
	return exitFailure, []string{networkHint(err)}
}

// isOutput reports whether what went wrong is that standard output takes nothing.
func isOutput(err error) bool {
	e, ok := errors.AsType[*fs.PathError](err)
	return ok && e.Path == os.Stdout.Name()
}

// isNotRead reports whether that leads to a pipe that nobody reads any more.
func isNotRead(err error) bool { return isOutput(err) && errors.Is(err, syscall.EPIPE) }

func timeoutHints(e *loopback.TimeoutError) []string {
	hints := []string{"run the command again and finish in the browser; --timeout 15m waits longer",
		"register the redirect URI of this client, if the provider shows an error: 'oauth-login --verbose' says which"}
	if said := quoteUnverified(e.Unverified); said != "" {
		return append([]string{"mend what the provider may have said " + said}, hints...)
	}
	return hints
}

func lockCode(e *store.LockError) int {
	if e.Busy {
		return exitTimeout
	}
	return exitStoreUnavailable
}

func lockHint(e *store.LockError) string {
	if e.Busy {
		return "look for an oauth-login that hangs and end it, then run the command again"
	}
	return "make the directory one of yours that others cannot write to, or give all commands another one: OAUTH_LOGIN_LOCK_DIR, --lock-dir"
}

// storeHints adds the choice that there is for a person without a keychain.
func storeHints(e *store.UnavailableError) []string {
	hints := e.Hints()
	for _, other := range []string{new(store.EncryptedFile).Name(), new(store.Profiles).Name()} {
		if e.Backend == other {
			return hints
		}
	}
	return append(hints, "sign in with --store encrypted-file, to keep the login in a file that a passphrase or key opens")
}

// refusalCode: codes that expired are a timeout, whoever says so first.
func refusalCode(e *grant.Error) int {
	if e.Code == "expired_token" {
		return exitTimeout
	}
	return exitRefused
}

// refusalHint says what the codes of RFC 6749, sections 4.1.2.1 and 5.2, and of
// OpenID Connect Core 1.0, section 3.1.2.6, usually mean for the person.
func refusalHint(e *grant.Error) string {
	if hint := complaintHint(e); hint != "" {
		return hint
	}
	switch e.Code {
	case "expired_token":
		return "run the command again and finish on the other device before the code expires"
	case "access_denied":
		return "run the command again and allow the access on the provider's page"
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return "the provider has to ask something; run the command again without --prompt none"
	case "invalid_client":
		return "check --client-id, --client-auth and the secret, key or certificate against the registration at the provider"
	case "invalid_dpop_proof", "use_dpop_nonce":
		return "set the clock of this machine, then run the command again; without --dpop, the tokens are not bound to a key"
	case "invalid_scope":
		return "ask for other scopes with --scope"
	case "invalid_grant":
		return "run the command again; if it stays, check that the redirect URI and the clock of this machine are right"
	case "temporarily_unavailable", "server_error":
		return "the provider has trouble; try again later"
	}
	return "check the settings of this client at the provider"
}

// checkCode: a server that is in trouble is a failure, not a refusal of ours.
func checkCode(e *grant.CheckError) int {
	if e.Code == "OAUTH_TIMEOUT" {
		return exitTimeout
	}
	if e.Status >= 500 {
		return exitFailure
	}
	return exitRefused
}

func checkHint(e *grant.CheckError) string {
	if strings.HasPrefix(e.Reason, "FAPI 2.0 demands") {
		return "the provider is not up to FAPI 2.0, or does not say so; leave --fapi2 out, or ask the provider"
	}
	switch e.Check {
	case "metadata.issuer":
		if strings.Contains(e.Actual, "{tenantid}") {
			return "give the issuer of your own tenant: --issuer " + shellWord(strings.Replace(e.Actual, "{tenantid}", "TENANT", 1)) +
				"; the address of all tenants names none that an ID token could be compared with; 'oauth-login providers microsoft' says more"
		}
		return "check --issuer; the document says --issuer " + shellWord(e.Actual)
	case "metadata.location":
		if name := withoutMetadata(e); name != "" {
			return "this is a provider that is known: --provider " + name
		}
		return "check --issuer; for an issuer without metadata give --authorization-endpoint and --token-endpoint"
	case "metadata.dpop_signing_alg_values_supported":
		return "sign in without --dpop; the tokens are not bound to a key then"
	case "protected_resource.resource":
		return "check --resource; the document says --resource " + shellWord(e.Actual)
	case "protected_resource.location":
		return "name the issuer with --issuer; the resource does not say who it is"
	case "metadata.endpoint":
		return endpointHint(e.Reason)
	case "device_flow.expired":
		return "run the command again and finish on the other device before the code expires"
	case "metadata.response_modes_supported":
		return "leave --response-mode out, or choose one of those that the provider supports"
	case "authorization_response.mode", "authorization_response.response":
		return "the provider did not answer in the way that --response-mode asked for; leave it out, or tell the provider"
	case "url.scheme":
		return "use https, as everybody on the way could read the tokens; http is for loopback hosts only, and not with --fapi2"
	case "token_response.id_token":
		return "the provider may not speak OpenID Connect; name the scopes without openid, with --scope"
	}
	switch {
	case e.Code == "OAUTH_JWT_TIMESTAMP_CHECK_FAILED":
		return "set the clock of this machine, then run the command again"
	case e.Status >= 500:
		return "the provider has trouble; try again later"
	case strings.HasPrefix(e.Check, "authorization_response."):
		return "the answer may have been tampered with; run the command again, and tell the provider if it stays"
	}
	return "nothing was saved; tell the provider what this line says"
}

// endpointHint is about an endpoint that the provider does not offer.
func endpointHint(reason string) string {
	for endpoint, hint := range map[string]string{
		"pushed_authorization_request_endpoint": "the provider takes no pushed requests; leave --par out",
		"device_authorization_endpoint":         "the provider offers no sign-in on another device; leave --device out",
		"userinfo_endpoint":                     "the provider tells no more than 'oauth-login status' shows",
	} {
		if strings.HasSuffix(reason, endpoint) {
			return hint
		}
	}
	return "give the endpoint with --authorization-endpoint, --token-endpoint or --jwks-uri"
}
