package auth

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"latchkey/internal/looks"
)

// lookAgainAfter is the least time between two readings of the ring that requests ask for: by a token of a key that is
// not known here, which can be a forged one.
const lookAgainAfter = 250 * time.Millisecond

// KeyRing is the set of keys that all servers of one database share, as one of them knows it.
type KeyRing struct {
	store   KeyStore
	sealers []*sealer // the first seals
	known   atomic.Pointer[keys]
	looks   *looks.Looks
}

// keys are those of the ring at one reading. They do not change.
type keys struct {
	stored  []SealedKey             // by kind and number
	usable  map[KeyKind][]SealedKey // those that are not revoked, by number
	revoked int                     // how many are, which only grows
	signing map[string]*signingKey
	refresh map[refreshKeyID]*refreshKey
}

// OpenKeyRing reads the ring from a store, making what it lacks: on an empty database the first signing
// key and the first refresh key, and where every key of a kind was revoked another one. However many servers do so at once, all end up with one ring.
//
// The keys are sealed with AES-256-GCM under a key derived from secret, which must have at least 32
// bytes. A key that was sealed under previous, which may be nil, is sealed anew under secret.
// Errors: ErrWrongSecret, ErrUnavailable.
func OpenKeyRing(ctx context.Context, store KeyStore, secret, previous []byte, now time.Time) (*KeyRing, error) {
	ring, err := openKeyRing(ctx, store, secret, previous, now.UTC().Truncate(time.Microsecond))
	if err != nil {
		return nil, fmt.Errorf("open key ring: %w", err)
	}
	return ring, nil
}

func openKeyRing(ctx context.Context, store KeyStore, secret, previous []byte, now time.Time) (*KeyRing, error) {
	sealers, err := newSealers(secret, previous)
	if err != nil {
		return nil, err
	}
	ring := &KeyRing{store: store, sealers: sealers}
	ring.known.Store(&keys{})
	ring.looks = looks.New(lookAgainAfter, ring.read)
	stored, err := store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	for _, kind := range keyKinds {
		last, usable := 0, false
		for _, key := range stored {
			if key.Kind == kind {
				last, usable = key.Number, usable || key.RevokedAt == nil
			}
		}
		if usable {
			continue
		}
		key, err := newKey(kind, last+1, sealers[0], now, now)
		if err != nil {
			return nil, err
		}
		if err := store.AddKey(ctx, key); err != nil { // or does nothing: another server may have been faster
			return nil, err
		}
	}
	return ring, ring.looks.Now(ctx)
}

// readSince returns once the ring is as it was stored now or later, for a request, which may have to wait.
func (r *KeyRing) readSince(ctx context.Context) error {
	return waiting(ctx, "read the keys", r.looks.Since(ctx, time.Now()))
}

// readLately returns once the ring is as it was stored a moment ago, lookAgainAfter at the most.
func (r *KeyRing) readLately(ctx context.Context) error {
	return waiting(ctx, "read the keys", r.looks.Lately(ctx))
}

// read takes in the ring as it is stored now. Where that fails the ring stays as it was.
func (r *KeyRing) read(ctx context.Context) error {
	stored, err := r.store.Keys(ctx)
	if err != nil {
		return err
	}
	before := r.known.Load()
	after := &keys{
		stored: stored, usable: map[KeyKind][]SealedKey{},
		signing: map[string]*signingKey{}, refresh: map[refreshKeyID]*refreshKey{},
	}
	for _, key := range stored {
		if key.RevokedAt != nil {
			after.revoked++
			continue
		}
		after.usable[key.Kind] = append(after.usable[key.Kind], key)
		if after.takeFrom(before, key) {
			continue
		}
		plain, err := r.open(ctx, key)
		if err != nil {
			return err
		}
		if err := after.take(key, plain); err != nil {
			return fmt.Errorf("%s key %s: %w", key.Kind, key.ID, err)
		}
	}
	for _, kind := range keyKinds {
		if len(after.usable[kind]) == 0 {
			return fmt.Errorf("every %s key is revoked", kind)
		}
	}
	r.known.Store(after)
	return nil
}

// open returns a key in the clear, and seals it anew where that is due.
func (r *KeyRing) open(ctx context.Context, key SealedKey) ([]byte, error) {
	plain, by, err := open(r.sealers, key)
	if err != nil || by == r.sealers[0] {
		return plain, err
	}
	old := key.Sealed
	key.Sealed = r.sealers[0].seal(key, plain)
	return plain, r.store.ResealKey(ctx, key, old)
}

// takeFrom takes in a key that was opened before, however it is sealed now: a server that has only the previous secret
// goes on with what it could open. It reports whether it did.
func (k *keys) takeFrom(before *keys, key SealedKey) bool {
	if signing, ok := before.signing[key.ID]; ok && key.Kind == SigningKey {
		k.signing[key.ID] = signing
		return true
	}
	if refresh, ok := before.refreshKeyNamed(key.ID); ok && key.Kind == RefreshKey {
		k.refresh[refresh.id] = refresh
		return true
	}
	return false
}

// take takes in a key that was opened.
func (k *keys) take(key SealedKey, plain []byte) error {
	switch key.Kind {
	case SigningKey:
		signing, err := parseSigningKey(key.ID, plain)
		if err != nil {
			return err
		}
		k.signing[key.ID] = signing
	case RefreshKey:
		refresh, err := parseRefreshKey(key.ID, plain)
		if err != nil {
			return err
		}
		k.refresh[refresh.id] = refresh
	default: // of a newer version, which another server of this database runs
	}
	return nil
}

// currentOf returns the key of a kind with which new tokens are made: the last whose time has come.
func (k *keys) currentOf(kind KeyKind, now time.Time) SealedKey {
	all := k.usable[kind]
	for i := len(all) - 1; i > 0; i-- {
		if !all[i].ActiveAt.After(now) {
			return all[i]
		}
	}
	return all[0]
}

func (k *keys) currentSigningKey(now time.Time) *signingKey {
	return k.signing[k.currentOf(SigningKey, now).ID]
}

func (k *keys) currentRefreshKey(now time.Time) *refreshKey {
	id, _ := parseRefreshKeyID(k.currentOf(RefreshKey, now).ID) // which take parsed
	return k.refresh[id]
}

// stateOf returns where a key is on its way, and since when it is superseded.
func (k *keys) stateOf(key SealedKey, now time.Time, accessTokenTTL time.Duration) (state KeyState, superseded time.Time) {
	if key.RevokedAt != nil {
		return RevokedKey, time.Time{}
	}
	current := k.currentOf(key.Kind, now)
	switch {
	case key.Number == current.Number:
		return CurrentKey, time.Time{}
	case key.Number > current.Number:
		return NextKey, time.Time{}
	}
	for _, later := range k.usable[key.Kind] {
		if later.Number > key.Number && (superseded.IsZero() || later.ActiveAt.Before(superseded)) {
			superseded = later.ActiveAt
		}
	}
	if key.Kind == SigningKey && now.Sub(superseded) > accessTokenTTL+acceptedAfter {
		return RetiredKey, superseded
	}
	return PreviousKey, superseded
}

// signingKeyNamed returns the signing key with an id, unless it is revoked, and whether it is retired: then its tokens have
// expired.
func (k *keys) signingKeyNamed(kid string, now time.Time, accessTokenTTL time.Duration) (key *signingKey, retired bool) {
	for _, key := range k.usable[SigningKey] {
		if key.ID == kid {
			state, _ := k.stateOf(key, now, accessTokenTTL)
			return k.signing[kid], state == RetiredKey
		}
	}
	return nil, false
}

// refreshKeyNamed returns the refresh key with an id in its stored form.
func (k *keys) refreshKeyNamed(text string) (*refreshKey, bool) {
	id, err := parseRefreshKeyID(text)
	if err != nil {
		return nil, false
	}
	key, ok := k.refresh[id]
	return key, ok
}
