package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// keepassConfig makes KeePassXC the Secret Service, and asks nobody anything.
const keepassConfig = `[General]
ConfigVersion=2
UpdateCheckMessageShown=true
[GUI]
CheckForUpdates=false
[FdoSecrets]
Enabled=true
ShowNotification=false
ConfirmAccessItem=false
ConfirmDeleteItem=false
`

// keepassDatabase is an empty database that gives its root group to the Secret Service. It has a recycle bin, as usual: without one,
// KeePassXC 2.7.4 crashes when it deletes an item.
const keepassDatabase = `<?xml version="1.0" encoding="UTF-8"?>
<KeePassFile>
<Meta>
<RecycleBinEnabled>True</RecycleBinEnabled>
<CustomData><Item><Key>FDO_SECRETS_EXPOSED_GROUP</Key><Value>{00112233-4455-6677-8899-aabbccddeeff}</Value></Item></CustomData>
</Meta>
<Root><Group><UUID>ABEiM0RVZneImaq7zN3u/w==</UUID><Name>Root</Name></Group></Root>
</KeePassFile>
`

// startKeePassXC starts a KeePassXC with an unlocked database, alone on a private session bus. It shows its windows to nobody.
func startKeePassXC(t *testing.T) *keyring {
	t.Helper()
	k := newKeyring(t)
	config, database, xml := filepath.Join(k.dir, "keepassxc.ini"), filepath.Join(k.dir, "secrets.kdbx"), filepath.Join(k.dir, "secrets.xml")
	for path, text := range map[string]string{config: keepassConfig, xml: keepassDatabase} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := append(k.env(), "QT_QPA_PLATFORM=offscreen", "TMPDIR="+k.dir) // where it looks for others of its kind
	making := exec.Command("keepassxc-cli", "import", "--set-password", "--decryption-time", "100", xml, database)
	making.Env = env
	making.Stdin = strings.NewReader("password\npassword\n")
	if out, err := making.CombinedOutput(); err != nil {
		t.Fatalf("making a database (setup.sh installs what it needs): %v\n%s", err, out)
	}
	cmd := exec.Command("keepassxc", "--config", config, "--localconfig", config, "--pw-stdin", database)
	cmd.Env = env
	cmd.Stdin = strings.NewReader("password\n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	k.daemon = cmd
	t.Cleanup(func() { kill(cmd) })
	for deadline := time.Now().Add(20 * time.Second); !k.defaultUnlocked(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("KeePassXC did not unlock its database within 20 s")
		}
	}
	return k
}

// defaultUnlocked reports whether there is a default collection, and not locked.
func (k *keyring) defaultUnlocked() bool {
	var path dbus.ObjectPath
	var locked dbus.Variant
	if k.bus.Object(secretService, secretPath).Call("org.freedesktop.Secret.Service.ReadAlias", 0, "default").Store(&path) != nil || path == "/" {
		return false
	}
	get := k.bus.Object(secretService, path).Call("org.freedesktop.DBus.Properties.Get", 0, "org.freedesktop.Secret.Collection", "Locked")
	return get.Store(&locked) == nil && locked.Value() == false
}
