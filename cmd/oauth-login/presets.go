package main

// The ports of providers that compare them: the second is for when something else
// has the first.
const fixedPorts = "8000,18000"

// presets are the providers that need more than an issuer and a client, the most
// used first and then by name. What stands here comes from the documentation of each
// and from what its users report. Tests try it against imitations, never against the
// real ones.
func presets() []preset {
	return append(popularPresets(), otherPresets()...)
}

func popularPresets() []preset {
	return []preset{
		{
			Name: "github", Title: "GitHub", Issuer: "https://github.com/login/oauth", IssuerForm: "https://HOST/login/oauth",
			// An Enterprise Server publishes no metadata, and what github.com publishes
			// lacks the device endpoint.
			AuthorizationPath: "/login/oauth/authorize", TokenPath: "/login/oauth/access_token", DevicePath: "/login/device/code",
			NeedsSecret: true, SecretMethod: "client_secret_post",
			Register: []string{"Settings > Developer settings > OAuth Apps > New OAuth App"},
			Notes: []string{
				"GitHub gives no ID token, and revokes none for a client of this kind: remove the app under Settings > Applications.",
				"Tokens of an OAuth App do not expire, unless that is switched on; those of a GitHub App do, and are refreshed.",
				"Without --scope the token reads what is public; --scope repo is for git.",
				"--device needs no secret, where Device Flow is switched on in the settings of the app.",
				"An organization may have to approve the app before a token can see what is its own.",
				"The issuer of an Enterprise Server is given with --issuer.",
			},
		},
		{
			Name: "google", Title: "Google", Issuer: "https://accounts.google.com",
			Scopes: []string{"openid", "email"}, Prompt: "consent", AuthParams: map[string]string{"access_type": "offline"}, NoOfflineAccess: true,
			NeedsSecret: true,
			Register:    []string{"Google Cloud console > APIs & Services > Credentials > Create OAuth client ID > Desktop app", "No redirect URI has to be registered"},
			Notes: []string{
				"Google wants the secret of a desktop client too. --client-secret-file takes the JSON file that the console offers, and --client-id is not needed then.",
				"A refresh token comes for access_type=offline, and every time only with prompt=consent. Google refuses the scope offline_access.",
				"While the app is in testing, refresh tokens end after 7 days.",
				"Choose Desktop app: a client for iOS has no secret, and one for the web compares the port.",
			},
		},
		{
			Name: "microsoft", Title: "Microsoft Entra ID", IssuerForm: "https://login.microsoftonline.com/TENANT/v2.0",
			RedirectHost: "localhost", NoResource: true,
			Scopes:   []string{"openid", "profile", "email", "offline_access"},
			Register: []string{"Entra admin center > App registrations > New registration", "Authentication > Mobile and desktop applications, and Allow public client flows: Yes"},
			Notes: []string{
				"TENANT is the ID of the tenant, on the Overview page. With its domain in that place, the error says which issuer to give.",
				"The addresses with common and organizations in place of the tenant are refused: their metadata names no issuer that an ID token could be compared with.",
				"Personal accounts have a tenant of their own, which is 9188040d-6c67-4c5b-b112-36a304b66dad.",
				"An API is named by its scopes: --scope api://APP/.default --scope openid --scope offline_access",
				"The port is not compared. 127.0.0.1 in place of localhost has to be written into the manifest of the app.",
			},
		},
		{
			Name: "gitlab", Title: "GitLab", Issuer: "https://gitlab.com", IssuerForm: "https://HOST",
			Ports: fixedPorts, ExactRedirect: true, NoOfflineAccess: true,
			Scopes:   []string{"openid", "email"},
			Register: []string{"Preferences > Applications > Add new application, with Confidential switched off"},
			Notes: []string{
				"Every scope has to be ticked at the application; read_repository and write_repository are for git.",
				"A refresh token always comes, and is replaced at every use. GitLab refuses the scope offline_access.",
				"The issuer of a GitLab of your own is given with --issuer.",
			},
		},
		{
			Name: "okta", Title: "Okta", IssuerForm: "https://DOMAIN.okta.com/oauth2/default",
			Ports: fixedPorts, ExactRedirect: true,
			Scopes:    []string{"openid", "email", "offline_access"},
			Register:  []string{"Applications > Create App Integration > OIDC > Native Application, with the grants Authorization Code and Refresh Token", "Assign people to it"},
			NoRefresh: "the application has to have the grant Refresh Token",
			Notes: []string{
				"The issuer is that of an authorization server under Security > API; that of the organization itself is https://DOMAIN.okta.com.",
			},
		},
		{
			Name: "auth0", Title: "Auth0", IssuerForm: "https://TENANT.REGION.auth0.com/",
			Ports: fixedPorts, ExactRedirect: true, WantsAudience: true,
			Scopes:    []string{"openid", "email", "offline_access"},
			Register:  []string{"Applications > Create Application > Native", "Settings > Allowed Callback URLs"},
			NoRefresh: "the API of --audience has to have Allow Offline Access, and the application the grant Refresh Token",
			Notes: []string{
				"The slash at the end belongs to the issuer.",
				"Name your API with --audience. Without one, the access token is opaque and good for 'oauth-login userinfo' alone.",
			},
		},
		{
			Name: "keycloak", Title: "Keycloak", IssuerForm: "https://HOST/realms/REALM",
			Ports: fixedPorts, ExactRedirect: true,
			Scopes:   []string{"openid", "email"},
			Register: []string{"Clients > Create client, with Client authentication off and Standard flow on", "Settings > Valid redirect URIs"},
			Notes: []string{
				"Refresh tokens last as long as the session. --scope offline_access, beside the others, gets one that outlives it.",
				"Before version 17 the issuer is https://HOST/auth/realms/REALM.",
			},
		},
	}
}
