package store

// maxSecret is how many bytes an item can hold on a system.
func maxSecret(goos, service, user string) int {
	switch goos {
	case "windows":
		return 5 * 512 // CRED_MAX_CREDENTIAL_BLOB_SIZE
	case "darwin", "ios":
		// go-keyring writes one line to security(1), which reads 4095 bytes and
		// does not complain about more: zalando/go-keyring#153. None of our
		// words needs quotes.
		const line = "add-generic-password -U -s  -a  -w go-keyring-base64:\n"
		return (4095 - len(line) - len(service) - len(user)) / 4 * 3 // base64
	default:
		return recordMax
	}
}
