package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// minSecret is how many bytes a secret must have.
const minSecret = 32

// Secret is a setting that must not be seen. However it is printed it shows "[redacted]"; only Reveal
// returns it.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// Format implements fmt.Formatter.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// SealingSecrets returns what seals the key ring, and what sealed it before, or nil. Where SECRET is not
// set and the database is SQLite, the secret stands in a file beside it, which is made on the first call
// with the mode 0600; however many servers do so at once, they agree.
func (c Config) SealingSecrets() (current, previous []byte, err error) {
	return c.secrets(readOrMakeSecret)
}

// ExistingSecrets is SealingSecrets without making a file: its error is fs.ErrNotExist where there is none.
func (c Config) ExistingSecrets() (current, previous []byte, err error) { return c.secrets(readSecret) }

func (c Config) secrets(read func(path string) ([]byte, error)) (current, previous []byte, err error) {
	if c.PreviousSecret != "" {
		previous = []byte(c.PreviousSecret.Reveal())
	}
	if c.Secret != "" {
		return []byte(c.Secret.Reveal()), previous, nil
	}
	current, err = read(strings.TrimPrefix(c.DatabaseURL.Reveal(), sqliteScheme) + ".secret")
	return current, previous, err
}

func readOrMakeSecret(path string) ([]byte, error) {
	secret, err := readSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	// A whole file appears or none: it is written under another name, and linked unless there is one.
	temporary, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // with the mode 0600
	if err != nil {
		return nil, fmt.Errorf("SECRET: make %s: %w", path, err)
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	random := make([]byte, minSecret)
	_, _ = rand.Read(random)
	_, err = temporary.WriteString(base64.RawURLEncoding.EncodeToString(random) + "\n")
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return nil, fmt.Errorf("SECRET: make %s: %w", path, err)
	}
	if err := os.Link(temporary.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("SECRET: make %s: %w", path, err)
	}
	return readSecret(path)
}

func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("SECRET: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("SECRET: %s can be read by others (mode %04o): chmod 600 it", path, mode)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("SECRET: %w", err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if len(secret) < minSecret {
		return nil, fmt.Errorf("SECRET: %s has %d bytes, and takes at least %d", path, len(secret), minSecret)
	}
	return []byte(secret), nil
}
