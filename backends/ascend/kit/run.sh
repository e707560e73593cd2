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

# Kernels that the compiler refuses are left out, with their cases, and named at the end.
refused=()
kept=()
refuse() {
    echo "refused by the compiler: $1" >&2
    refused+=("$1")
}
# The list for the checker, without what was refused.
list() {
    [[ ${#refused[@]} -eq 0 || ${#kept[@]} -gt 0 ]] || { echo "the compiler refuses all kernels" >&2; exit 1; }
    cp kernels.inc "$build/kept.inc"
    for name in "${refused[@]}"; do sed -i "/^KERNEL($name)\$/d" "$build/kept.inc"; done
}

if [[ -n "${KIT_CXX:-}" ]]; then
    compile=($KIT_CXX -std=c++17 -O1 -fwrapv -ffp-contract=off -Istand-in -I. "${flags[@]}")
    # One unit for the compiler: the head is most of its work.
    unit() {
        list
        for k in "$@"; do echo "#include \"../$k\""; done > "$build/all.cpp"
        "${compile[@]}" -I"$build" -DKERNELS='"kept.inc"' -o "$build/check" main.cpp "$build/all.cpp"
    }
    if ! unit kernels/*.asc 2> "$build/errors.txt"; then
        for k in kernels/*.asc; do
            if "${compile[@]}" -fsyntax-only -x c++ "$k"; then kept+=("$k"); else refuse "$(basename "$k" .asc)"; fi
        done
        [[ ${#refused[@]} -gt 0 ]] || { cat "$build/errors.txt" >&2; exit 2; }
        unit "${kept[@]}"
    fi
else
    command -v bisheng > /dev/null || { echo "bisheng is not on PATH: source CANN's set_env.sh, or set KIT_CXX to an ordinary C++ compiler" >&2; exit 2; }
    home=${ASCEND_HOME_PATH:?source the set_env.sh of CANN}
    for k in kernels/*.asc; do
        name=$(basename "$k" .asc)
        if bisheng -xasc --npu-arch=dav-2201 -O2 -std=c++17 -fwrapv -fPIC --shared "${flags[@]}" -o "$build/lib$name.so" "$k"; then
            kept+=("-l$name")
        else
            refuse "$name"
        fi
    done
    list
    "${CXX:-g++}" -std=c++17 -O2 -I"$home/include" -I. -I"$build" -DKERNELS='"kept.inc"' -o "$build/check" main.cpp \
        -L"$build" "${kept[@]}" -L"$home/lib64" -lascendcl -Wl,-rpath,'$ORIGIN'
fi

left=()
for c in "${cases[@]}"; do
    name=$(sed -n 's/^kernel //p' "$c/case.txt")
    [[ " ${refused[*]} " == *" $name "* ]] || left+=("$c")
done
code=0
if [[ ${#left[@]} -gt 0 ]]; then "$build/check" "$@" "${left[@]}" || code=$?; fi
if [[ ${#refused[@]} -gt 0 ]]; then
    echo "left out with their cases, since the compiler refuses them: ${refused[*]}"
    [[ $code -ne 0 ]] || code=1
fi
exit "$code"
