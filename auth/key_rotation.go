package auth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// tendKeysEvery is how often a server reads the ring and does what is due.
const tendKeysEvery = 20 * time.Second

// Keys returns the keys of the ring as they are stored, by kind and age. Errors: ErrUnavailable.
func (s *Service) Keys(ctx context.Context) ([]Key, error) {
	if err := s.keys.looks.Now(ctx); err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	known, now := s.keys.known.Load(), s.now()
	listed := make([]Key, len(known.stored))
	for i, key := range known.stored {
		listed[i] = known.describe(key, now, s.settings.AccessTokenTTL)
	}
	return listed, nil
}

func (k *keys) describe(key SealedKey, now time.Time, accessTokenTTL time.Duration) Key {
	state, _ := k.stateOf(key, now, accessTokenTTL)
	return Key{Kind: key.Kind, ID: key.ID, State: state, CreatedAt: key.CreatedAt, ActiveAt: key.ActiveAt, RevokedAt: key.RevokedAt}
}

// InspectKeys returns the keys in a store as Service.Keys does, without changing anything, and none of an empty one.
// Errors: ErrWrongSecret where one opens with neither secret, ErrUnavailable.
func InspectKeys(ctx context.Context, store KeyStore, secret, previous []byte, now time.Time, accessTokenTTL time.Duration) ([]Key, error) {
	sealers, err := newSealers(secret, previous)
	if err != nil {
		return nil, err
	}
	stored, err := store.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("inspect keys: %w", err)
	}
	found := &keys{stored: stored, usable: map[KeyKind][]SealedKey{}}
	for _, key := range stored {
		if key.RevokedAt != nil {
			continue
		}
		found.usable[key.Kind] = append(found.usable[key.Kind], key)
		if _, _, err := open(sealers, key); err != nil {
			return nil, err
		}
	}
	listed := make([]Key, len(stored))
	for i, key := range stored {
		listed[i] = found.describe(key, now, accessTokenTTL)
	}
	return listed, nil
}

// CurrentKey returns the key of a kind with which this server makes tokens now.
func (s *Service) CurrentKey(kind KeyKind) Key {
	known, now := s.keys.known.Load(), s.now()
	return known.describe(known.currentOf(kind, now), now, s.settings.AccessTokenTTL)
}

// KeyAges returns for how long the current key of each kind has been the one that tokens are made with.
func (s *Service) KeyAges() map[KeyKind]time.Duration {
	ages := map[KeyKind]time.Duration{}
	for _, kind := range keyKinds {
		ages[kind] = s.now().Sub(s.CurrentKey(kind).ActiveAt)
	}
	return ages
}

// PublicKeys returns the public halves of the signing keys whose access tokens are taken, or soon will be, as they were
// stored a moment ago or, where the database does not answer within a second, the last time that it did.
func (s *Service) PublicKeys(ctx context.Context) jose.JSONWebKeySet {
	soon, cancel := context.WithTimeout(ctx, time.Second) // before those who ask give up
	defer cancel()
	if err := s.keys.readLately(soon); err != nil {
		s.log.WarnContext(ctx, "keys not read", "error", err)
	}
	known, now := s.keys.known.Load(), s.now()
	var set jose.JSONWebKeySet
	for _, key := range known.usable[SigningKey] {
		if signing, retired := known.signingKeyNamed(key.ID, now, s.settings.AccessTokenTTL); !retired {
			set.Keys = append(set.Keys, signing.jwk)
		}
	}
	return set
}

// RotateKey makes the next key of a kind and returns it, or the one that there is already. It is used in ten minutes,
// when everybody who verifies tokens has had the time to learn of it; with atOnce in two seconds by
// servers that have read the ring since, and by the others within half a minute; verifiers may refuse its tokens for as long
// as they keep the old keys. Tokens of the previous keys stay good.
// Errors: ErrUnavailable.
func (s *Service) RotateKey(ctx context.Context, kind KeyKind, atOnce bool) (*Key, error) {
	ahead := publishedAhead
	if atOnce {
		ahead = publishedAtOnce
	}
	for {
		if err := s.keys.looks.Now(ctx); err != nil {
			return nil, fmt.Errorf("rotate key: %w", err)
		}
		known, now := s.keys.known.Load(), s.now()
		last := 0
		for _, key := range known.stored {
			if key.Kind != kind {
				continue
			}
			last = key.Number
			if described := known.describe(key, now, s.settings.AccessTokenTTL); described.State == NextKey && !described.ActiveAt.After(now.Add(ahead)) {
				return &described, nil
			}
		}
		key, err := newKey(kind, last+1, s.keys.sealers[0], now, now.Add(ahead))
		if err != nil {
			return nil, err
		}
		if err := s.store.AddKey(ctx, key); err != nil { // or does nothing, where somebody else was faster
			return nil, fmt.Errorf("rotate key: %w", err)
		}
	}
}

// RevokeKey ends the use of a key everywhere and at once, and returns it: no server takes a token of it any more. Of a
// signing key, that costs clients a refresh; of a refresh key, those whose last refresh was made with it their session.
// Where it is the current one, its successor is used first, which takes some seconds. Verifiers elsewhere take its access
// tokens for as long as they keep the old keys. Errors: ErrNotFound, ErrUnavailable.
func (s *Service) RevokeKey(ctx context.Context, id string) (*Key, error) {
	revoked, err := s.keyNamed(ctx, id)
	if err != nil {
		return nil, err
	}
	for revoked.State == CurrentKey {
		successor, err := s.RotateKey(ctx, revoked.Kind, true)
		if err != nil {
			return nil, err
		}
		select { // until every server makes tokens with it: signing in reads a ring of that moment
		case <-time.After(successor.ActiveAt.Sub(s.now()) + 2*lookAgainAfter):
		case <-ctx.Done():
			return nil, waiting(ctx, "revoke key", ctx.Err())
		}
		if revoked, err = s.keyNamed(ctx, id); err != nil {
			return nil, err
		}
	}
	if err := s.store.RevokeKey(ctx, id, s.now()); err != nil {
		return nil, fmt.Errorf("revoke key: %w", err)
	}
	s.log.WarnContext(ctx, "key revoked", "kind", revoked.Kind, "key", id)
	return s.keyNamed(ctx, id)
}

func (s *Service) keyNamed(ctx context.Context, id string) (*Key, error) {
	listed, err := s.Keys(ctx)
	if err != nil {
		return nil, err
	}
	for _, key := range listed {
		if key.ID == id {
			return &key, nil
		}
	}
	return nil, ErrNotFound
}

// KeepKeys reads the ring three times a minute until ctx ends, and does what TendKeys does unless the clock is wrong.
func (s *Service) KeepKeys(ctx context.Context) {
	for {
		wait := tendKeysEvery/2 + rand.N(tendKeysEvery) // so that servers that started at once do not stay together
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		tend := s.TendKeys
		if !s.clockIsRight(ctx) {
			tend = s.keys.looks.Now
		}
		if err := tend(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "keys not tended", "error", err)
		}
	}
}

// TendKeys reads the ring, makes the next key of each kind where the last was made Settings.KeyRotation ago, and deletes
// signing keys that were retired a day ago. Any number of servers may do so at once. Errors: ErrUnavailable.
func (s *Service) TendKeys(ctx context.Context) error {
	if err := s.keys.looks.Now(ctx); err != nil {
		return fmt.Errorf("tend keys: %w", err)
	}
	known, now := s.keys.known.Load(), s.now()
	var errs []error
	for _, kind := range keyKinds {
		all := known.usable[kind]
		if s.settings.KeyRotation > 0 && now.Sub(all[len(all)-1].CreatedAt) >= s.settings.KeyRotation {
			next, err := s.RotateKey(ctx, kind, false)
			if err == nil {
				s.log.InfoContext(ctx, "next key", "kind", kind, "key", next.ID, "usedFrom", next.ActiveAt)
			}
			errs = append(errs, err)
		}
		for _, key := range all {
			state, superseded := known.stateOf(key, now, s.settings.AccessTokenTTL)
			if state == RetiredKey && now.Sub(superseded) > s.settings.AccessTokenTTL+acceptedAfter+keptAfterRetirement {
				errs = append(errs, s.store.DeleteKey(ctx, key.ID))
			}
		}
	}
	return errors.Join(errs...)
}
