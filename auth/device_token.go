package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// A device token shows that somebody signed in to an account from here before (the "device cookie" of OWASP). It
// signs nobody in: it only gives attempts from here a budget of their own, so that strangers who use up that of
// the account keep nobody out. It is
//
//	"lkd1." + base64url( key id [4] | account [16] | password generation [4, big endian] | nonce [16] | tag [16] )
//
// and of no use any more once the password was changed, so that nobody who knew the old one has budgets left to
// guess the new one.
const (
	deviceTokenPrefix = "lkd1."
	deviceTokenSize   = 4 + 16 + 4 + 16 + 16
)

type deviceToken struct {
	account            []byte // accountHash
	passwordGeneration int
	nonce              []byte
}

// newDeviceToken returns a token of a device that has just signed in.
func (r *KeyRing) newDeviceToken(normalizedEmail string, passwordGeneration int, now time.Time) Secret {
	key := r.known.Load().currentRefreshKey(now)
	raw := append(make([]byte, 0, deviceTokenSize), key.id[:]...)
	raw = append(raw, accountHash(normalizedEmail)...)
	raw = binary.BigEndian.AppendUint32(raw, uint32(passwordGeneration))
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the process instead
	raw = append(raw, nonce...)
	raw = append(raw, key.deviceTagOf(raw)...)
	return Secret(deviceTokenPrefix + base64.RawURLEncoding.EncodeToString(raw))
}

// parseDeviceToken returns the token in a text that a server with this ring made for an account, and false for
// any other text.
func (r *KeyRing) parseDeviceToken(text Secret, normalizedEmail string) (deviceToken, bool) {
	encoded, ok := strings.CutPrefix(text.Reveal(), deviceTokenPrefix)
	if !ok || len(encoded) != base64.RawURLEncoding.EncodedLen(deviceTokenSize) {
		return deviceToken{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) != deviceTokenSize {
		return deviceToken{}, false
	}
	body, tag := raw[:deviceTokenSize-refreshTagSize], raw[deviceTokenSize-refreshTagSize:]
	key, ok := r.known.Load().refresh[refreshKeyID(raw[:4])]
	if !ok || !equal(tag, key.deviceTagOf(body)) {
		return deviceToken{}, false
	}
	token := deviceToken{account: raw[4:20], passwordGeneration: int(binary.BigEndian.Uint32(raw[20:24])), nonce: raw[24:40]}
	return token, equal(token.account, accountHash(normalizedEmail))
}

func (k *refreshKey) deviceTagOf(body []byte) []byte {
	mac := hmac.New(sha256.New, k.tag)
	mac.Write([]byte("latchkey device tag v1"))
	mac.Write(body)
	return mac.Sum(nil)[:refreshTagSize]
}

// deviceBucket is the budget of one device of an account.
func (s *Service) deviceBucket(token deviceToken) Bucket {
	return Bucket{Key: "device:" + hex.EncodeToString(token.nonce), Limit: s.settings.LoginLimit.orOff()}
}
