#!/bin/sh
# Sees to it that promtool is there, and checks the alerts with it: nothing to install where it is on the PATH,
# else apt-get installs the package of Prometheus where it may. No Prometheus is started.
set -eu
cd "$(dirname "$0")/.."

has_promtool() { command -v promtool >/dev/null; }

root=""
[ "$(id -u)" = 0 ] || root="sudo -n"

# Only the tool is wanted: without a policy against it the package starts a server, which takes the port 9090.
install_without_starting() (
	set -e
	$root apt-get update -qq
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		trap '$root rm -f "$policy"' EXIT
		trap 'exit 1' HUP INT TERM
		printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null
		$root chmod 755 "$policy"
	fi
	$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus >/dev/null
	[ ! -d /run/systemd/system ] || $root systemctl disable --now prometheus >/dev/null 2>&1 || true # nor at the next boot
)

if ! has_promtool && command -v apt-get >/dev/null && $root true 2>/dev/null; then
	echo "installing for the tests: prometheus"
	install_without_starting
fi
if ! has_promtool; then
	cat >&2 <<TEXT
Not installed, and cannot be installed from here: promtool. The alerts and the dashboard will not be checked with it.
  Debian, Ubuntu   sudo apt-get install prometheus
  Fedora           sudo dnf install golang-github-prometheus
  macOS            brew install prometheus
TEXT
	[ -z "${CI:-}" ]
	exit
fi

promtool check rules deploy/prometheus/alerts.yaml
promtool test rules deploy/prometheus/alerts_test.yaml
