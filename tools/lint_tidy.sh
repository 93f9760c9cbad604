#!/usr/bin/env bash
# clang-tidy (.clang-tidy) over the sources of src/ that changed since BASE (default: all), with the dev preset's compile commands.
# Usage: tools/lint_tidy.sh [BASE]
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset dev >/dev/null
if [ -n "${1:-}" ]; then files=$(git diff --name-only --diff-filter=d "$1" -- 'src/*.cpp'); else files=$(git ls-files 'src/*.cpp'); fi
# The compile commands are GCC's: clang does not know all of its warnings.
# The files of an instruction set are checked by the compiler alone: clang 14 lacks some of GCC's intrinsics.
files=$(printf '%s\n' "$files" | grep -v -E 'backend/cpu/(avx2|avx512)' || true)
[ -n "$files" ] || exit 0
printf '%s\n' "$files" | xargs -P "$(nproc)" -n 4 clang-tidy-14 -p build-dev --quiet --extra-arg=-Wno-unknown-warning-option --warnings-as-errors='*' 2>/dev/null
