package auth

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// A refresh token is
//
//	"lkr1." + base64url( key id [4] | session id [16] | generation [4, big endian] | secret [32] | tag [16] )
//
// The tag proves, without the database and without a history of old tokens, that this server issued that
// generation of that session. The prefix lets secret scanners find it, and keeps it apart from a JWT.
const (
	refreshTokenPrefix = "lkr1."
	refreshTokenSize   = 4 + 16 + 4 + 32 + 16
	refreshTagSize     = 16
	refreshSeedSize    = 32
)

// refreshKeyID names a refresh key inside a token; its text form is eight hexadecimal digits.
type refreshKeyID [4]byte

func (id refreshKeyID) String() string { return hex.EncodeToString(id[:]) }

// refreshKey is the pair of secrets that the refresh tokens of one key id are made with.
type refreshKey struct {
	id   refreshKeyID
	tag  []byte // authenticates a token
	next []byte // derives the secret of its successor
}

func newRefreshKey(id refreshKeyID, secret []byte) (*refreshKey, error) {
	tag, err := hkdf.Key(sha256.New, secret, nil, "latchkey refresh key: tag", 32)
	if err != nil {
		return nil, fmt.Errorf("derive refresh key: %w", err)
	}
	next, err := hkdf.Key(sha256.New, secret, nil, "latchkey refresh key: next", 32)
	if err != nil {
		return nil, fmt.Errorf("derive refresh key: %w", err)
	}
	return &refreshKey{id: id, tag: tag, next: next}, nil
}

// refreshToken is a refresh token taken apart. Its tag is checked when it is parsed and made when it is
// encoded.
type refreshToken struct {
	key        *refreshKey
	sessionID  uuid.UUID
	generation uint32
	secret     [32]byte
}

// first returns the token of a new session.
func (k *refreshKey) first(sessionID uuid.UUID) refreshToken {
	token := refreshToken{key: k, sessionID: sessionID, generation: 1}
	_, _ = rand.Read(token.secret[:]) // never fails: crypto/rand ends the process instead
	return token
}

// successor returns the one token that follows another under a seed.
func (k *refreshKey) successor(token refreshToken, seed []byte) refreshToken {
	next := refreshToken{key: k, sessionID: token.sessionID, generation: token.generation + 1}
	mac := hmac.New(sha256.New, k.next)
	mac.Write([]byte("latchkey refresh next v1"))
	mac.Write(next.sessionID[:])
	mac.Write(binary.BigEndian.AppendUint32(nil, next.generation))
	mac.Write(token.secret[:])
	mac.Write(seed)
	mac.Sum(next.secret[:0])
	return next
}

func (k *refreshKey) tagOf(body []byte) []byte {
	mac := hmac.New(sha256.New, k.tag)
	mac.Write([]byte("latchkey refresh tag v1"))
	mac.Write(body)
	return mac.Sum(nil)[:refreshTagSize]
}

// encode returns the token as a client holds it.
func (t refreshToken) encode() Secret {
	raw := make([]byte, 0, refreshTokenSize)
	raw = append(raw, t.key.id[:]...)
	raw = append(raw, t.sessionID[:]...)
	raw = binary.BigEndian.AppendUint32(raw, t.generation)
	raw = append(raw, t.secret[:]...)
	raw = append(raw, t.key.tagOf(raw)...)
	return Secret(refreshTokenPrefix + base64.RawURLEncoding.EncodeToString(raw))
}

// hash is what the store keeps of a token: of 256 random bits, so it needs no salt and no slow hash.
func (t refreshToken) hash() []byte {
	sum := sha256.Sum256(t.secret[:])
	return sum[:]
}

func newRefreshSeed() []byte {
	seed := make([]byte, refreshSeedSize)
	_, _ = rand.Read(seed)
	return seed
}

// errMalformedRefreshToken is the ErrInvalidRefreshToken of a text that never was a refresh token.
var errMalformedRefreshToken = fmt.Errorf("%w: malformed", ErrInvalidRefreshToken)

// parseRefreshToken returns the token in a text that a server with this ring made. It asks nothing of the
// database, but for a key that is not known: every lookAgainAfter, whatever comes. Errors: ErrInvalidRefreshToken, ErrUnavailable.
func (r *KeyRing) parseRefreshToken(ctx context.Context, text Secret) (refreshToken, error) {
	encoded, ok := strings.CutPrefix(text.Reveal(), refreshTokenPrefix)
	// The length first: the decoder skips line ends, and would find one token in many texts.
	if !ok || len(encoded) != base64.RawURLEncoding.EncodedLen(refreshTokenSize) {
		return refreshToken{}, errMalformedRefreshToken
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) != refreshTokenSize {
		return refreshToken{}, errMalformedRefreshToken
	}
	body, tag := raw[:refreshTokenSize-refreshTagSize], raw[refreshTokenSize-refreshTagSize:]
	id := refreshKeyID(raw[:4])
	key, ok := r.known.Load().refresh[id]
	if !ok { // made a moment ago, or never: whoever is refused here is signed out, so this one is waited for
		if err := r.readSince(ctx); err != nil {
			return refreshToken{}, err
		}
		key, ok = r.known.Load().refresh[id]
	}
	if !ok || !equal(tag, key.tagOf(body)) {
		return refreshToken{}, ErrInvalidRefreshToken
	}
	return refreshToken{
		key:        key,
		sessionID:  uuid.UUID(raw[4:20]),
		generation: binary.BigEndian.Uint32(raw[20:24]),
		secret:     [32]byte(raw[24:56]),
	}, nil
}

// equal compares in a time that does not depend on the contents.
func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
