#!/bin/sh
# Sees to it that the tests find Node.js, the packages of web/conformance and Chromium: nothing to do where
# they are, else apt-get and npm install them where they may. Without Node.js those tests are skipped.
set -eu

has_node() { command -v node >/dev/null && command -v npm >/dev/null; }
chromium_is_there() {
	[ -n "${CHROMIUM:-}" ] && return
	for program in chromium chromium-browser google-chrome google-chrome-stable; do
		command -v $program >/dev/null && return
	done
	[ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ]
}

missing() {
	has_node || echo nodejs npm
	chromium_is_there || echo chromium
}

packages=$(missing)
if [ -n "$packages" ]; then
	root=""
	[ "$(id -u)" = 0 ] || root="sudo -n"
	if command -v apt-get >/dev/null && $root true 2>/dev/null; then
		echo "installing for the tests:" $packages
		$root apt-get update -qq
		$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
	fi
fi
if has_node && [ ! web/conformance/node_modules/.package-lock.json -nt web/conformance/package-lock.json ]; then
	npm ci --prefix web/conformance --no-audit --no-fund --silent
	touch web/conformance/node_modules/.package-lock.json
fi
[ -z "$(missing)" ] && exit 0

cat >&2 <<TEXT
Not installed, and cannot be installed from here: $(missing | tr '\n' ' '). Tests that need them will be skipped.
  Debian, Ubuntu   sudo apt-get install $(missing | tr '\n' ' ')
  macOS            brew install node; brew install --cask google-chrome
A browser of the Chromium family elsewhere is found by CHROMIUM=/path/to/it.
TEXT
[ -z "${CI:-}" ]
