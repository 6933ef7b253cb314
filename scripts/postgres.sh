#!/bin/sh
# Sees to it that the tests find PostgreSQL: nothing to do where TEST_DATABASE_URL names a server or the
# programs are installed, else apt-get installs them where it may. The tests start a server of their own.
set -eu

installed() {
	command -v initdb >/dev/null && return
	for initdb in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb \
		/opt/homebrew/opt/postgresql*/bin/initdb /usr/local/opt/postgresql*/bin/initdb; do
		[ -x "$initdb" ] && return
	done
	return 1
}

[ -n "${TEST_DATABASE_URL:-}" ] && exit 0
installed && exit 0

root=""
[ "$(id -u)" = 0 ] || root="sudo -n"
if command -v apt-get >/dev/null && $root true 2>/dev/null; then
	echo "installing PostgreSQL's programs for the tests"
	$root apt-get update -qq
	# No server of the system's own is wanted: without this the package makes one and starts it.
	if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
		$root mkdir -p /etc/postgresql-common
		echo "create_main_cluster = false" | $root tee /etc/postgresql-common/createcluster.conf >/dev/null
	fi
	$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
	installed && exit 0
fi

cat >&2 <<'TEXT'
PostgreSQL is not installed, and cannot be installed from here: its tests will be skipped.
Either install it
  Debian, Ubuntu   sudo apt-get install postgresql
  Fedora           sudo dnf install postgresql-server
  macOS            brew install postgresql
or set TEST_DATABASE_URL to a server on which databases may be created.
TEXT
[ -z "${CI:-}" ]
