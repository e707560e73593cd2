#!/usr/bin/env bash
# Makes the GPU kit: one folder, under 60 MiB, that runs on any x86-64 Linux with an NVIDIA driver.
#
#   scripts/gpu-kit.sh FOLDER        `make gpu-kit` calls it, after it has built the compiler (KCC)
#
# The program is linked against glibc 2.17 (2012; the oldest that Rust supports) with the linker that `scripts/setup.sh kit`
# installs; without it against this machine's glibc, and the kit then needs one as new.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
limit=$((60 << 20))
target=${CARGO_TARGET_DIR:-$PWD/target}
triple=x86_64-unknown-linux-gnu

say() { printf 'gpu-kit: %s\n' "$*" >&2; }

export CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_STRIP=symbols
linker=$PWD/.cache/venv/kit/bin
if [ -x "$linker/cargo-zigbuild" ]; then
  PATH=$linker:$PATH cargo zigbuild --release -p kcc-gpu-kit --target $triple.2.17
else
  say "no linker for an old glibc (scripts/setup.sh kit): the kit will need $(ldd --version | head -n 1 | grep -o 'GLIBC.*')"
  cargo build --release -p kcc-gpu-kit --target $triple
fi

building=$folder.part
rm -rf "$building"
mkdir -p "$building"
trap 'rm -rf "$building"' EXIT
cp "$target/$triple/release/kcc-gpu-kit" benches/gpu-kit/README.txt benches/gpu-kit/peers.py benches/gpu/triton_kernels.py "$building/"
"$building/kcc-gpu-kit" build "$building"

size=$(du -sb "$building" | cut -f 1)
if [ "$size" -ge $limit ]; then
  say "error: $size bytes, at most $limit are allowed - leave configs out (benches/gpu-kit/src/suite)"
  exit 1
fi
rm -rf "$folder"
mv "$building" "$folder"
trap - EXIT
say "$folder, $((size >> 20)) MiB: copy it to a machine with an NVIDIA GPU and run ./kcc-gpu-kit there"
