package release

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAModuleIsReadWithTheLicencesOfThePartsThatAreLinked(t *testing.T) {
	root := t.TempDir()
	write(t, root, "LICENSE.txt", known["MIT"])
	write(t, root, "NOTICE", "by Ada")
	write(t, root, "licence.go", "package ada")
	write(t, root, "in/here/COPYING", "borrowed")
	write(t, root, "elsewhere/COPYING", "not linked")
	module, err := read("example.com/ada", "v1.0.0", root, []string{root, filepath.Join(root, "in"), filepath.Join(root, "in", "here")})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, text := range module.Texts {
		names = append(names, text.Name)
	}
	if got, want := strings.Join(names, " "), "LICENSE.txt NOTICE in/here/COPYING"; got != want {
		t.Errorf("texts: %s, want %s", got, want)
	}
	if module.Licence != "MIT" {
		t.Errorf("licence: %q, want MIT", module.Licence)
	}
}

func TestALicenceThatNobodyHasReadIsRefused(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"none":           {"README.md": known["MIT"]},
		"a notice only":  {"NOTICE": "by Ada"},
		"of a part only": {"in/LICENSE": known["MIT"]},
		"an unknown one": {"LICENSE": "GNU AFFERO GENERAL PUBLIC LICENSE"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.Mkdir(filepath.Join(root, "in"), 0o755); err != nil {
				t.Fatal(err)
			}
			for name, content := range files {
				write(t, root, name, content)
			}
			if module, err := read("example.com/ada", "v1.0.0", root, []string{root, filepath.Join(root, "in")}); err == nil {
				t.Errorf("read as %s", module.Licence)
			}
		})
	}
}

func TestLicencesInOneFileHoldTogether(t *testing.T) {
	if got, want := identify(known["MIT"]+"\n---\n"+known["Apache-2.0"]), "Apache-2.0 AND MIT"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
