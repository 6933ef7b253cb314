package auth

import (
	"crypto/sha256"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
)

// maxVerifiedTokens is how many access tokens a server remembers to be genuine. Each costs some 300 bytes; one that was
// forgotten costs another look at its signature.
const maxVerifiedTokens = 1 << 14

// verifiedToken is what an access token says whose signature and claims were found good.
type verifiedToken struct {
	kid                 string // of the key that it is signed with
	sessionID, userID   uuid.UUID
	generation          uint32
	issuedAt, expiresAt time.Time
}

// verifiedTokens remember which access tokens are genuine: a look at a signature costs as much as all else that a
// request needs of this machine. That of the session is not remembered: it is over when the database says so.
type verifiedTokens struct {
	// by the digest of the whole token, so that no token lies about in memory
	recent *lru.Cache[[sha256.Size]byte, *verifiedToken]
}

func newVerifiedTokens() (*verifiedTokens, error) {
	recent, err := lru.New[[sha256.Size]byte, *verifiedToken](maxVerifiedTokens)
	return &verifiedTokens{recent}, err
}

func (v *verifiedTokens) get(text Secret) (*verifiedToken, bool) { return v.recent.Get(digest(text)) }

func (v *verifiedTokens) add(text Secret, verified *verifiedToken) {
	v.recent.Add(digest(text), verified)
}

func digest(text Secret) [sha256.Size]byte { return sha256.Sum256([]byte(text.Reveal())) }
