package auth

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/elastic/go-freelru"
	"github.com/google/uuid"
)

// maxVerifiedTokens is how many access tokens a server remembers to be genuine. Each takes 164 bytes, from the start; one that was
// forgotten costs another look at its signature.
const maxVerifiedTokens = 1 << 14

// verifiedToken is what an access token says whose signature and claims were found good. It has no pointers, so that the
// garbage collector does not look at what is remembered, which it would do most of its time.
type verifiedToken struct {
	signedWith          [43]byte // the key's id, a thumbprint (RFC 7638) in base64url
	sessionID, userID   uuid.UUID
	generation          uint32
	issuedAt, expiresAt int64 // as NumericDate: seconds since 1970
}

func (t *verifiedToken) kid() string { return string(t.signedWith[:]) }

func (t *verifiedToken) isExpired(now time.Time) bool { return !now.Before(time.Unix(t.expiresAt, 0)) }

// isEarly reports whether a token was issued later than clocks may differ.
func (t *verifiedToken) isEarly(now time.Time) bool {
	return time.Unix(t.issuedAt, 0).After(now.Add(MaxClockSkew))
}

// verifiedTokens remember which access tokens are genuine: a look at a signature costs as much as all else that a
// request needs of this machine. That of the session is not remembered: it is over when the database says so.
type verifiedTokens struct {
	// by the digest of the whole token, so that no token lies about in memory
	recent *freelru.SyncedLRU[tokenDigest, verifiedToken]
}

type tokenDigest [sha256.Size]byte

func digest(text Secret) tokenDigest { return sha256.Sum256([]byte(text.Reveal())) }

func newVerifiedTokens() (*verifiedTokens, error) {
	recent, err := freelru.NewSynced[tokenDigest, verifiedToken](maxVerifiedTokens, func(d tokenDigest) uint32 {
		return binary.LittleEndian.Uint32(d[:])
	})
	return &verifiedTokens{recent}, err
}

func (v *verifiedTokens) get(text Secret) (verifiedToken, bool) { return v.recent.Get(digest(text)) }

func (v *verifiedTokens) add(text Secret, verified verifiedToken) {
	v.recent.Add(digest(text), verified)
}
