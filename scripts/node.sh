#!/bin/sh
# Sees to it that the tests find Node.js, the packages of package-lock.json and Chromium: nothing to do where
# they are, else apt-get and npm install them where they may. Without Node.js those tests are skipped.
set -eu

# A Node.js of the system that is too old, as that of Debian 12 is, gets a newer one beside it: the Makefile looks there.
node_version=20.20.2
PATH="$PWD/.tools/node_modules/node/bin:$PATH"

has_some_node() { command -v node >/dev/null && command -v npm >/dev/null; }
# As new as package.json wants it.
has_node() {
	has_some_node &&
		node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
}
chromium_is_there() {
	[ -n "${CHROMIUM:-}" ] && return
	for program in chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
		command -v $program >/dev/null && return
	done
	[ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ]
}

chromium=chromium # the package
missing() {
	"$1" || echo nodejs npm
	chromium_is_there || echo $chromium
}

packages=$(missing has_some_node)
if [ -n "$packages" ]; then
	root=""
	[ "$(id -u)" = 0 ] || root="sudo -n"
	if command -v apt-get >/dev/null && $root true 2>/dev/null; then
		echo "installing for the tests:" $packages
		$root apt-get update -qq
		# Debian has Chromium without a window, too, not even one that is not shown: it takes a fifth of the processor.
		apt-cache show chromium-headless-shell >/dev/null 2>&1 && chromium=chromium-headless-shell
		$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(missing has_some_node) >/dev/null
	fi
fi
if has_some_node && ! has_node; then
	npm install --prefix .tools --no-save --no-audit --no-fund --silent "node@$node_version"
	hash -r
fi
if has_node && [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
	npm ci --no-audit --no-fund --silent
	touch node_modules/.package-lock.json
fi
[ -z "$(missing has_node)" ] && exit 0

cat >&2 <<TEXT
Not installed, or too old, and cannot be installed from here: $(missing has_node | tr '\n' ' '). Tests that need them will be
skipped. Node.js must be 20.19 or newer (https://nodejs.org has packages where the system's is older).
  Debian, Ubuntu   sudo apt-get install $(missing has_node | tr '\n' ' ')
  macOS            brew install node; brew install --cask google-chrome
A browser of the Chromium family elsewhere is found by CHROMIUM=/path/to/it.
TEXT
[ -z "${CI:-}" ]
