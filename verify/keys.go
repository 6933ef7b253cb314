package verify

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"latchkey/internal/looks"
	"latchkey/token"
)

const (
	// lookForKeysAfter is the least time between two readings of the keys that tokens ask for: by a key that is not known,
	// which can be a forged one. The server publishes a key for longer before it uses it, even where it is in a hurry.
	lookForKeysAfter = time.Second
	// readKeysEvery is how often they are read anyhow. The server usually publishes a key for twice as long.
	readKeysEvery = 5 * time.Minute
	// readKeysAgain is how long after a reading that failed.
	readKeysAgain = 10 * time.Second

	maxKeySet = 1 << 20 // bytes
)

// keys are the public keys of the server (RFC 7517), as they were read the last time that it answered.
type keys struct {
	client *http.Client
	url    string
	log    *slog.Logger
	looks  *looks.Looks

	mu      sync.Mutex
	known   map[string]*ecdsa.PublicKey
	revoked map[string]bool
}

func newKeys(client *http.Client, url string, log *slog.Logger) *keys {
	k := &keys{client: client, url: url, log: log, revoked: map[string]bool{}}
	k.looks = looks.New(lookForKeysAfter, k.read)
	return k
}

// named returns the key with an id, or token.ErrUnknownKey.
func (k *keys) named(kid string) (*ecdsa.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key, ok := k.known[kid]; ok && !k.revoked[kid] {
		return key, nil
	}
	return nil, token.ErrUnknownKey
}

func (k *keys) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.known)
}

// revoke has keys not be taken again, whatever is published: a cache may lag behind.
func (k *keys) revoke(ids []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		k.revoked[id] = true
	}
}

func (k *keys) look(ctx context.Context) error { return k.looks.Lately(ctx) }

// keep reads the keys now and then until ctx ends.
func (k *keys) keep(ctx context.Context) {
	for {
		wait := readKeysEvery
		if err := k.looks.Now(ctx); err != nil && ctx.Err() == nil {
			k.log.WarnContext(ctx, "keys not read", "error", err)
			wait = readKeysAgain
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// read takes in the keys as they are published.
func (k *keys) read(ctx context.Context) error {
	var set jose.JSONWebKeySet
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return err
	}
	if err := getJSON(k.client, request, maxKeySet, &set); err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	known := map[string]*ecdsa.PublicKey{}
	for _, key := range set.Keys {
		public, ok := key.Key.(*ecdsa.PublicKey)
		if ok && public.Curve == elliptic.P256() && key.Algorithm == string(jose.ES256) && key.Use == "sig" {
			known[key.KeyID] = public
		}
	}
	if len(known) == 0 {
		return errors.New("read keys: there is none for ES256")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known = known
	return nil
}

// getJSON sends a request and decodes the answer, whose status must be 200.
func getJSON(client *http.Client, request *http.Request, most int64, into any) error {
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP status %d", response.StatusCode)
	}
	return json.NewDecoder(io.LimitReader(response.Body, most)).Decode(into)
}
