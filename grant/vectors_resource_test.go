package grant_test

import (
	"context"
	"net/http"

	"github.com/oauth-login/oauth-login/grant"
)

func doUserinfo(ctx context.Context, v *vector, client *grant.Client) (map[string]any, error) {
	previous, err := v.previous(client)
	if err != nil {
		return nil, err
	}
	client.Server = v.Server
	userinfo, err := client.Userinfo(ctx, previous)
	if err != nil {
		return nil, err
	}
	claims := map[string]any{}
	return claims, userinfo.Claims(&claims)
}

func doChallenges(_ context.Context, v *vector, _ *grant.Client) (map[string]any, error) {
	challenges := grant.ParseChallenges(http.Header{"Www-Authenticate": v.With.Headers})
	return map[string]any{"challenges": challengesResult(challenges)}, nil
}

func doResource(ctx context.Context, v *vector, client *grant.Client) (map[string]any, error) {
	opts := &grant.DiscoverOptions{HTTPClient: client.HTTPClient, Header: client.Header, AllowInsecureRequests: client.AllowInsecureRequests}
	discover := func() (*grant.ProtectedResource, error) {
		return grant.DiscoverProtectedResource(ctx, v.With.Resource, opts)
	}
	if v.With.ResourceMetadata != "" {
		discover = func() (*grant.ProtectedResource, error) {
			return grant.DiscoverProtectedResourceAt(ctx, v.With.Resource, v.With.ResourceMetadata, opts)
		}
	}
	found, err := discover()
	if err != nil {
		return nil, err
	}
	return result(found)
}

// doRequest sends a request with a token, and once more where it lacked a nonce.
func doRequest(ctx context.Context, v *vector, client *grant.Client) (map[string]any, error) {
	token, err := v.previous(client)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		req, err := http.NewRequestWithContext(ctx, v.With.Method, v.With.URL, nil)
		if err != nil {
			return nil, err
		}
		if err := token.Authorize(req); err != nil {
			return nil, err
		}
		resp, err := client.HTTPClient.Transport.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		if !token.Observe(req, resp) || attempt == 2 {
			return result(map[string]any{"status": resp.StatusCode})
		}
	}
}
