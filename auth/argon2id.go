package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"

	"github.com/alexedwards/argon2id"

	"latchkey/internal/argon2"
)

// argon2idParams are the minimum of OWASP's Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
// Fixed, unlike the library's default, whose lanes depend on the machine.
var argon2idParams = argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// hashArgon2id returns the PHC string of a password.
func hashArgon2id(password string) string {
	salt := make([]byte, argon2idParams.SaltLength)
	_, _ = rand.Read(salt)
	return formatArgon2id(salt, argon2idKey(&argon2idParams, salt, password))
}

// newDecoy returns a hash that is nobody's: its key is random and was made from no password. To make one from a password
// would cost each start as much as a login.
func newDecoy() string {
	random := make([]byte, argon2idParams.SaltLength+argon2idParams.KeyLength)
	_, _ = rand.Read(random)
	return formatArgon2id(random[:argon2idParams.SaltLength], random[argon2idParams.SaltLength:])
}

// formatArgon2id returns the PHC string of a key that was derived with argon2idParams.
func formatArgon2id(salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		argon2idParams.Memory, argon2idParams.Iterations, argon2idParams.Parallelism,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// verifyArgon2id reports whether a PHC string is that of a password.
func verifyArgon2id(hash, password string) (bool, error) {
	params, salt, key, err := argon2id.DecodeHash(hash)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(argon2idKey(params, salt, password), key) == 1, nil
}

func argon2idKey(params *argon2id.Params, salt []byte, password string) []byte {
	return hashMemories.IDKey([]byte(password), salt, params.Iterations, params.Memory, params.Parallelism, params.KeyLength)
}

// hashMemories are lent to the hashes of all Services. To take memory anew for each and collect it afterwards would be a
// tenth of a login, and more memory than all else together.
var hashMemories = argon2.NewMemories(argon2idParams.Memory)
