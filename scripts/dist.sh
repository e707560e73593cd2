#!/usr/bin/env bash
# Makes a release: compiler, runtime library, header, wheel, the standard pack, one archive, checksums.
#
#   scripts/dist.sh FOLDER        `make dist` calls it, after it has built kcc and libkcc_runtime
#
# Everything is built beside FOLDER and renamed when it is complete.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$(dirname "$1")"
folder=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
target=${CARGO_TARGET_DIR:-$PWD/target}
version=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"name":"kcc","version":"\([^"]*\)".*/\1/p')
[ -n "$version" ] || { printf 'dist: error: cargo metadata names no version of kcc\n' >&2; exit 1; }
name=kcc-$version-$(uname -m)-$(uname -s | tr '[:upper:]' '[:lower:]')
# The time of the files: that of the commit, so that the same source gives the same archive.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

say() { printf 'dist: %s\n' "$*" >&2; }

building=$folder.part
rm -rf "$building"
trap 'rm -rf "$building"' EXIT
at=$building/$name
mkdir -p "$at/bin" "$at/lib" "$at/include" "$at/share"

cp "$target/release/kcc" "$at/bin/"
cp "$target/release/libkcc_runtime.so" "$target/release/libkcc_runtime.a" "$at/lib/"
strip "$at/bin/kcc"
strip --strip-unneeded "$at/lib/libkcc_runtime.so"
strip --strip-debug "$at/lib/libkcc_runtime.a"
cp capi/include/kcc.h "$at/include/"
cp LICENSE-* CHANGELOG.md README.md "$at/"
cp -r docs "$at/share/docs"

say "compiling the standard pack"
"$at/bin/kcc" pack build kernels -o "$at/share/kcc-standard.kpack"
"$at/bin/kcc" pack verify "$at/share/kcc-standard.kpack"

KCC_RUNTIME_LIBRARY=$at/lib/libkcc_runtime.so .cache/venv/dist/bin/python -m pip wheel --quiet --disable-pip-version-check \
  --no-deps --no-build-isolation -w "$building" ./python
cp "$at/share/kcc-standard.kpack" "$building/"
tar -C "$building" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - "$name" |
  gzip -n >"$building/$name.tar.gz"
rm -rf "$at"
(cd "$building" && sha256sum -- * >SHA256SUMS)
rm -rf "$folder"
mv "$building" "$folder"
trap - EXIT
say "$folder:"
(cd "$folder" && du -h -- * >&2)
