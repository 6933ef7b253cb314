package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"

	"latchkey/auth"
	"latchkey/token"
)

const endedPath = "/sessions/ended"

// maxCursor is how many bytes a cursor that is believed may have.
const maxCursor = 200

// endedHandler tells services that have a key which sessions ended since they last asked.
func endedHandler(endedSince func(context.Context, string) (*token.Ended, error), keys []auth.Secret, log *slog.Logger) http.Handler {
	hashes := make([][sha256.Size]byte, len(keys))
	for i, key := range keys {
		hashes[i] = sha256.Sum256([]byte(key.Reveal()))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearer, _, err := bearerToken(r)
		if err != nil || bearer == nil || !isOneOf(hashes, *bearer) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeText(w, http.StatusUnauthorized, "this needs a service key in the header Authorization: Bearer\n")
			return
		}
		cursor := r.URL.Query().Get("since")
		if len(cursor) > maxCursor {
			cursor = ""
		}
		ended, err := endedSince(r.Context(), cursor)
		if err != nil {
			log.WarnContext(r.Context(), "no answer about sessions that ended", "error", err)
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
			writeText(w, http.StatusServiceUnavailable, "the database does not answer\n")
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(ended) // fails where the client is gone
	})
}

// isOneOf compares hashes, in a time that says nothing of how much of a key was right.
func isOneOf(hashes [][sha256.Size]byte, key auth.Secret) bool {
	presented := sha256.Sum256([]byte(key.Reveal()))
	found := 0
	for _, hash := range hashes {
		found |= subtle.ConstantTimeCompare(hash[:], presented[:])
	}
	return found == 1
}
