package grant

// The names of the checks, for CheckError.Check.
const (
	checkURLScheme = "url.scheme"
	checkBodySize  = "response.size"

	checkMetadataLocation = "metadata.location"
	checkMetadataIssuer   = "metadata.issuer"
	checkMetadataS256     = "metadata.code_challenge_methods_supported"
	checkMetadataModes    = "metadata.response_modes_supported"
	checkMetadataIss      = "metadata.authorization_response_iss_parameter_supported"
	checkMetadataIDToken  = "metadata.id_token_signing_alg_values_supported"
	checkMetadataJARM     = "metadata.authorization_signing_alg_values_supported"
	checkMetadataDPoP     = "metadata.dpop_signing_alg_values_supported"
	checkEndpoint         = "metadata.endpoint"

	checkResourceLocation = "protected_resource.location"
	checkResourceResource = "protected_resource.resource"
	checkResourceServers  = "protected_resource.authorization_servers"

	checkAuthDuplicate = "authorization_response.duplicate"
	checkAuthResponse  = "authorization_response.response"
	checkAuthIss       = "authorization_response.iss"
	checkAuthState     = "authorization_response.state"
	checkAuthImplicit  = "authorization_response.implicit"
	checkAuthCode      = "authorization_response.code"
	checkAuthSyntax    = "authorization_response.syntax"

	checkPARStatus     = "par_response.status"
	checkPARBody       = "par_response.body"
	checkPARRequestURI = "par_response.request_uri"
	checkPARExpiresIn  = "par_response.expires_in"

	checkTokenStatus       = "token_response.status"
	checkTokenBody         = "token_response.body"
	checkTokenAccessToken  = "token_response.access_token"
	checkTokenType         = "token_response.token_type"
	checkTokenExpiresIn    = "token_response.expires_in"
	checkTokenRefreshToken = "token_response.refresh_token"
	checkTokenScope        = "token_response.scope"
	checkTokenIDToken      = "token_response.id_token"

	checkRevocationStatus = "revocation_response.status"

	checkDeviceStatus          = "device_authorization_response.status"
	checkDeviceBody            = "device_authorization_response.body"
	checkDeviceCode            = "device_authorization_response.device_code"
	checkDeviceUserCode        = "device_authorization_response.user_code"
	checkDeviceVerificationURI = "device_authorization_response.verification_uri"
	checkDeviceExpiresIn       = "device_authorization_response.expires_in"
	checkDeviceInterval        = "device_authorization_response.interval"
	checkDeviceExpired         = "device_flow.expired"

	checkRegistrationStatus       = "registration_response.status"
	checkRegistrationBody         = "registration_response.body"
	checkRegistrationClientID     = "registration_response.client_id"
	checkRegistrationClientSecret = "registration_response.client_secret"
	checkRegistrationExpiresAt    = "registration_response.client_secret_expires_at"

	checkUserinfoStatus = "userinfo_response.status"
	checkUserinfoBody   = "userinfo_response.body"
	checkUserinfoSub    = "userinfo_response.sub"

	// The checks that all tokens of a kind go through have names that begin with
	// the kind: form, header, alg, crit, payload, signature, iss, aud, exp, iat, nbf.
	checkIDTokenISS   = "id_token.iss"
	checkIDTokenSub   = "id_token.sub"
	checkIDTokenAud   = "id_token.aud"
	checkIDTokenAzp   = "id_token.azp"
	checkIDTokenNonce = "id_token.nonce"
	checkIDTokenHash  = "id_token.at_hash"

	checkJWKSStatus = "jwks.status"
	checkJWKSBody   = "jwks.document"
	checkJWKSKey    = "jwks.key"
)
