#!/bin/sh
# Copies into the repository what the explorer is made of and others made, at the versions and with the
# checksums of web/explorer/package-lock.json, and their licences into THIRD_PARTY_NOTICES.
set -eu
cd "$(dirname "$0")/../web/explorer"

npm ci --no-audit --no-fund --silent --ignore-scripts
rm -rf vendor && mkdir vendor
cp node_modules/react/umd/react.production.min.js vendor/react.js
cp node_modules/react-dom/umd/react-dom.production.min.js vendor/react-dom.js
grep -v '^//# sourceMappingURL=' node_modules/graphiql/graphiql.min.js >vendor/graphiql.js
cp node_modules/graphiql/graphiql.min.css vendor/graphiql.css
node notices.mjs >../../THIRD_PARTY_NOTICES
