// Pack makes the archive of a program that is published, with its README, its licence and those of all that
// it contains: `pack SECONDS PROGRAM ARCHIVE`, in the root of the program's source. SECONDS is the time of
// all files in the archive, which is a .tar.gz or a .zip and holds them in a folder of its own name.
package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"latchkey/internal/release"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: pack SECONDS PROGRAM ARCHIVE")
	}
	seconds, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return err
	}
	program, archive := args[1], args[2]
	write := writeTar
	folder, found := strings.CutSuffix(filepath.Base(archive), ".tar.gz")
	if !found {
		write = writeZip
		if folder, found = strings.CutSuffix(folder, ".zip"); !found {
			return fmt.Errorf("neither .tar.gz nor .zip: %s", archive)
		}
	}
	files, err := collect(program)
	if err != nil {
		return err
	}
	packed, err := write(folder, files, time.Unix(seconds, 0).UTC())
	if err != nil {
		return err
	}
	return os.WriteFile(archive, packed, 0o644)
}

type file struct {
	name    string
	mode    fs.FileMode
	content []byte
}

// collect returns what an archive contains, by name.
func collect(program string) ([]file, error) {
	licence, err := os.ReadFile("LICENSE")
	if err != nil {
		return nil, err
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		return nil, err
	}
	notices, err := notices(program)
	if err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	return []file{
		{"LICENSE", 0o644, licence},
		{"README.md", 0o644, readme},
		{"THIRD_PARTY_NOTICES", 0o644, notices},
		{filepath.Base(program), 0o755, binary},
	}, nil
}

// notices returns the licences of all that a program contains: those that the repository keeps, of what it
// has copied, and those of the Go modules.
func notices(program string) ([]byte, error) {
	var text bytes.Buffer
	entry := func(title, licence string) {
		fmt.Fprintf(&text, "\n%s\n%s\n\n%s\n", strings.Repeat("-", 78), title, strings.TrimSpace(licence))
	}
	explorer, err := os.ReadFile("THIRD_PARTY_NOTICES")
	if err != nil {
		return nil, err
	}
	text.Write(explorer)
	passwords, err := os.ReadFile("auth/passwords/LICENSE")
	if err != nil {
		return nil, err
	}
	entry("The list of common passwords, from @zxcvbn-ts/language-common", string(passwords))
	modules, err := release.Modules(program)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&text, "\n%s\nThe program contains Go's standard library and the following modules. The source of each is what\n"+
		"`go mod download MODULE@VERSION` fetches.\n", strings.Repeat("=", 78))
	for _, module := range modules {
		for _, licence := range module.Texts {
			entry(fmt.Sprintf("%s %s (%s): %s", module.Path, module.Version, module.Licence, licence.Name), licence.Content)
		}
	}
	return text.Bytes(), nil
}

func writeTar(folder string, files []file, date time.Time) ([]byte, error) {
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	archive := tar.NewWriter(compressed)
	for _, f := range files {
		err := archive.WriteHeader(&tar.Header{
			Name: folder + "/" + f.name, Mode: int64(f.mode), Size: int64(len(f.content)), ModTime: date,
		})
		if err != nil {
			return nil, err
		}
		if _, err := archive.Write(f.content); err != nil {
			return nil, err
		}
	}
	err := errors.Join(archive.Close(), compressed.Close())
	return packed.Bytes(), err
}

func writeZip(folder string, files []file, date time.Time) ([]byte, error) {
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	for _, f := range files {
		header := &zip.FileHeader{Name: folder + "/" + f.name, Method: zip.Deflate, Modified: date}
		header.SetMode(f.mode)
		w, err := archive.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	err := archive.Close()
	return packed.Bytes(), err
}
