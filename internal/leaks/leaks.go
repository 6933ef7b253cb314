// Package leaks looks for secrets in all that servers say while the tests run: their logs at the lowest level, their
// metrics, their traces. It is for tests only. A test binary that found one fails (dbtest.Main), whatever its tests say.
package leaks

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"sync"
)

// secrets are what no server may say: those that tests use, and whatever has the form of one. Passwords stand in them
// without a part that could be the beginning of a sentence.
var secrets = regexp.MustCompile(`correct horse battery|an analytical engine|` + // passwords
	`lk[rd]1\.[A-Za-z0-9_-]{16}|` + // refresh and device tokens
	`eyJ[A-Za-z0-9_-]{8,}\.eyJ|` + // access tokens
	`\$argon2id\$v=|\$2[aby]\$[0-9]{2}\$|` + // password hashes
	`a secret of the tests?'s? own|9fQ2xL7vRt0bNwZ4kYc1mHd8|a key for services, of the tests|a-key-for-services|` + // SECRET and SERVICE_KEYS
	`[a-z0-9]@example\.`) // e-mail addresses, which are no secrets and nobody's business

var found struct {
	sync.Mutex
	scanned int64
	places  []string
}

// beginnings of secrets: without any of them the expression, which is slow, need not be asked.
var beginnings = [][]byte{
	[]byte("correct horse"), []byte("an analytical"), []byte("lkr1."), []byte("lkd1."), []byte("eyJ"), []byte("$argon2id$"), []byte("$2"),
	[]byte("a secret of the test"), []byte("9fQ2xL7vRt0bNwZ4kYc1mHd8"), []byte("a key for services"), []byte("a-key-for-services"), []byte("@example."),
}

// Scan looks for secrets in what a server said; source says where it did.
func Scan(source string, said []byte) {
	var at []int
	if slices.ContainsFunc(beginnings, func(beginning []byte) bool { return bytes.Contains(said, beginning) }) {
		at = secrets.FindIndex(said)
	}
	found.Lock()
	defer found.Unlock()
	found.scanned += int64(len(said))
	if at != nil {
		found.places = append(found.places, fmt.Sprintf("%s: …%s[%.5s…]", source, said[max(0, at[0]-200):at[0]], said[at[0]:at[1]]))
	}
}

// Writer returns a writer that scans each write by itself, as a log has a line in each.
func Writer(source string) io.Writer { return writer(source) }

type writer string

// Write implements io.Writer.
func (w writer) Write(p []byte) (int, error) {
	Scan(string(w), p)
	return len(p), nil
}

// Log returns a log at the lowest level that is only scanned.
func Log() *slog.Logger {
	return slog.New(slog.NewJSONHandler(Writer("log"), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Verdict reports whether no secret was found, and prints where any were, and how much was looked at.
func Verdict() (clean bool) {
	found.Lock()
	defer found.Unlock()
	for _, place := range found.places[:min(5, len(found.places))] {
		fmt.Fprintln(os.Stderr, "a secret was said in a", place)
	}
	if found.scanned > 0 {
		fmt.Printf("looked for secrets in %d KiB of logs, metrics and traces: %d places\n", found.scanned>>10, len(found.places))
	}
	return len(found.places) == 0
}
