#!/usr/bin/env bash
# Writes qwen-thinking(1) and a page for each command, qwen-thinking-serve(1) and so on, from what --help says.
# Usage: packaging/write_manuals.sh BINARY DIR      Needs help2man.
set -euo pipefail
binary=$(realpath "$1") folder=$2
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$("$binary" --version | awk '{print $NF}')
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0} LC_ALL=C.UTF-8

page() {  # NAME MEANING SEE-ALSO [command]
  # help2man runs one program, whose name it prints.
  printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$binary" "${4:-}" >"$work/$1"
  chmod +x "$work/$1"
  printf '[SEE ALSO]\n%s\n' "$3" >"$work/include"
  help2man --no-info --section=1 --name="$2" --version-string="$version" --source="qwen-thinking $version" --include="$work/include" \
    "$work/$1" | sed "s#$work/##g" >"$folder/$1.1"
}

mapfile -t commands < <("$binary" --help | sed -n '/^Subcommands:/,$s/^  \([a-z]\+\)  *\(.*\)/\1 \2/p')
[ ${#commands[@]} -gt 5 ] || { echo "write_manuals: --help names no commands" >&2; exit 1; }
pages=
for command in "${commands[@]}"; do pages+=".BR qwen\-thinking\-${command%% *} (1),
"; done
page qwen-thinking "inference service for dense Qwen3 models" "${pages%,
}"
for command in "${commands[@]}"; do
  page "qwen-thinking-${command%% *}" "${command#* }" ".BR qwen\-thinking (1)" "${command%% *}"
done
