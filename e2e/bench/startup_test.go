package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// bare are programs that only print a line; the second one has what every program
// has that speaks HTTP.
var bare = map[string]string{
	"line": `package main

import "fmt"

func main() { fmt.Println("oauth-login 0.1.0 linux/amd64") }
`,
	"http": `package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	if len(os.Args) > 2 {
		_, _ = http.Get(os.Args[2])
	}
	fmt.Println("oauth-login 0.1.0 linux/amd64")
}
`,
}

// BenchmarkStartup runs the command and the bare programs in turn, and compares
// the medians: what slows the machine down slows down all of them.
func BenchmarkStartup(b *testing.B) {
	dir := b.TempDir()
	for name, source := range bare {
		file := filepath.Join(dir, name+".go")
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			b.Fatal(err)
		}
		build(b, filepath.Join(dir, name), file)
	}
	command := filepath.Join(dir, "oauth-login")
	build(b, command, "github.com/oauth-login/oauth-login/cmd/oauth-login")
	runs := []struct {
		name, program, arg string
		took               []time.Duration
	}{
		{name: "line", program: filepath.Join(dir, "line"), arg: "version"},
		{name: "http", program: filepath.Join(dir, "http"), arg: "version"},
		{name: "version", program: command, arg: "version"},
		{name: "help", program: command, arg: "--help"},
	}
	for b.Loop() {
		for n := range runs {
			start := time.Now()
			if err := exec.Command(runs[n].program, runs[n].arg).Run(); err != nil {
				b.Fatal(err)
			}
			runs[n].took = append(runs[n].took, time.Since(start))
		}
	}
	line := median(runs[0].took)
	for _, run := range runs[1:] {
		b.ReportMetric(median(run.took)/line, run.name+"/line")
	}
	b.ReportMetric(line*1000, "ms/line")
}

// build makes what `make build` makes. It is written once more, as an installer would
// do: what the linker has written through a mapping starts more slowly.
func build(b *testing.B, binary, what string) {
	b.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary+".linked", what)
	cmd.Dir = "../.." // the module of the command
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(binary + ".linked")
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(binary, data, 0o700); err != nil {
		b.Fatal(err)
	}
}

func median(durations []time.Duration) (seconds float64) {
	slices.Sort(durations)
	return durations[len(durations)/2].Seconds()
}
