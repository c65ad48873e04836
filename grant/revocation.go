package grant

import (
	"context"
	"net/http"
	"net/url"
)

// RevocationRequest tells the server that a token is of no more use: RFC 7009,
// section 2.1. typeHint is "access_token", "refresh_token" or empty. Hand the
// response to ProcessRevocationResponse.
func RevocationRequest(ctx context.Context, as *AuthorizationServer, client *Client,
	token Secret, typeHint string, opts *TokenEndpointRequestOptions) (*http.Response, error) {
	if err := assertBoth(as, client); err != nil {
		return nil, err
	}
	if token == "" {
		return nil, argumentError("the token is empty")
	}
	if opts == nil {
		opts = &TokenEndpointRequestOptions{}
	}
	form := url.Values{"token": {string(token)}}
	if typeHint != "" {
		form.Set("token_type_hint", typeHint)
	}
	return post(ctx, as, client, "revocation_endpoint", "", form, opts)
}

// ProcessRevocationResponse checks the answer to RevocationRequest: RFC 7009,
// section 2.2. A token that the server does not know is a success too.
func ProcessRevocationResponse(as *AuthorizationServer, client *Client, resp *http.Response) error {
	if err := assertBoth(as, client); err != nil {
		return err
	}
	if resp == nil {
		return argumentError("the response is nil")
	}
	defer closeBody(resp) // a body of a success means nothing
	return scrub(checkStatus(resp, http.StatusOK, endpointRevocation, checkRevocationStatus), sentSecrets(resp.Request)...)
}

// Revoke ends the use of a token at the server: RFC 7009, section 2. typeHint
// is "access_token", "refresh_token" or empty. A server without a revocation
// endpoint leads to a *CheckError with the code OAUTH_MISSING_SERVER_METADATA.
func (c *Client) Revoke(ctx context.Context, token Secret, typeHint string) error {
	err := c.revoke(ctx, token, typeHint)
	c.logRefusal(ctx, "revocation", err)
	return err
}

func (c *Client) revoke(ctx context.Context, token Secret, typeHint string) error {
	as, err := c.Discover(ctx)
	if err != nil {
		return err
	}
	resp, err := RevocationRequest(ctx, as, c, token, typeHint, c.requestOptions())
	if err == nil {
		err = ProcessRevocationResponse(as, c, resp)
	}
	c.doubt(ctx, as, err)
	return err
}
