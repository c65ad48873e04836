package grant

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// PushedAuthorizationRequest sends the parameters of an authorization request to
// the server itself, which answers with a reference to them: RFC 9126, section
// 2.1. The client authenticates as at the token endpoint. params are those that
// would stand in the authorization URL, or client_id and request for a request
// object (section 3); client_id is set in any case.
//
// The response has any status; its body is read already and at most 1 MiB large.
// Hand it to ProcessPushedAuthorizationResponse.
func PushedAuthorizationRequest(ctx context.Context, as *AuthorizationServer, client *Client,
	params url.Values, opts *TokenEndpointRequestOptions) (*http.Response, error) {
	if err := assertBoth(as, client); err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &TokenEndpointRequestOptions{}
	}
	form := url.Values{}
	for name, values := range params {
		if !isCredential(name) && name != "request_uri" { // which must not be pushed: section 2.1
			form[name] = slices.Clone(values)
		}
	}
	form.Set("client_id", client.ClientID) // also beside an Authorization header: it is a parameter of the request
	return post(ctx, as, client, "pushed_authorization_request_endpoint", "application/json", form, opts)
}

// A PushedAuthorization is the reference to a request that was pushed: RFC 9126,
// section 2.2.
type PushedAuthorization struct {
	// RequestURI is request_uri, for the authorization URL. It is good for one
	// use.
	RequestURI string
	// Expiry is when it ends, by this machine's clock.
	Expiry time.Time
}

// ProcessPushedAuthorizationResponse checks the answer to
// PushedAuthorizationRequest: RFC 9126, sections 2.2 and 2.3. A refusal of the
// server is an *Error, one of ours a *CheckError.
func ProcessPushedAuthorizationResponse(as *AuthorizationServer, client *Client, resp *http.Response) (*PushedAuthorization, error) {
	if err := assertBoth(as, client); err != nil {
		return nil, err
	}
	if resp == nil {
		return nil, argumentError("the response is nil")
	}
	pushed, err := pushedAuthorization(resp)
	if err != nil {
		return nil, scrub(err, sentSecrets(resp.Request)...)
	}
	return pushed, nil
}

func pushedAuthorization(resp *http.Response) (*PushedAuthorization, error) {
	sent := sentAt(resp)
	if err := checkStatus(resp, http.StatusCreated, endpointPAR, checkPARStatus); err != nil {
		return nil, err
	}
	body, err := readObject(resp, checkPARBody)
	if err != nil {
		return nil, err
	}
	uri, err := required(body, "request_uri", checkPARRequestURI)
	if err != nil {
		return nil, err
	}
	if !hasURICharacters(uri) { // its form is left to the server
		return nil, &CheckError{Check: checkPARRequestURI, Code: codeInvalidResponse, Reason: "request_uri is not a URI"}
	}
	life, err := lifetime(body, checkPARExpiresIn)
	if err != nil {
		return nil, err
	}
	return &PushedAuthorization{RequestURI: uri, Expiry: sent.Add(life).UTC()}, nil
}

// pushes reports whether the authorization request has to be pushed. There is no
// way back to the plain one: who can read or change the authorization URL would
// choose it.
func (c *Client) pushes(as *AuthorizationServer) bool {
	return c.FAPI2 || c.RequirePushedAuthorizationRequests || as.RequirePushedAuthorizationRequests
}

// push replaces the parameters of an authorization request by the reference to
// them: RFC 9126, section 4.
func (c *Client) push(ctx context.Context, as *AuthorizationServer, request *authorizationRequest) error {
	opts := c.requestOptions()
	opts.DPoP = request.dpop // RFC 9449, section 10.1
	pushed, err := withNonce(opts.DPoP, func() (*PushedAuthorization, error) {
		params, err := c.pushedParameters(as, request.all)
		if err != nil {
			return nil, err
		}
		resp, err := PushedAuthorizationRequest(ctx, as, c, params, opts)
		if err != nil {
			return nil, err
		}
		return ProcessPushedAuthorizationResponse(as, c, resp)
	})
	if err != nil {
		return err
	}
	request.params = url.Values{"client_id": {c.ClientID}, "request_uri": {pushed.RequestURI}}
	request.expiry = pushed.Expiry
	return nil
}

// pushedParameters are signed anew for each request: a server may take the jti of a
// request object once only (RFC 9101, section 10.2; RFC 7519, section 4.1.7).
func (c *Client) pushedParameters(as *AuthorizationServer, params url.Values) (url.Values, error) {
	if !c.signsRequest(as) {
		return params, nil
	}
	return c.sign(as, params, pushedObjectLifetime)
}
