package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"
	"golang.org/x/text/unicode/norm"
)

// maxPasswordBytes bounds the work that an unknown caller can ask for. Longer ones are refused, not cut.
const maxPasswordBytes = 1024

// minLengthWithoutOwn is how many code points of a password a person's own words do not tell: no fewer than any
// password has (NIST SP 800-63B-4 §3.1.1.2).
const minLengthWithoutOwn = 8

// passwordHasher hashes and checks passwords, as many at once as it has slots.
type passwordHasher struct {
	minLength int
	slots     *semaphore.Weighted
	decoy     string // the hash of no password

	waiting, running atomic.Int64
}

func newPasswordHasher(minLength, slots int) *passwordHasher {
	return &passwordHasher{
		minLength: minLength,
		slots:     semaphore.NewWeighted(int64(slots)),
		decoy:     newDecoy(),
	}
}

// canonical returns a password in NFC (NIST SP 800-63B-4 §3.1.1.2), so that it is one password however a
// keyboard composes it; nothing else about it is changed. It reports false for what cannot be one.
func canonical(password Secret) (string, bool) {
	typed := password.Reveal()
	if len(typed) > maxPasswordBytes || !utf8.ValidString(typed) || strings.ContainsRune(typed, 0) {
		return "", false
	}
	composed := norm.NFC.String(typed)
	return composed, len(composed) <= maxPasswordBytes
}

// check refuses a password that must not be chosen (NIST SP 800-63B-4 §3.1.1.2) by somebody whose own words
// are given; field is its name in the schema. Errors: *InvalidInputError, *WeakPasswordError.
func (h *passwordHasher) check(field string, password Secret, own []string) error {
	composed, ok := canonical(password)
	if !ok {
		return &InvalidInputError{Field: field, Problem: fmt.Sprintf("is longer than %d bytes or not valid text", maxPasswordBytes)}
	}
	switch {
	case utf8.RuneCountInString(composed) < h.minLength:
		return &WeakPasswordError{Problem: fmt.Sprintf("Choose a password of at least %d characters.", h.minLength)}
	case isCommonPassword(composed):
		return &WeakPasswordError{Problem: "Choose another password: this one is among those that attackers try first."}
	case lengthWithout(composed, own) < minLengthWithoutOwn:
		return &WeakPasswordError{Problem: "Choose another password: this one is little more than your e-mail address, your name or the name of this service."}
	}
	return nil
}

// enter waits for a slot, which is the caller's until leave.
func (h *passwordHasher) enter(ctx context.Context) (leave func(), err error) {
	h.waiting.Add(1)
	defer h.waiting.Add(-1)
	if err := h.slots.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	h.running.Add(1)
	return func() {
		h.running.Add(-1)
		h.slots.Release(1)
	}, nil
}

// hash returns the PHC string of a password that check let through.
func (h *passwordHasher) hash(ctx context.Context, password Secret) (string, error) {
	composed, _ := canonical(password)
	leave, err := h.enter(ctx)
	if err != nil {
		return "", waiting(ctx, "hash password", err)
	}
	defer leave()
	return hashArgon2id(composed), nil
}

// verify reports whether a hash, of argon2id or bcrypt, is that of a password. An empty hash stands for
// nobody: it takes the same time and is false.
func (h *passwordHasher) verify(ctx context.Context, hash string, password Secret) (bool, error) {
	composed, ok := canonical(password)
	if !ok {
		return false, nil // what can be no password is refused alike for everybody, before the work
	}
	leave, err := h.enter(ctx)
	if err != nil {
		return false, waiting(ctx, "check password", err)
	}
	defer leave()
	switch {
	case hash == "":
		_, err := verifyArgon2id(h.decoy, composed)
		return false, err
	case isBcrypt(hash):
		return verifyBcrypt(hash, composed, password)
	}
	match, err := verifyArgon2id(hash, composed)
	if err != nil {
		return false, fmt.Errorf("check password: %w", err)
	}
	return match, nil
}

// weaker reports whether a hash is to be replaced now that its password is at hand.
func (h *passwordHasher) weaker(hash string) bool {
	params, _, _, err := argon2id.DecodeHash(hash)
	return err != nil || params.Memory < argon2idParams.Memory || params.Iterations < argon2idParams.Iterations ||
		params.SaltLength < argon2idParams.SaltLength || params.KeyLength < argon2idParams.KeyLength
}

func isBcrypt(hash string) bool {
	return strings.HasPrefix(hash, "$2a$") || strings.HasPrefix(hash, "$2b$") || strings.HasPrefix(hash, "$2y$")
}

// verifyBcrypt checks a hash that was brought from elsewhere: made of the password as it was typed, and
// of its first 72 bytes (OpenBSD's bcrypt ignores the rest; $2y$ is PHP's name for $2b$).
func verifyBcrypt(hash, composed string, typed Secret) (bool, error) {
	for _, candidate := range []string{composed, typed.Reveal()} {
		err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(candidate[:min(len(candidate), 72)]))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			return false, fmt.Errorf("check password: %w", err)
		}
		if candidate == typed.Reveal() {
			break // nothing was composed
		}
	}
	return false, nil
}
