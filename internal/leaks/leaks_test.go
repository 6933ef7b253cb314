package leaks

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestEverySecretIsFound(t *testing.T) {
	for said, secret := range map[string]bool{
		`{"msg":"login","password":"correct horse battery staple"}`:                   true,
		"token=lkr1.raOW0QGiCpbhSHztixc49T_ImIMAAAAB":                                 true,
		"lkd1.raOW0QGiCpbhSHztixc49T_ImIMAAAAB":                                       true,
		"Bearer eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln":                            true,
		"hash $argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA":                           true,
		"hash $2b$12$abcdefghijklmnopqrstuv":                                          true,
		"SECRET=a secret of the tests' own, long enough":                              true,
		"SECRET=a secret of the test's own, long enough":                              true,
		`{"msg":"unavailable","error":"ada@example.com is taken"}`:                    true,
		"the prefix lkr1. alone, eyJ, and a secret":                                   false,
		`{"msg":"statement","sql":"UPDATE users SET password_hash = $1 AND x = $2b"}`: false,
	} {
		if scanned(said) != secret {
			t.Errorf("%s: want %v", said, secret)
		}
	}
}

// scanned reports whether a secret is found, and forgets it.
func scanned(said string) bool {
	Scan("test", []byte(said))
	was := len(found.places) > 0
	found.places = nil
	return was
}

// In a process of its own, since it is to fail.
func TestATestBinaryThatFoundASecretFails(t *testing.T) {
	if os.Getenv("LEAK") != "" {
		Scan("log", []byte("password: correct horse battery staple"))
		if !Verdict() {
			os.Exit(3)
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestATestBinaryThatFoundASecretFails$")
	cmd.Env = append(os.Environ(), "LEAK=1")
	output, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 3 || strings.Contains(string(output), "horse") {
		t.Fatalf("%v: %s", err, output)
	}
}
