#!/bin/sh
# Runs once, on an empty data directory: Latchkey gets a database and a role that owns nothing else, least of
# all the server. The password is the one that PgBouncer logs in with.
set -e
LATCHKEY_PASSWORD=$(sed -n 's/^"latchkey" "\(.*\)"$/\1/p' /run/secrets/pgbouncer_users)
[ -n "$LATCHKEY_PASSWORD" ] || { echo "secrets/pgbouncer_users: want \"latchkey\" \"PASSWORD\"" >&2; exit 1; }
export LATCHKEY_PASSWORD
psql --no-psqlrc --no-password --username postgres --dbname postgres --set ON_ERROR_STOP=1 <<'SQL'
\getenv password LATCHKEY_PASSWORD
CREATE ROLE latchkey LOGIN PASSWORD :'password';
CREATE DATABASE latchkey OWNER latchkey;
SQL
