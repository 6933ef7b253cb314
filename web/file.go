package web

import (
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"io"
	"net/http"
	"time"
)

// fileText is the text of a file, which requests read at once.
type fileText interface {
	io.ReaderAt
	Size() int64
}

func sum(text fileText, digest hash.Hash) []byte {
	_, _ = io.Copy(digest, io.NewSectionReader(text, 0, text.Size())) // from memory, which does not fail
	return digest.Sum(nil)
}

// fileHandler answers with a text of this program's own. Its ETag spares a client that has it already.
func fileHandler(text fileText, mediaType string) http.Handler {
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum(text, sha256.New())[:16]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-cache") // may be kept, and must be asked for again
		header.Set("Content-Type", mediaType+"; charset=utf-8")
		header.Set("ETag", etag)
		http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(text, 0, text.Size()))
	})
}
