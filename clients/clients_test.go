// Package clients_test runs the tests of the kits for other languages against real servers, and looks at what is published.
package clients_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"latchkey/db/dbtest"
	"latchkey/internal/stand"
)

func TestMain(m *testing.M) { stand.Main(m) }

func TestTheKitKeepsPeopleSignedIn(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		t.Parallel() // it waits for tokens to expire
		s := stand.Start(t, stand.Options{DatabaseURL: url, Origins: 1, Env: []string{"ACCESS_TOKEN_TTL=3s"}})
		s.Node(t, "js", program("vitest", "vitest.mjs"), "run")
	})
}

func TestWhatIsGeneratedIsUpToDate(t *testing.T) {
	kit := copyOfTheKit(t)
	generated := []string{filepath.Join("src", "generated"), filepath.Join("src", "operations", "generated")}
	for _, folder := range generated {
		if err := os.RemoveAll(filepath.Join(kit, folder)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, kit, "node", program("@graphql-codegen", "cli", "cjs", "bin.js"), "--config", "codegen.ts")
	for _, folder := range generated {
		wanted, found := files(t, filepath.Join(kit, folder)), files(t, filepath.Join("js", folder))
		for name, text := range wanted {
			if found[name] != text {
				t.Errorf("%s/%s is not what the schema says: npm run generate", folder, name)
			}
		}
		for name := range found {
			if _, ok := wanted[name]; !ok {
				t.Errorf("nothing generates %s/%s", folder, name)
			}
		}
	}
}

// published lists the package's files, besides the declarations beside each program.
var published = []string{
	"LICENSE", "README.md", "package.json", "schema.graphql",
	"dist/apollo.js", "dist/graphql-request.js", "dist/next.js", "dist/react.js", "dist/urql.js",
	"dist/index.js", "dist/authorized.js", "dist/clock.js", "dist/documents.js", "dist/errors.js", "dist/keep.js", "dist/page.js", "dist/server.js",
	"dist/session.js", "dist/tab-session.js", "dist/tabs.js", "dist/tokens.js", "dist/trouble.js", "dist/generated/documents.js",
	"dist/operations/index.js", "dist/operations/generated/gql.js", "dist/operations/generated/graphql.js",
	"dist/operations/generated/index.js", "dist/operations/generated/possible-types.js",
}

func TestThePackageHasWhatItNeedsAndNoMore(t *testing.T) {
	kit := copyOfTheKit(t)
	output := run(t, kit, "npm", "pack", "--json", "--offline")
	var packed []struct {
		Filename string
		Files    []struct{ Path string }
	}
	if err := json.Unmarshal(output[max(0, bytes.IndexByte(output, '[')):], &packed); err != nil || len(packed) != 1 {
		t.Fatalf("%v: %s", err, output)
	}
	found := map[string]bool{}
	for _, file := range packed[0].Files {
		found[file.Path] = true
	}
	for _, path := range published {
		wanted := []string{path}
		if module, ok := strings.CutSuffix(path, ".js"); ok {
			wanted = append(wanted, module+".d.ts")
		}
		for _, path := range wanted {
			if !found[path] {
				t.Errorf("the package lacks %s", path)
			}
			delete(found, path)
		}
	}
	for path := range found {
		t.Errorf("the package has %s", path)
	}

	// As in a project that has nothing else.
	project := t.TempDir()
	unpack(t, filepath.Join(kit, packed[0].Filename), filepath.Join(project, "node_modules", "@latchkey", "client"))
	run(t, project, "node", "--input-type=module", "--eval", `
		import assert from 'node:assert/strict';
		import { createSession, hindranceIn, SessionError } from '@latchkey/client';
		import { MeDocument, possibleTypes } from '@latchkey/client/operations';
		import { sessionAuth } from '@latchkey/client/urql';
		import about from '@latchkey/client/package.json' with { type: 'json' };
		import { readFile } from 'node:fs/promises';

		const session = createSession({ url: 'http://localhost:8080/graphql', delivery: 'BODY' });
		assert.equal(await session.accessToken(), null);
		assert.equal(session.state.status, 'signedOut');
		assert.equal(hindranceIn([{ message: '', extensions: { code: 'UNAVAILABLE' } }]).trouble instanceof SessionError, true);
		assert.equal(MeDocument.kind, 'Document');
		assert.deepEqual(possibleTypes.LoginResult.toSorted(), ['AuthFailure', 'AuthSuccess']);
		assert.equal(typeof sessionAuth(session), 'function');
		assert.match(await readFile(new URL(import.meta.resolve('@latchkey/client/schema.graphql')), 'utf8'), /^type Mutation/m);
		assert.equal(about.dependencies, undefined);
		for (const adapter of ['apollo', 'graphql-request', 'next', 'react']) {
			await assert.rejects(import('@latchkey/client/' + adapter), { code: 'ERR_MODULE_NOT_FOUND' }); // that of its own client
		}
	`)
}

func program(path ...string) string {
	return filepath.Join(append([]string{stand.Root(), "node_modules"}, path...)...)
}

// copyOfTheKit returns a folder that has the kit's sources, the schema and the packages where the kit expects them.
func copyOfTheKit(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("runs other people's programs, which -short leaves out")
	}
	if _, err := os.Stat(program(".package-lock.json")); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("%v: run make test, which installs it", err)
	}
	root := t.TempDir()
	kit := filepath.Join(root, "clients", "js")
	for name, text := range files(t, "js") {
		top, _, _ := strings.Cut(name, string(filepath.Separator))
		if !slices.Contains([]string{"dist", "node_modules", "test"}, top) {
			write(t, filepath.Join(kit, name), text)
		}
	}
	for _, name := range []string{"schema.graphqls", "LICENSE"} {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, name), string(text))
	}
	if err := os.Symlink(program(), filepath.Join(root, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return kit
}

// files returns the files in a folder, by their paths in it.
func files(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		found[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// unpack unpacks a package of npm, whose files are all in a folder named package.
func unpack(t *testing.T, tarball, folder string) {
	t.Helper()
	file, err := os.Open(tarball)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, strings.TrimPrefix(header.Name, "package/")), string(text))
	}
}

// run runs a program in a folder, and returns what it says, without its errors.
func run(t *testing.T, folder, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = folder
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, output, complaints.Bytes())
	}
	return output
}
