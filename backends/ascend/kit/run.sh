#!/usr/bin/env bash
# Builds the kernels of this folder, runs every case, and says which results are right.
#
#   ./run.sh                     with CANN: its environment is set (set_env.sh), and a device of arch 2201 is there
#   KIT_CXX=g++ ./run.sh         without: an ordinary compiler and the stand-in for the interface in this folder
#
# KIT_CASES="cases/softmax-f32 …" picks cases; KIT_FLAGS goes to the compiler of the kernels; KIT_BUILD is the folder of what is built.
# Arguments go to the checker (--exact).
set -euo pipefail
cd "$(dirname "$0")"
build=${KIT_BUILD:-build}
mkdir -p "$build"
read -ra flags <<< "${KIT_FLAGS:-}"
read -ra cases <<< "${KIT_CASES:-$(echo cases/*)}"

if [[ -n "${KIT_CXX:-}" ]]; then
    # One unit for the compiler: the head is most of its work.
    for k in kernels/*.asc; do echo "#include \"../$k\""; done > "$build/all.cpp"
    $KIT_CXX -std=c++17 -O1 -fwrapv -ffp-contract=off -Istand-in -I. "${flags[@]}" -o "$build/check" main.cpp "$build/all.cpp"
else
    command -v bisheng > /dev/null || { echo "bisheng is not on PATH: source CANN's set_env.sh, or set KIT_CXX to an ordinary C++ compiler" >&2; exit 2; }
    home=${ASCEND_HOME_PATH:?source the set_env.sh of CANN}
    libraries=()
    for k in kernels/*.asc; do
        name=$(basename "$k" .asc)
        bisheng -xasc --npu-arch=dav-2201 -O2 -std=c++17 -fwrapv -fPIC --shared "${flags[@]}" -o "$build/lib$name.so" "$k"
        libraries+=("-l$name")
    done
    "${CXX:-g++}" -std=c++17 -O2 -I"$home/include" -I. -o "$build/check" main.cpp \
        -L"$build" "${libraries[@]}" -L"$home/lib64" -lascendcl -Wl,-rpath,'$ORIGIN'
fi
"$build/check" "$@" "${cases[@]}"
