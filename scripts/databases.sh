#!/bin/sh
# Sees to it that the tests find PostgreSQL, PgBouncer and HAProxy, and with the argument "soak" Patroni and etcd
# too: nothing to do where they are installed, else apt-get installs them where it may. The tests start
# processes of their own, and leave the system's alone.
set -eu

# Named has_…: `command -v` would find a function of the program's own name, and call it installed.
has_postgres() {
	[ -n "${TEST_DATABASE_URL:-}" ] && return
	command -v initdb >/dev/null && return
	for initdb in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb \
		/opt/homebrew/opt/postgresql*/bin/initdb /usr/local/opt/postgresql*/bin/initdb; do
		[ -x "$initdb" ] && return
	done
	return 1
}
has_pgbouncer() { command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ]; }
# Only tests that need a Linux use it.
has_haproxy() { [ "$(uname)" != Linux ] || command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ]; }
has_patroni() { command -v patroni >/dev/null; }
has_etcd() { command -v etcd >/dev/null; }

missing() {
	has_postgres || echo postgresql
	has_pgbouncer || echo pgbouncer
	has_haproxy || echo haproxy
	if [ "${1:-}" = soak ]; then
		has_patroni || echo patroni
		has_etcd || echo etcd-server
	fi
}

packages=$(missing "$@")
[ -n "$packages" ] || exit 0

root=""
[ "$(id -u)" = 0 ] || root="sudo -n"
if command -v apt-get >/dev/null && $root true 2>/dev/null; then
	echo "installing for the tests:" $packages
	$root apt-get update -qq
	# No server of the system's own is wanted: without this the package makes one and starts it.
	if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
		$root mkdir -p /etc/postgresql-common
		echo "create_main_cluster = false" | $root tee /etc/postgresql-common/createcluster.conf >/dev/null
	fi
	$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
	for package in $packages; do # nor one of these, which their packages start
		[ ! -d /run/systemd/system ] || $root systemctl disable --now "${package%-server}" >/dev/null 2>&1 || true
	done
	[ -n "$(missing "$@")" ] || exit 0
fi

cat >&2 <<TEXT
Not installed, and cannot be installed from here: $(missing "$@" | tr '\n' ' '). Tests that need them will be skipped.
Either install them
  Debian, Ubuntu   sudo apt-get install $(missing "$@" | tr '\n' ' ')
  Fedora           sudo dnf install postgresql-server pgbouncer haproxy
  macOS            brew install postgresql pgbouncer
or, for PostgreSQL, set TEST_DATABASE_URL to a server on which databases may be created.
TEXT
[ -z "${CI:-}" ]
