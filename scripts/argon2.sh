#!/bin/sh
# Copies golang.org/x/crypto/argon2 into internal/argon2 as it is, with its licence, at the version of go.mod.
set -eu
cd "$(dirname "$0")/../internal/argon2"

go mod download golang.org/x/crypto
source=$(go list -m -f '{{.Dir}}' golang.org/x/crypto)
: "${source:?}"
find . -type f ! -name 'memor*.go' ! -name staticcheck.conf -delete
cp "$source"/argon2/* "$source/LICENSE" .
chmod u+w ./*
