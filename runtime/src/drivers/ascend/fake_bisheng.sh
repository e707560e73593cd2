#!/bin/sh
# Stands in for CANN's compiler in tests: takes C for AscendC, and notes its flags beside the results.
echo "$@" >> "$(dirname "$(dirname "$8")")/flags"
[ "$6" = --shared ] || exit 3
if grep -q "no such thing" "$9"; then
    echo "kernel.asc:1: error: no such thing" >&2
    exit 1
fi
exec "${CC:-cc}" -shared -fPIC -o "$8" -x c "$9"
