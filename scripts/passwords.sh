#!/bin/sh
# Copies the list of common passwords into the repository, with its licence, at the version and with the
# checksum of auth/passwords/package-lock.json.
set -eu
cd "$(dirname "$0")/../auth/passwords"

npm ci --no-audit --no-fund --silent --ignore-scripts
package=node_modules/@zxcvbn-ts/language-common
node -p "JSON.parse(require('fs').readFileSync('$package/src/passwords.json', 'utf8')).join('\n')" | LC_ALL=C sort -u >common.txt
cp "$package/LICENSE.txt" LICENSE
