#!/bin/sh
# Makes what is published of a version, in dist/ or in the folder DIST: for each platform an archive of the
# program with its licences, a bill of materials, and the checksums. One commit, VERSION and Go make the
# same bytes wherever and whenever. Without git, VERSION and SOURCE_DATE_EPOCH say what it would have said.
# Needs no network once everything has been downloaded.
set -eu

# The bill is of the modules that the tool finds in the program, and not of those in go.mod.
CYCLONEDX=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

root=$(cd "$(dirname "$0")/.." && pwd)
[ -n "${DIST:-}" ] || rm -rf "$root/dist" # somebody else's folder is not ours to empty
mkdir -p "${DIST:=$root/dist}"
DIST=$(cd "$DIST" && pwd)
rm -f "$DIST/SHA256SUMS"
cd "$root"

stamp=false
if [ -e .git ]; then
	stamp=true
	VERSION=${VERSION:-$(git describe --tags --always --dirty)}
	SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
fi
: "${VERSION:?must be given where there is no git}" "${SOURCE_DATE_EPOCH:?must be given where there is no git}"
case $VERSION in *[!0-9A-Za-z.+_-]*)
	echo "not for the name of a file: VERSION=$VERSION" >&2
	exit 1
	;;
esac

# What somebody has set for builds of their own must not get into these.
export CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off GOAMD64=v1 GOARM64=v8.0
unset GOOS GOARCH GOEXPERIMENT GOFIPS140

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

for platform in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do
	os=${platform%/*} arch=${platform#*/}
	case $os in
	windows) program=latchkey.exe ending=zip ;;
	*) program=latchkey ending=tar.gz ;;
	esac
	archive=latchkey_${VERSION}_${os}_$arch.$ending
	echo "$archive"
	# The build ID is fixed and not empty: from an empty one the linker makes no LC_UUID, and macOS 26
	# starts no program without.
	GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=$stamp -o "$work/$os/$arch/$program" \
		-ldflags "-s -w -buildid=latchkey/$VERSION/$platform -X main.version=$VERSION" .
	go run ./internal/release/pack "$SOURCE_DATE_EPOCH" "$work/$os/$arch/$program" "$DIST/$archive"
done

# `go run` asks for the tool's newest version, to warn of a deprecated one. Asking the downloaded modules
# first, it needs no network.
echo "latchkey_$VERSION.cdx.json"
GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" \
	go run -trimpath $CYCLONEDX bin -json -std -noserial -notimestamp \
	-version "$VERSION" -output "$work/bom.json" "$work/linux/amd64/latchkey"
go run ./internal/release/bom "$SOURCE_DATE_EPOCH" "$work/linux/amd64/latchkey" \
	<"$work/bom.json" >"$DIST/latchkey_$VERSION.cdx.json"

cd "$DIST"
if command -v sha256sum >/dev/null; then
	sha256sum "latchkey_${VERSION}_"* "latchkey_$VERSION.cdx.json" >"$work/sums"
else
	shasum -a 256 "latchkey_${VERSION}_"* "latchkey_$VERSION.cdx.json" >"$work/sums"
fi
mv "$work/sums" SHA256SUMS
