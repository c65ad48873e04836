package loopback

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// systemOpeners are none: ShellExecute needs no program.
func systemOpeners(string) [][]string { return nil }

// Process creation flags of Windows that package syscall does not have.
const detachedProcess = 0x00000008

// detach keeps Ctrl-C and the console away from the program. It refuses batch
// files: cmd.exe runs them, and takes an & in a URL for the end of a command.
func detach(cmd *exec.Cmd) error {
	switch strings.ToLower(filepath.Ext(cmd.Path)) {
	case ".bat", ".cmd":
		return errors.New("the browser command is a batch file, which cannot be given a URL safely")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP | detachedProcess}
	return nil
}
