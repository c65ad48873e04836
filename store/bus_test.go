//go:build linux

package store

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

func TestNoBus(t *testing.T) {
	if _, err := os.Stat(fmt.Sprintf("/run/user/%d/bus", os.Getuid())); err == nil {
		t.Skip("this machine has a session bus, and it would be found")
	}
	for _, address := range []string{"", "autolaunch:"} {
		newChild(t, address).fails(t, "probe", Absent, time.Second)
	}
}

func TestUnusableBus(t *testing.T) {
	for _, address := range []string{"unix:path=/nonexistent/bus", "disabled:", "nonsense", "unix:", ";"} {
		newChild(t, address).fails(t, "load", Absent, time.Second)
	}
}

// A socket that takes connections and says nothing would hang go-keyring, and
// every call of it thereafter, for ever.
func TestSilentBus(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	listener, err := net.Listen("unix", filepath.Join(dir, "bus"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go io.Copy(io.Discard, conn)
		}
	}()
	newChild(t, "unix:path="+filepath.Join(dir, "bus")).fails(t, "load", TimedOut, 3*time.Second)
}

func TestBusWithoutService(t *testing.T) {
	newChild(t, startBus(t, "")).fails(t, "probe", Absent, time.Second)
}

// The service is not running but the bus would start it. That must not happen
// before it is called, as a service that was just started may ask at once.
func TestProbeStartsNothing(t *testing.T) {
	services := t.TempDir()
	started := filepath.Join(services, "started")
	script := filepath.Join(services, "service")
	for name, text := range map[string]string{
		script: "#!/bin/sh\n: >" + started + "\nexit 1\n",
		filepath.Join(services, secretsName+".service"): "[D-BUS Service]\nName=" + secretsName + "\nExec=" + script + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c := newChild(t, startBus(t, "<servicedir>"+services+"</servicedir>"))
	if r := c.succeeds(t, "ready"); r[0].Value != "false" {
		t.Errorf("without a display, it may ask: %s", r[0].Value)
	}
	if _, err := os.Stat(started); err == nil {
		t.Error("the service was started")
	}
	c.fails(t, "load", Failed, 2*time.Second)
	c.env = append(c.env, "WAYLAND_DISPLAY=wayland-0")
	if r := c.succeeds(t, "ready"); r[0].Value != "true" {
		t.Errorf("with a display, it may ask: %s", r[0].Value)
	}
	if _, err := os.Stat(started); err != nil {
		t.Errorf("this test has a service that cannot be started: %v", err)
	}
}

const busConfig = `<busconfig><type>session</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>%s
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>`

// startBus starts a session bus for the time of a test and returns its address.
// It starts no service but those that the configuration adds.
func startBus(t *testing.T, configuration string) (address string) {
	t.Helper()
	daemon, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("dbus-daemon is not installed; make e2e installs it")
	}
	dir := shortDir(t)
	config := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, filepath.Join(dir, "bus"), configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(daemon, "--config-file="+config, "--nofork", "--nopidfile", "--print-address=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, cmd)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the bus did not start: %v", err)
	}
	return strings.TrimSpace(line)
}

// shortDir is a temporary directory for sockets, whose paths have at most 108
// bytes.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ss")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// start starts a daemon that ends with the test, or with this process.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// connect returns a connection to a bus for the time of a test.
func connect(t *testing.T, address string) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
