package main

func otherPresets() []preset {
	return []preset{
		{
			Name: "apple", Title: "Apple", Issuer: "https://appleid.apple.com",
			Unsupported: "Apple sends people back to https addresses of a domain only, and to none of this machine",
			Notes:       []string{"Its clients also need a secret that is signed anew every few months."},
		},
		{
			Name: "atlassian", Title: "Atlassian", Issuer: "https://auth.atlassian.com",
			AuthorizationPath: "/authorize", TokenPath: "/oauth/token",
			Ports: "8000", ExactRedirect: true,
			Scopes: []string{"read:me", "offline_access"}, Prompt: "consent", Audience: "api.atlassian.com",
			NeedsSecret: true, SecretMethod: "client_secret_post",
			Register: []string{"Developer console > Create > OAuth 2.0 integration", "Authorization > OAuth 2.0 (3LO), which takes one callback URL"},
			Notes: []string{
				"Name the scopes of the products with --scope, and offline_access beside them. Each has to be added to the app under Permissions.",
				"Refresh tokens are replaced at every use. The API wants the cloud ID of a site, which https://api.atlassian.com/oauth/token/accessible-resources tells.",
			},
		},
		{
			Name: "bitbucket", Title: "Bitbucket Cloud", Issuer: "https://bitbucket.org",
			AuthorizationPath: "/site/oauth2/authorize", TokenPath: "/site/oauth2/access_token",
			Ports: "8000", ExactRedirect: true,
			NeedsSecret: true, SecretMethod: "client_secret_basic",
			Register: []string{"Workspace settings > OAuth consumers > Add consumer, which takes one callback URL", "Switch on: This is a private consumer"},
			Notes: []string{
				"The scopes are those of the consumer. The secret is the one beside its key, and the key is the client ID.",
				"Access tokens end after two hours; the refresh token stays.",
			},
		},
		{
			Name: "cognito", Title: "Amazon Cognito", IssuerForm: "https://cognito-idp.REGION.amazonaws.com/POOL",
			RedirectHost: "localhost", Ports: fixedPorts, ExactRedirect: true, NoOfflineAccess: true,
			Scopes:   []string{"openid", "email"},
			Register: []string{"User pool > App clients > Create app client > Mobile app, with the grant Authorization code"},
			Notes: []string{
				"http is allowed with the name localhost only. A client that was made with a secret cannot lose it: make another one.",
				"A refresh token always comes. Cognito refuses the scope offline_access.",
			},
		},
		{
			Name: "databricks", Title: "Databricks", IssuerForm: "https://WORKSPACE/oidc",
			AuthorizationPath: "/oidc/v1/authorize", TokenPath: "/oidc/v1/token",
			RedirectHost: "localhost", Ports: "8020,8021", ExactRedirect: true,
			Scopes:    []string{"all-apis", "offline_access"},
			Register:  []string{"Account console > Settings > App connections > Add connection, without a client secret"},
			NoRefresh: "the connection has to have the scope offline_access",
			Notes: []string{
				"WORKSPACE is the host name of the workspace.",
				"The client of the vendor's own command is in every workspace: --client-id databricks-cli --redirect-uri http://localhost:8020",
			},
		},
		{
			Name: "dex", Title: "Dex", IssuerForm: "https://HOST/dex",
			Scopes:    []string{"openid", "email", "offline_access"},
			Register:  []string{"staticClients in the configuration, with public: true and without redirectURIs"},
			NoRefresh: "the connector behind Dex has to support it",
			Notes: []string{
				"A public client without redirectURIs may use every port of this machine. One that has any compares them, port and all: give --port then.",
			},
		},
		{
			Name: "jumpcloud", Title: "JumpCloud", Issuer: "https://oauth.id.jumpcloud.com/",
			Ports: fixedPorts, ExactRedirect: true,
			Scopes:    []string{"openid", "email", "offline_access"},
			Register:  []string{"SSO Applications > Add New Application > Custom Application > OIDC, with Client Authentication Type: Public (None PKCE) and the grant Refresh Token"},
			NoRefresh: "the application has to have the grant Refresh Token",
			Notes:     []string{"The slash at the end belongs to the issuer."},
		},
		{
			Name: "linkedin", Title: "LinkedIn", Issuer: "https://www.linkedin.com/oauth",
			AuthorizationPath: "/oauth/native-pkce/authorization", TokenPath: "/oauth/v2/accessToken",
			Scopes:   []string{"profile", "email"},
			Register: []string{"LinkedIn Developers > Create app", "Ask your contact at LinkedIn to enable OAuth 2.0 native PKCE for it"},
			Notes: []string{
				"The endpoint for clients without PKCE is not used: it refuses PKCE, and this command does not sign in without.",
				"The ID tokens of LinkedIn have no nonce and could be those of another login, so that openid is not asked for.",
				"Most apps get no refresh token: sign in again after 60 days.",
			},
		},
		{
			Name: "salesforce", Title: "Salesforce", Issuer: "https://login.salesforce.com", IssuerForm: "https://DOMAIN.my.salesforce.com",
			RedirectHost: "localhost", Ports: "1717", CallbackPath: "/OauthRedirect", ExactRedirect: true,
			Scopes:   []string{"openid", "api", "refresh_token"},
			Register: []string{"Setup > External Client App Manager > New External Client App, with Enable OAuth", "Security: PKCE required, and no secret for Web Server Flow and Refresh Token Flow"},
			Notes: []string{
				"The redirect URI is that of the vendor's own command. Another port may be registered and given with --port.",
				"Salesforce calls the scope for a refresh token refresh_token, and does not say when an access token ends.",
			},
		},
		{
			Name: "slack", Title: "Slack", Issuer: "https://slack.com",
			RedirectHost: "localhost", Ports: fixedPorts, ExactRedirect: true, NoOfflineAccess: true,
			Scopes:   []string{"openid", "email", "profile"},
			Register: []string{"Your Apps > Create New App", "OAuth & Permissions > Redirect URLs, and PKCE switched on, which cannot be undone"},
			Notes: []string{
				"This is Sign in with Slack, which tells who the person is. Its token is good for 'oauth-login userinfo' and not for the Web API.",
				"Slack answers errors with the status of success, which is seen.",
			},
		},
		{
			Name: "spotify", Title: "Spotify", Issuer: "https://accounts.spotify.com",
			AuthorizationPath: "/authorize", TokenPath: "/api/token",
			Register: []string{"Spotify for Developers > Dashboard > Create app"},
			Notes: []string{
				"The name localhost is refused since 2025, and 127.0.0.1 taken with any port.",
				"A refresh token always comes, and is replaced at every use.",
			},
		},
		{
			Name: "zitadel", Title: "ZITADEL", IssuerForm: "https://INSTANCE.REGION.zitadel.cloud",
			Scopes:    []string{"openid", "email", "offline_access"},
			Register:  []string{"Project > New application > Native, with the grants Authorization Code and Refresh Token"},
			NoRefresh: "the application has to have the grant Refresh Token",
		},
		{
			Name: "zoom", Title: "Zoom", Issuer: "https://zoom.us",
			AuthorizationPath: "/oauth/authorize", TokenPath: "/oauth/token",
			Register: []string{"App Marketplace > Develop > Build App > General App", "Basic Information > Use Public Client OAuth"},
			Notes: []string{
				"Give the public client ID, which is another one than the client ID.",
				"The scopes are those of the app. Refresh tokens are replaced at every use.",
			},
		},
	}
}
