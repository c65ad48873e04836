package grant

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
)

// Userinfo is what the userinfo endpoint says about the person who signed in
// (OpenID Connect Core 1.0, section 5.3), after all checks.
type Userinfo struct {
	// Subject is sub: the same as that of the ID token, where there is one.
	Subject string

	payload *payload
}

// Claims decodes the claims (OpenID Connect Core 1.0, section 5.1) into v, as
// encoding/json does. A json.RawMessage takes them as they came.
func (u *Userinfo) Claims(v any) error {
	if u == nil || u.payload == nil {
		return argumentError("there is no checked userinfo response")
	}
	return json.Unmarshal(u.payload.json, v)
}

// Format prints a placeholder for every verb: the claims are about a person.
func (Userinfo) Format(f fmt.State, _ rune) { io.WriteString(f, "userinfo "+redacted) }

// LogValue returns a placeholder.
func (Userinfo) LogValue() slog.Value { return slog.StringValue("userinfo " + redacted) }

// UserinfoRequestOptions are the options of UserinfoRequest (OpenID Connect Core
// 1.0, section 5.3.1). The zero value serves.
type UserinfoRequestOptions struct {
	// Header is added to the request; it wins over the client's. It must not
	// have Authorization.
	Header http.Header
	// DPoP is the key that the access token is bound to, and has a proof sent; nil
	// for a bearer token. A nonce in the response is remembered.
	DPoP *DPoP
	// HTTPClient makes the request; nil means the client's.
	HTTPClient *http.Client
	// AllowInsecureRequests allows http, to loopback hosts only.
	AllowInsecureRequests bool
}

// UserinfoRequest asks for the claims about the person: OpenID Connect Core 1.0,
// section 5.3.1. accessToken is one that was granted with the scope openid. The
// response has any status; hand it to ProcessUserinfoResponse.
func UserinfoRequest(ctx context.Context, as *AuthorizationServer, client *Client,
	accessToken Secret, opts *UserinfoRequestOptions) (*http.Response, error) {
	if err := assertBoth(as, client); err != nil {
		return nil, err
	}
	if accessToken == "" {
		return nil, argumentError("the access token is empty")
	}
	if opts == nil {
		opts = &UserinfoRequestOptions{}
	}
	u, err := as.endpoint("userinfo_endpoint", client, opts.AllowInsecureRequests)
	if err != nil {
		return nil, err
	}
	accept := "application/json, application/jwt"
	if client.UserinfoSignedResponseAlg != "" {
		accept = "application/jwt"
	}
	req, err := newGet(ctx, u, accept, client.Header, opts.Header)
	if err != nil {
		return nil, err
	}
	if opts.DPoP == nil {
		req.Header.Set("Authorization", "Bearer "+string(accessToken)) // RFC 6750, section 2.1
		return send(client.httpClient(opts.HTTPClient), client.Logger, req)
	}
	if err := opts.DPoP.authorize(req, accessToken, client.now()); err != nil {
		return nil, err
	}
	resp, err := send(client.httpClient(opts.HTTPClient), client.Logger, req)
	if err != nil {
		return nil, err
	}
	opts.DPoP.learn(u, resp.Header)
	return resp, nil
}

// ProcessUserinfoOptions are the options of ProcessUserinfoResponse (OpenID
// Connect Core 1.0, section 5.3.2). The zero value serves.
type ProcessUserinfoOptions struct {
	// HTTPClient fetches the keys for a signed answer; nil means the client's.
	HTTPClient *http.Client
	// AllowInsecureRequests allows http, to loopback hosts only.
	AllowInsecureRequests bool
}

// ProcessUserinfoResponse checks the answer to UserinfoRequest: OpenID Connect
// Core 1.0, sections 5.3.2 to 5.3.4. token is the one whose access token was
// sent; where it has an ID token, the answer must be about the same person. The
// signature of a signed answer is always verified, with an algorithm that
// Client.UserinfoSignedResponseAlg names, or else the server.
//
// A refusal of the server is an *Error, one of ours a *CheckError.
func ProcessUserinfoResponse(ctx context.Context, as *AuthorizationServer, client *Client,
	token *Token, resp *http.Response, opts *ProcessUserinfoOptions) (*Userinfo, error) {
	if err := assertBoth(as, client); err != nil {
		return nil, err
	}
	if token == nil {
		return nil, argumentError("the token is nil")
	}
	if resp == nil {
		return nil, argumentError("the response is nil")
	}
	if opts == nil {
		opts = &ProcessUserinfoOptions{}
	}
	p := userinfoProcessor{as, client, keySource{httpClient: client.httpClient(opts.HTTPClient), insecure: opts.AllowInsecureRequests}}
	userinfo, err := p.process(ctx, resp, token.IDToken)
	if err != nil {
		return nil, scrub(err, append(sentSecrets(resp.Request), string(token.AccessToken))...)
	}
	return userinfo, nil
}

// Userinfo fetches the claims about the person whom a token is for: OpenID Connect
// Core 1.0, section 5.3. A server
// without a userinfo endpoint leads to a *CheckError with the code
// OAUTH_MISSING_SERVER_METADATA; a token that is of no more use leads to an
// *Error with the status 401.
func (c *Client) Userinfo(ctx context.Context, token *Token) (*Userinfo, error) {
	userinfo, err := c.userinfo(ctx, token)
	c.logRefusal(ctx, "userinfo", err)
	return userinfo, err
}

func (c *Client) userinfo(ctx context.Context, token *Token) (*Userinfo, error) {
	if token == nil {
		return nil, argumentError("the token is nil")
	}
	as, err := c.Discover(ctx)
	if err != nil {
		return nil, err
	}
	opts := &UserinfoRequestOptions{AllowInsecureRequests: c.AllowInsecureRequests}
	if token.tokenType() == tokenTypeDPoP {
		if opts.DPoP = token.DPoP; opts.DPoP == nil {
			return nil, argumentError("the token is bound to a key, which is not here")
		}
	}
	info, err := withNonce(opts.DPoP, func() (*Userinfo, error) {
		resp, err := UserinfoRequest(ctx, as, c, token.AccessToken, opts)
		if err != nil {
			return nil, err
		}
		return ProcessUserinfoResponse(ctx, as, c, token, resp, &ProcessUserinfoOptions{AllowInsecureRequests: c.AllowInsecureRequests})
	})
	if err != nil {
		c.doubt(ctx, as, err)
	}
	return info, err
}

// A userinfoProcessor checks one userinfo response.
type userinfoProcessor struct {
	as     *AuthorizationServer
	client *Client
	keys   keySource
}

func (p *userinfoProcessor) process(ctx context.Context, resp *http.Response, idToken *IDToken) (*Userinfo, error) {
	if err := p.checkStatus(resp); err != nil {
		return nil, err
	}
	claims, data, err := p.claims(ctx, resp)
	if err != nil {
		return nil, err
	}
	subject, ok := claims.str("sub")
	if !ok || subject == "" {
		return nil, &CheckError{Check: checkUserinfoSub, Code: codeInvalidResponse,
			Reason: "the answer has no sub, or one that is not a string with something in it"}
	}
	// "The sub Claim in the UserInfo Response MUST be verified to exactly match
	// the sub Claim in the ID Token": OpenID Connect Core 1.0, section 5.3.2.
	if idToken != nil && subject != idToken.Subject {
		return nil, &CheckError{Check: checkUserinfoSub, Code: codeAttributeComparison,
			Reason: "the answer is about another person than the ID token"}
	}
	return &Userinfo{Subject: subject, payload: &payload{data}}, nil
}

// checkStatus takes challenges as the error response that they are (OpenID
// Connect Core 1.0, section 5.3.3). Bodies of errors mean nothing here.
func (p *userinfoProcessor) checkStatus(resp *http.Response) error {
	challenges := ParseChallenges(resp.Header)
	if len(challenges) == 0 && resp.StatusCode == http.StatusOK {
		return nil
	}
	if len(challenges) > 0 {
		refusal := &Error{Endpoint: endpointUserinfo, Status: resp.StatusCode, Challenges: challenges, newNonce: isNonce(resp.Header.Get("DPoP-Nonce"))}
		refusal.fromChallenge(challenges)
		return cmp.Or(keepBody(resp), error(refusal))
	}
	closeBody(resp)
	return &CheckError{Check: checkUserinfoStatus, Code: codeNotConform, Status: resp.StatusCode,
		Reason: fmt.Sprintf("the userinfo endpoint answered with status %d%s", resp.StatusCode, redirectTarget(resp))}
}

// claims returns the claims, decoded and as they came. The content type tells a
// signed answer from a plain one.
func (p *userinfoProcessor) claims(ctx context.Context, resp *http.Response) (object, []byte, error) {
	signed := hasMediaType(resp, "application/jwt")
	if !signed && p.client.UserinfoSignedResponseAlg != "" {
		closeBody(resp)
		return nil, nil, &CheckError{Check: checkUserinfoBody, Code: codeJWTUserinfoExpected,
			Reason: "the answer is not signed, although the client is registered for signed ones"}
	}
	body, err := readBody(resp)
	if err != nil {
		return nil, nil, err
	}
	if !signed {
		claims, err := parseAnswer(resp, body, checkUserinfoBody)
		return claims, bytes.TrimPrefix(body, byteOrderMark), err
	}
	t, err := p.verify(ctx, string(body))
	if err != nil {
		return nil, nil, err
	}
	return t.claims, t.payload, nil
}

// verify checks a signed answer: OpenID Connect Core 1.0, section 5.3.4. Its iss
// and aud need not be there (section 5.3.2).
func (p *userinfoProcessor) verify(ctx context.Context, raw string) (*jwt, error) {
	t, err := parseJWT(kindUserinfo, raw, func(t *jwt) error {
		return cmp.Or(checkAlg(t, p.client.UserinfoSignedResponseAlg, p.client.algs(p.as.UserinfoSigningAlgValuesSupported), ""), checkCrit(t))
	})
	if err != nil {
		return nil, err
	}
	c := newClaimChecker(p.as, p.client, t)
	if err := cmp.Or(c.exp(), c.iat(), c.nbf(), c.iss(), c.aud()); err != nil {
		return nil, err
	}
	return t, p.keys.verify(ctx, p.as, p.client, t)
}
