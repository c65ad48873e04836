package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/oauth-login/oauth-login/grant"
)

func (p *program) version(o *options) error {
	if o.output == outputJSON {
		return p.printJSON(map[string]string{
			"version": grant.Version, "revision": revision(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
		})
	}
	_, err := fmt.Fprintf(p.out, "oauth-login %s %s/%s\n", grant.Version, runtime.GOOS, runtime.GOARCH)
	return err
}

// revision is the commit that the program was built from, "" if nobody knows.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}
	return ""
}
