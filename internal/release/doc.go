// Package release is what scripts/release.sh needs beside Go: the licences of all that a program contains.
// The folders are the programs that it runs: pack makes an archive, bom completes the bill of materials.
// They write the same bytes on every system, which tar, zip and date do not.
//
// The test makes a whole release twice, which takes minutes, and looks at what is in it:
//
//	go test ./internal/release -v -release -timeout 40m
package release
