package store

// limits are the sizes, in bytes, that suit the keychain of a system.
type limits struct {
	item   int // no item is larger
	record int // no record is an item by itself that is larger; its backup is larger still
	parts  int // a larger record goes to a file, and only its key into the keychain
}

// recordRoom is how much larger than a record its backup may be.
const recordRoom = 100

// limitsOf knows what the systems can take. Windows has the smallest items: 5*512
// bytes, CRED_MAX_CREDENTIAL_BLOB_SIZE. On macOS an item goes through one line of
// 4095 bytes to security(1), in base64, and go-keyring does not notice every one
// that is longer: zalando/go-keyring#153. Either would take hundreds of items for
// a large record, and Windows has a limit on their number too.
//
// A Secret Service takes any size, and one large item in a fraction of the time
// of many small ones: with every change, gnome-keyring writes its whole file anew.
func limitsOf(goos string) limits {
	switch goos {
	case "windows", "darwin", "ios":
		return limits{item: 2500, record: 2500 - recordRoom, parts: 64 << 10}
	default:
		return limits{item: recordMax + recordRoom, record: recordMax, parts: recordMax}
	}
}
