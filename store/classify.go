package store

import (
	"errors"
	"strings"
	"syscall"

	"github.com/zalando/go-keyring"
)

// classify turns an error of go-keyring into one of this package. It has few
// errors of its own; the rest are exit statuses, error numbers and texts.
func (k *Keychain) classify(err error) error {
	if _, done := errors.AsType[*UnavailableError](err); done || err == nil {
		return err
	}
	if errors.Is(err, keyring.ErrNotFound) {
		return ErrNotFound
	}
	if errors.Is(err, keyring.ErrUnsupportedPlatform) {
		return k.unavailable(Absent, errors.New("this build has no keychain for this system"))
	}
	if errors.Is(err, keyring.ErrSetDataTooBig) {
		return k.unavailable(TooBig, nil)
	}
	switch k.system() {
	case "darwin", "ios":
		return k.classifyMac(err)
	case "windows":
		return k.classifyWindows(err)
	}
	return k.classifySecretService(err)
}

// classifyMac knows the exit statuses of security(1), which are the low eight
// bits of an OSStatus.
func (k *Keychain) classifyMac(err error) error {
	var exit interface{ ExitCode() int }
	if !errors.As(err, &exit) {
		return k.unavailable(Failed, err)
	}
	switch exit.ExitCode() {
	case 44: // errSecItemNotFound; go-keyring looks for an English text
		return ErrNotFound
	case 36: // errSecInteractionNotAllowed
		return k.unavailable(Locked, errors.New("this session may not ask for its password"))
	case 51: // errSecAuthFailed
		return k.unavailable(Denied, errors.New("the password was wrong"))
	case 128: // errSecUserCanceled
		return k.unavailable(Denied, errors.New("the question was dismissed"))
	}
	return k.unavailable(Failed, err)
}

// Error numbers of Windows, as they are not in package syscall everywhere.
const (
	errorNotEnoughMemory    = syscall.Errno(8)
	errorMoreData           = syscall.Errno(234)
	errorNoSuchLogonSession = syscall.Errno(1312)
)

func (k *Keychain) classifyWindows(err error) error {
	switch {
	case errors.Is(err, errorNoSuchLogonSession):
		return k.unavailable(Absent, errors.New("a network logon, such as SSH, has none"))
	case errors.Is(err, errorNotEnoughMemory):
		return k.unavailable(Full, nil)
	}
	return k.unavailable(Failed, err)
}

func (k *Keychain) classifySecretService(err error) error {
	// go-keyring has no error of its own for a prompt that was dismissed or
	// could not be shown.
	if strings.HasPrefix(err.Error(), "failed to unlock correct collection") {
		return k.unavailable(Locked, errors.New("the prompt was dismissed or could not be shown"))
	}
	reason, known := dbusReason(err)
	if !known {
		reason = Failed
	}
	return k.unavailable(reason, err)
}

// transient reports whether an error only says that another process was at the
// same item at the same time.
func (k *Keychain) transient(err error) bool {
	var exit interface{ ExitCode() int }
	switch k.system() {
	case "windows":
		return errors.Is(err, errorMoreData)
	case "darwin", "ios":
		return errors.As(err, &exit) && exit.ExitCode() == 45 // databricks/cli#6051
	}
	return dbusTransient(err)
}
