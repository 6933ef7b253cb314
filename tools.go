//go:build tools

// Pins the generator that `go generate ./...` runs.
package main

import _ "github.com/99designs/gqlgen"
