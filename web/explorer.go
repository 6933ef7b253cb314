package web

import (
	"crypto/rand"
	"crypto/sha512"
	"embed"
	"encoding/base64"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// explorerFiles are the page, what draws it, and in vendor what others made of it (scripts/explorer.sh).
//
//go:embed explorer/index.html explorer/*.js explorer/*.css explorer/vendor
var explorerFiles embed.FS

var explorerMedia = map[string]string{".js": "text/javascript", ".css": "text/css"}

// handleExplorer adds / and what that page loads. The page gets a Content-Security-Policy under which nothing
// runs that is not of this server, and nothing is sent elsewhere; each file is named with its checksum
// (Subresource Integrity).
func handleExplorer(mux *http.ServeMux) error {
	var checksums []string
	err := fs.WalkDir(explorerFiles, "explorer", func(file string, entry fs.DirEntry, err error) error {
		mediaType, served := explorerMedia[path.Ext(file)]
		if err != nil || entry.IsDir() || !served {
			return err
		}
		text, err := inProgram(file)
		if err != nil {
			return err
		}
		mux.Handle("GET /explorer/"+path.Base(file), fileHandler(text, mediaType))
		checksum := base64.StdEncoding.EncodeToString(sum(text, sha512.New384()))
		checksums = append(checksums, `"SRI-`+path.Base(file)+`"`, `"sha384-`+checksum+`"`)
		return nil
	})
	if err != nil {
		return err
	}
	raw, err := explorerFiles.ReadFile("explorer/index.html")
	if err != nil {
		return err
	}
	page := strings.NewReplacer(checksums...).Replace(string(raw))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		nonce := rand.Text() // for the one <style> that GraphiQL's dialogs write
		header := w.Header()
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", explorerPolicy(nonce))
		_, _ = io.WriteString(w, strings.ReplaceAll(page, "NONCE", nonce))
	})
	return nil
}

// inProgram returns a file of explorerFiles where it lies: to read it all would copy it, and all are 1.6 MB.
func inProgram(name string) (*io.SectionReader, error) {
	file, err := explorerFiles.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(file.(io.ReaderAt), 0, info.Size()), nil // as embed.FS promises
}

func explorerPolicy(nonce string) string {
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'",
		"style-src 'self' 'nonce-" + nonce + "'",
		"font-src data:", // GraphiQL's, in its style sheet
		"img-src 'self' data:",
		"connect-src 'self'",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
	}, "; ")
}
