package release_test

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var wanted = flag.Bool("release", false, "make a whole release twice, for minutes")

const version = "v0.0.0-test"

var date = time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)

var platforms = []string{"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64", "windows/amd64", "windows/arm64"}

func TestARelease(t *testing.T) {
	if testing.Short() || !*wanted {
		t.Skip("makes a whole release twice: only with -release")
	}
	dist := makeRelease(t)
	released := read(t, dist)

	t.Run("is the same when made again", func(t *testing.T) {
		again := read(t, makeRelease(t))
		if got, want := slices.Sorted(maps.Keys(again)), slices.Sorted(maps.Keys(released)); !slices.Equal(got, want) {
			t.Fatalf("made %q, and before %q", got, want)
		}
		for name := range released {
			if !bytes.Equal(released[name], again[name]) {
				t.Errorf("%s differs", name)
			}
		}
	})

	t.Run("is an archive for each platform, a bill of materials, and their checksums", func(t *testing.T) {
		var sums strings.Builder
		for _, name := range slices.Sorted(maps.Keys(released)) {
			if name != "SHA256SUMS" {
				fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(released[name]), name)
			}
		}
		if got := sortedLines(string(released["SHA256SUMS"])); got != sortedLines(sums.String()) {
			t.Errorf("SHA256SUMS:\n%s\nwant:\n%s", got, sums.String())
		}
		want := []string{"SHA256SUMS", "latchkey_" + version + ".cdx.json"}
		for _, platform := range platforms {
			want = append(want, archiveOf(platform))
		}
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(released)); !slices.Equal(got, want) {
			t.Errorf("made %q, want %q", got, want)
		}
	})

	for _, platform := range platforms {
		t.Run(platform, func(t *testing.T) {
			files := unpack(t, archiveOf(platform), released[archiveOf(platform)])
			program := files[programOf(platform)]
			if len(files) != 4 || files["LICENSE"] == nil || files["README.md"] == nil || files["THIRD_PARTY_NOTICES"] == nil || program == nil {
				t.Fatalf("contains %q", slices.Sorted(maps.Keys(files)))
			}
			info, err := buildinfo.Read(bytes.NewReader(program))
			if err != nil {
				t.Fatal(err)
			}
			settings := map[string]string{}
			for _, setting := range info.Settings {
				settings[setting.Key] = setting.Value
			}
			if settings["GOOS"]+"/"+settings["GOARCH"] != platform || settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" {
				t.Errorf("built with %v", settings)
			}
			for _, module := range append(modulesOf(info), "std "+info.GoVersion, "@zxcvbn-ts/language-common", "react-dom ") {
				if !bytes.Contains(files["THIRD_PARTY_NOTICES"], []byte(module)) {
					t.Errorf("THIRD_PARTY_NOTICES lacks %s", module)
				}
			}
			switch {
			case strings.HasPrefix(platform, "linux/"):
				mustBeStatic(t, program)
			case strings.HasPrefix(platform, "darwin/"):
				mustHaveUUID(t, program)
			}
		})
	}

	t.Run("names in its bill of materials what is in the program", func(t *testing.T) {
		info, err := buildinfo.Read(bytes.NewReader(unpack(t, archiveOf("linux/amd64"), released[archiveOf("linux/amd64")])["latchkey"]))
		if err != nil {
			t.Fatal(err)
		}
		mustName(t, released["latchkey_"+version+".cdx.json"], append(modulesOf(info), "std "+info.GoVersion))
	})

	t.Run("says its version, starts and answers", func(t *testing.T) {
		platform := runtime.GOOS + "/" + runtime.GOARCH
		if runtime.GOOS == "windows" || !slices.Contains(platforms, platform) {
			t.Skipf("no program for %s that could be tried here", platform)
		}
		program := filepath.Join(t.TempDir(), "latchkey")
		if err := os.WriteFile(program, unpack(t, archiveOf(platform), released[archiveOf(platform)])["latchkey"], 0o755); err != nil {
			t.Fatal(err)
		}
		output, err := exec.CommandContext(t.Context(), program, "--version").CombinedOutput()
		if err != nil || !strings.HasPrefix(string(output), "latchkey "+version) {
			t.Errorf("--version: %q, %v", output, err)
		}
		mustAnswer(t, program)
	})
}

// makeRelease makes a release, and returns the folder in which it is.
func makeRelease(t *testing.T) string {
	t.Helper()
	start := time.Now()
	dist := t.TempDir()
	script := exec.CommandContext(t.Context(), "../../scripts/release.sh")
	script.Env = append(os.Environ(), "DIST="+dist, "VERSION="+version, fmt.Sprint("SOURCE_DATE_EPOCH=", date.Unix()))
	if output, err := script.CombinedOutput(); err != nil {
		t.Fatalf("release.sh: %v\n%s", err, output)
	}
	t.Logf("a release took %v", time.Since(start).Round(time.Second))
	return dist
}

// read returns the files of a folder, by name.
func read(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if files[entry.Name()], err = os.ReadFile(filepath.Join(folder, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func folderOf(platform string) string {
	return "latchkey_" + version + "_" + strings.Replace(platform, "/", "_", 1)
}

func archiveOf(platform string) string {
	if strings.HasPrefix(platform, "windows/") {
		return folderOf(platform) + ".zip"
	}
	return folderOf(platform) + ".tar.gz"
}

func programOf(platform string) string {
	if strings.HasPrefix(platform, "windows/") {
		return "latchkey.exe"
	}
	return "latchkey"
}

// unpack returns the files of an archive, by name. They must be in a folder of the archive's own name, and
// have the date of the release and no owner.
func unpack(t *testing.T, name string, archive []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	var order []string
	add := func(path string, mode fs.FileMode, modified time.Time, content io.Reader) {
		folder, file, _ := strings.Cut(path, "/")
		if !strings.HasPrefix(name, folder+".") {
			t.Errorf("%s contains %s", name, path)
		}
		if !modified.Equal(date) {
			t.Errorf("%s is of %v", path, modified)
		}
		want := fs.FileMode(0o644)
		if strings.HasPrefix(file, "latchkey") {
			want = 0o755
		}
		if mode != want {
			t.Errorf("%s has the mode %v, want %v", path, mode, want)
		}
		order = append(order, path)
		var err error
		if files[file], err = io.ReadAll(content); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	if strings.HasSuffix(name, ".zip") {
		reader, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range reader.File {
			content, err := file.Open()
			if err != nil {
				t.Fatal(err)
			}
			add(file.Name, file.Mode(), file.Modified, content)
		}
	} else {
		uncompressed, err := gzip.NewReader(bytes.NewReader(archive))
		if err != nil {
			t.Fatal(err)
		}
		for reader := tar.NewReader(uncompressed); ; {
			header, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if header.Uid != 0 || header.Gid != 0 || header.Uname != "" || header.Gname != "" {
				t.Errorf("%s belongs to %d %s", header.Name, header.Uid, header.Uname)
			}
			add(header.Name, header.FileInfo().Mode(), header.ModTime, reader)
		}
	}
	if !slices.IsSorted(order) {
		t.Errorf("not sorted: %q", order)
	}
	return files
}

func modulesOf(info *buildinfo.BuildInfo) []string {
	var modules []string
	for _, dep := range info.Deps {
		modules = append(modules, dep.Path+" "+dep.Version)
	}
	return modules
}

func sortedLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// mustBeStatic checks that a program needs no library, and no loader of libraries.
func mustBeStatic(t *testing.T, program []byte) {
	t.Helper()
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			t.Error("has a loader of libraries")
		}
	}
	if needed, err := file.DynString(elf.DT_NEEDED); err == nil && len(needed) > 0 {
		t.Errorf("needs %q", needed)
	}
}

// mustHaveUUID checks for what macOS 26 demands of a program that it starts.
func mustHaveUUID(t *testing.T, program []byte) {
	t.Helper()
	file, err := macho.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	const uuid = 0x1b // LC_UUID of <mach-o/loader.h>
	if !slices.ContainsFunc(file.Loads, func(load macho.Load) bool { return file.ByteOrder.Uint32(load.Raw()) == uuid }) {
		t.Error("has no LC_UUID")
	}
}

// mustName checks a bill of materials.
func mustName(t *testing.T, raw []byte, modules []string) {
	t.Helper()
	type component struct {
		Name, Version string
		Licenses      []struct {
			License    struct{ ID string }
			Expression string
		}
	}
	var bill struct {
		BomFormat string
		Metadata  struct {
			Timestamp time.Time
			Component component
		}
		Components []component
	}
	if err := json.Unmarshal(raw, &bill); err != nil {
		t.Fatal(err)
	}
	if bill.BomFormat != "CycloneDX" || bill.Metadata.Component.Name != "latchkey" || bill.Metadata.Component.Version != version || !bill.Metadata.Timestamp.Equal(date) {
		t.Errorf("%s of %+v", bill.BomFormat, bill.Metadata)
	}
	var got []string
	for _, c := range append(bill.Components, bill.Metadata.Component) {
		got = append(got, c.Name+" "+c.Version)
		if len(c.Licenses) != 1 || c.Licenses[0].License.ID+c.Licenses[0].Expression == "" {
			t.Errorf("%s has the licences %v", c.Name, c.Licenses)
		}
	}
	modules = append(modules, "latchkey "+version)
	slices.Sort(got)
	slices.Sort(modules)
	if !slices.Equal(got, modules) {
		t.Errorf("names %q, want %q", got, modules)
	}
}

var listening = regexp.MustCompile(`msg=listening url=(\S+)`)

// mustAnswer starts the server with nothing around it, waits until it is ready, and stops it.
func mustAnswer(t *testing.T, program string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	server := exec.CommandContext(ctx, program)
	server.Dir = t.TempDir()
	server.Env = []string{"LISTEN=127.0.0.1:0", "DATABASE_URL=sqlite:" + filepath.Join(server.Dir, "latchkey.db")}
	stderr, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		found := listening.FindStringSubmatch(lines.Text())
		if found == nil {
			continue
		}
		mustBeReady(t, found[1])
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}
	if err := server.Wait(); err != nil || !listening.MatchString(log.String()) {
		t.Errorf("ended with %v, and said\n%s", err, log.String())
	}
}

func mustBeReady(t *testing.T, url string) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get(url + "/readyz")
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		t.Errorf("/readyz: %s", response.Status)
	}
}
