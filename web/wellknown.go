package web

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"

	"latchkey/auth"
)

const jwksPath = "/.well-known/jwks.json"

// handleWellKnown answers what the services ask that verify the access tokens (RFC 7517 §5, RFC 8414, OpenID Connect
// Discovery 1.0). It is for everybody, pages of any origin included. There are no endpoints of OAuth here, so none is
// named.
func (e *Edge) handleWellKnown(mux *http.ServeMux, publicURL string) error {
	metadata := map[string]any{"issuer": publicURL, "jwks_uri": publicURL + jwksPath}
	server, err := json.Marshal(metadata)
	if err != nil {
		return err
	}
	metadata["subject_types_supported"] = []string{"public"} // a user has one `sub` for everybody
	provider, err := json.Marshal(metadata)
	if err != nil {
		return err
	}
	mux.HandleFunc("GET "+jwksPath, func(w http.ResponseWriter, r *http.Request) {
		keys, err := json.Marshal(e.publicKeys(r.Context()))
		if err != nil {
			panic(err) // recovered, logged and answered above
		}
		writePublic(w, r, keys)
	})
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, r *http.Request) { writePublic(w, r, server) })
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) { writePublic(w, r, provider) })
	return nil
}

// writePublic answers with JSON that anybody may read, and keep for as long as keys are published ahead of their use.
func writePublic(w http.ResponseWriter, r *http.Request, text []byte) {
	sum := sha256.Sum256(text)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(auth.PublishedFor.Seconds())))
	header.Set("ETag", etag)
	header.Set("Content-Type", "application/json; charset=utf-8")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(text)
}
