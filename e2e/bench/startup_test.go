package bench

import (
	"fmt"
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

// mostStartup is what `version` and `--help` may take, as many times the program that
// prints a line. The goal is 1.5, and it is missed: docs/performance.md says why. The
// limit is for a machine that has other things to do.
const mostStartup = 2.2

// TestStartup runs the command and the bare programs in turn, and compares them round
// by round: what slows the machine down slows down all of them.
func TestStartup(t *testing.T) {
	dir := t.TempDir()
	for name, source := range bare {
		file := filepath.Join(dir, name+".go")
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		build(t, filepath.Join(dir, name), file)
	}
	command := filepath.Join(dir, "oauth-login")
	build(t, command, "github.com/oauth-login/oauth-login/cmd/oauth-login")
	runs := []struct {
		name, program, arg string
		took               []time.Duration
	}{
		{name: "a program that prints a line", program: filepath.Join(dir, "line"), arg: "version"},
		{name: "a line with net/http", program: filepath.Join(dir, "http"), arg: "version"},
		{name: "oauth-login version", program: command, arg: "version"},
		{name: "oauth-login --help", program: command, arg: "--help"},
	}
	for range 200 {
		for n := range runs {
			start := time.Now()
			if err := exec.Command(runs[n].program, runs[n].arg).Run(); err != nil {
				t.Fatal(err)
			}
			runs[n].took = append(runs[n].took, time.Since(start))
		}
	}
	for _, run := range runs[1:] {
		ratio := medianRatio(run.took, runs[0].took)
		figure(t, run.name+", beside a line", median(run.took), median(runs[0].took), ratio)
		if ratio > mostStartup {
			t.Errorf("%s takes %.2f times as long as a program that prints a line", run.name, ratio)
		}
	}
}

// build makes what `make build` makes. It is written once more, as an installer would
// do: what the linker has written through a mapping starts more slowly.
func build(b testing.TB, binary, what string) {
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

func median(durations []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(durations))[len(durations)/2].Round(10 * time.Nanosecond)
}

// medianRatio is the median of the ratios of each round.
func medianRatio(durations, to []time.Duration) float64 {
	var ratios []float64
	for n := range durations {
		ratios = append(ratios, float64(durations[n])/float64(to[n]))
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// figure logs what something takes and what its limit takes, and adds it to what
// 'make bench' shows in the end.
func figure(t *testing.T, what string, ours, limit any, ratio float64) {
	t.Helper()
	line := fmt.Sprintf("%-48s %10v %10v %6.2f", what, ours, limit, ratio)
	t.Log(line)
	name := os.Getenv("BENCH_FIGURES")
	if name == "" {
		return
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := fmt.Fprintln(file, line); err != nil {
		t.Fatal(err)
	}
}
