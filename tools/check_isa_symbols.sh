#!/bin/sh
# Usage: check_isa_symbols.sh NM OBJECT...
# An object compiled with instruction-set flags may define one global symbol, its kernel table, and no weak one: a weak function (an
# inline function or a template of a shared header) could be the copy that the linker keeps, and would then run on CPUs without the
# instructions.
set -eu
nm=$1
shift
[ $# -gt 0 ] || { echo "no object given" >&2; exit 2; }
status=0
for object in "$@"; do
  defined=$("$nm" -C --defined-only "$object" | grep -v ' [a-z] ' || true)
  weak=$("$nm" -C "$object" | grep ' [vVwWuiI] ' || true)
  if [ -n "$weak" ] || [ "$(printf '%s\n' "$defined" | grep -c .)" -ne 1 ] || ! printf '%s' "$defined" | grep -q 'qwen::k[A-Za-z0-9]*Kernels$'; then
    echo "$object: expected one global symbol, the kernel table, and no weak one; found:" >&2
    printf '%s\n%s\n' "$defined" "$weak" >&2
    status=1
  fi
done
exit $status
