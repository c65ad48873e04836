package grant

import (
	"context"
	"net/http"
	"net/url"
)

// grantTypeDeviceCode is the grant type of RFC 8628, section 3.4.
const grantTypeDeviceCode = "urn:ietf:params:oauth:grant-type:device_code"

// DeviceCodeGrantRequest asks the token endpoint whether the person has finished:
// RFC 8628, section 3.4. The response has any status; hand it to
// ProcessDeviceCodeResponse. Do not ask more often than
// DeviceAuthorization.Interval allows; Client.AuthorizeDevice keeps to it.
func DeviceCodeGrantRequest(ctx context.Context, as *AuthorizationServer, client *Client,
	deviceCode Secret, opts *TokenEndpointRequestOptions) (*http.Response, error) {
	if err := assertBoth(as, client); err != nil {
		return nil, err
	}
	if deviceCode == "" {
		return nil, argumentError("the device code is empty")
	}
	return tokenRequest(ctx, as, client, url.Values{
		"grant_type":  {grantTypeDeviceCode},
		"device_code": {string(deviceCode)},
	}, opts)
}

// ProcessDeviceCodeOptions say what a token response (RFC 8628, section 3.5) has
// to hold beyond what is always demanded. The zero value demands no ID token.
type ProcessDeviceCodeOptions struct {
	// MaxAge is max_age of the device authorization request, in seconds; nil
	// means the client's DefaultMaxAge. It makes auth_time mandatory in an ID
	// token.
	MaxAge *int
	// RequireIDToken makes the ID token mandatory.
	RequireIDToken bool
	// DPoP is that of the request; the token may be bound to its key, and keeps
	// it. nil for none, and then a token of the type "dpop" is refused.
	DPoP *DPoP
	// RecognizedTokenTypes are token types to accept beside bearer, in lower
	// case.
	RecognizedTokenTypes []string
	// HTTPClient fetches the keys; nil means the client's.
	HTTPClient *http.Client
	// AllowInsecureRequests allows http, to loopback hosts only.
	AllowInsecureRequests bool
}

// ProcessDeviceCodeResponse checks the answer to DeviceCodeGrantRequest: RFC
// 8628, section 3.5, and RFC 6749, section 5. An ID token is verified whenever
// one came; no nonce is expected in it.
//
// While the person has not finished, the error is an *Error whose code is
// "authorization_pending" or "slow_down".
func ProcessDeviceCodeResponse(ctx context.Context, as *AuthorizationServer, client *Client,
	resp *http.Response, opts *ProcessDeviceCodeOptions) (*Token, error) {
	if opts == nil {
		opts = &ProcessDeviceCodeOptions{}
	}
	return processDeviceCodeResponse(ctx, as, client, resp, opts, false)
}

func processDeviceCodeResponse(ctx context.Context, as *AuthorizationServer, client *Client, resp *http.Response,
	opts *ProcessDeviceCodeOptions, lenient bool) (*Token, error) {
	p, err := newTokenProcessor(as, client, opts.MaxAge)
	if err != nil {
		return nil, err
	}
	p.dpop, p.types, p.lenient, p.requireIDToken = opts.DPoP, opts.RecognizedTokenTypes, lenient, opts.RequireIDToken
	p.keys = keySource{httpClient: client.httpClient(opts.HTTPClient), insecure: opts.AllowInsecureRequests}
	return p.process(ctx, resp)
}
