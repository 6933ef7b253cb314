package check

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// stages returns the stages of the Dockerfile, of which the last is the image.
func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	parsed, err := parser.Parse(strings.NewReader(readFile(t, root+"/Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range parsed.Warnings {
		t.Errorf("Dockerfile: %s", warning.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, _ []parser.Range) {
		t.Errorf("Dockerfile: %s: %s", rule, message)
	}})
	stages, _, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	return stages
}

// only returns the one instruction of a kind.
func only[T any](t *testing.T, stage instructions.Stage) T {
	t.Helper()
	var found []T
	for _, command := range stage.Commands {
		if one, ok := command.(T); ok {
			found = append(found, one)
		}
	}
	var none T
	if len(found) != 1 {
		t.Fatalf("the stage from %s has %d of %T", stage.BaseName, len(found), none)
	}
	return found[0]
}

func imageSettings(t *testing.T) settings {
	t.Helper()
	all := stages(t)
	given := settings{}
	for _, pair := range only[*instructions.EnvCommand](t, all[len(all)-1]).Env {
		given[pair.Key] = pair.Value
	}
	return given
}

// imageUser is who runs in the image, as uid:gid.
func imageUser(t *testing.T) string {
	t.Helper()
	all := stages(t)
	return only[*instructions.UserCommand](t, all[len(all)-1]).User
}

var somebody = regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`)

func TestTheImageRunsAsNobodyAndChecksItsHealth(t *testing.T) {
	all := stages(t)
	image := all[len(all)-1]
	if user := imageUser(t); !somebody.MatchString(user) {
		t.Errorf("USER is %q, not a number of somebody without rights", user)
	}
	start := only[*instructions.EntrypointCommand](t, image)
	if start.PrependShell || len(start.CmdLine) != 1 {
		t.Errorf("ENTRYPOINT is %q, which is not the binary itself", start.CmdLine)
	}
	health := only[*instructions.HealthCheckCommand](t, image).Health
	if want := append([]string{"CMD"}, append(slices.Clone([]string(start.CmdLine)), "health")...); !slices.Equal(health.Test, want) {
		t.Errorf("HEALTHCHECK is %q, want %q", health.Test, want)
	}
	if ports := only[*instructions.ExposeCommand](t, image).Ports; !slices.Equal(ports, []string{"8080"}) {
		t.Errorf("EXPOSE is %q", ports)
	}
	for _, command := range image.Commands {
		switch one := command.(type) {
		case *instructions.RunCommand:
			t.Errorf("the image runs %q, for which it must have a shell", one.CmdLine)
		case *instructions.CopyCommand:
			if one.From == "" {
				t.Errorf("the image takes %q from the sources", one.SourcePaths)
			}
			if one.DestPath == "/data" && one.Chown != imageUser(t) {
				t.Errorf("/data is of %q, and %q is to write there", one.Chown, imageUser(t))
			}
		}
	}
	if folder := only[*instructions.WorkdirCommand](t, image).Path; folder != "/data" {
		t.Errorf("a database of SQLite would be made in %s", folder)
	}
}

func TestTheImageIsBuiltFromTheSourcesAsTheyAre(t *testing.T) {
	build := stages(t)[0]
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readFile(t, root+"/go.mod"))[1]
	if !strings.HasPrefix(build.BaseName, "golang:"+version+"-") {
		t.Errorf("built with %s, and go.mod says %s", build.BaseName, version)
	}
	if !regexp.MustCompile(`(?m)^var version string$`).MatchString(readFile(t, root+"/server.go")) {
		t.Error("there is no main.version to set, of which the linker says nothing")
	}
	declared := map[string]bool{"BUILDPLATFORM": true}
	script := ""
	for _, command := range build.Commands {
		switch one := command.(type) {
		case *instructions.ArgCommand:
			for _, arg := range one.Args {
				declared[arg.Key] = true
			}
		case *instructions.RunCommand:
			script += strings.Join(one.CmdLine, " ") + "\n"
		}
	}
	for _, want := range []string{
		"CGO_ENABLED=0", "GOOS=$TARGETOS", "GOARCH=$TARGETARCH", "-trimpath", `-ldflags "-s -w -X main.version=$VERSION"`,
	} {
		if !strings.Contains(script, want) {
			t.Errorf("the build lacks %s:\n%s", want, script)
		}
	}
	for _, name := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(script, -1) {
		if !declared[name[1]] {
			t.Errorf("$%s is empty: there is no ARG", name[1])
		}
	}
}

func ignored(t *testing.T) func(path string) bool {
	t.Helper()
	patterns, err := ignorefile.ReadAll(strings.NewReader(readFile(t, root+"/.dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return func(path string) bool {
		matches, err := matcher.MatchesOrParentMatches(path)
		if err != nil {
			t.Fatal(err)
		}
		return matches
	}
}

func TestTheBuildGetsWhatItCompilesAndNoSecret(t *testing.T) {
	leftOut := ignored(t)
	for _, path := range []string{
		".git/config", "deploy/secrets/secret", "deploy/.env", ".env", "latchkey.db", "latchkey.db-wal", "latchkey.db.secret",
		"web/latchkey.db.secret", "web/explorer/node_modules/react/index.js",
	} {
		if !leftOut(path) {
			t.Errorf("the build gets %s", path)
		}
	}
	list := exec.Command("go", "list", "-deps", "-json=Dir,Standard,Module,GoFiles,EmbedFiles", ".")
	list.Dir = root
	list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	output, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	files := []string{"go.mod", "go.sum"}
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var one struct {
			Dir                 string
			Standard            bool
			Module              *struct{ Main bool }
			GoFiles, EmbedFiles []string
		}
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if one.Standard || one.Module == nil || !one.Module.Main {
			continue
		}
		folder, err := filepath.Rel(top, one.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range append(one.GoFiles, one.EmbedFiles...) {
			files = append(files, filepath.Join(folder, name))
		}
	}
	if len(files) < 50 {
		t.Fatalf("compiled from %d files only: mend this test", len(files))
	}
	for _, path := range files {
		if leftOut(path) {
			t.Errorf("the build lacks %s", path)
		}
	}
}
