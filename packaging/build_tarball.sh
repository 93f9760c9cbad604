#!/usr/bin/env bash
# Makes qwen-thinking-VERSION-linux-x86_64.tar.gz: the program with every library that it needs, the dynamic linker among them, so that it
# runs on any x86-64 Linux with a kernel since 3.2, whatever C library that has (Ubuntu 20.04, CentOS 8).
# Usage: packaging/build_tarball.sh BUILD_DIR OUTPUT_DIR
set -euo pipefail
build=$(realpath "$1")
output=$(realpath -m "$2")
source=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
version=$("$build/qwen-thinking" --version | awk '{print $NF}')
name=qwen-thinking-$version-linux-x86_64
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/$name
# The same files make the same archive.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$source" log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
mkdir -p "$root"/{bin,lib,configs,models,scripts,share/man/man1,share/completions,share/licenses} "$output"

install -m 755 "$source/packaging/portable/qwen-thinking" "$root/bin/"
install -m 755 "$build/qwen-thinking" "$root/lib/"
strip "$root/lib/qwen-thinking"
mapfile -t libraries < <(ldd "$build/qwen-thinking" | awk '$2 == "=>" {print $3} $1 ~ /ld-linux/ {print $1}')
for library in "${libraries[@]}"; do
  install -m 755 "$(realpath "$library")" "$root/lib/$(basename "$library")"
  # The licence of the package that it comes from.
  package=$(dpkg-query -S "$(realpath "$library")" "$library" 2>/dev/null | head -n 1 | cut -d: -f1) || true
  if [ -n "$package" ] && [ -f "/usr/share/doc/$package/copyright" ]; then cp -L "/usr/share/doc/$package/copyright" "$root/share/licenses/$package"; fi
done

for file in model_config.yaml service_config.yaml; do
  sed 's#/app/#./#g' "$source/configs/$file" >"$root/configs/$file"
done
cp -r "$source/models/demo" "$root/models/"
cp "$source"/scripts/{backup,daily_check,download_model,monthly_report,restore,update,weekly_maintenance,common}.sh "$source/scripts/access_log.awk" "$root/scripts/"
cp "$source"/{README.md,README.zh-CN.md,CHANGELOG.md,LICENSE,NOTICE,.env.example} "$root/"
for shell in bash zsh fish; do "$build/qwen-thinking" completion $shell >"$root/share/completions/qwen-thinking.$shell"; done
if command -v help2man >/dev/null; then
  "$source/packaging/write_manuals.sh" "$build/qwen-thinking" "$root/share/man/man1"
else
  echo "build_tarball: SKIP: no manual pages without help2man" >&2
fi

tar --create --directory="$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner "$name" | gzip -9n >"$output/$name.tar.gz.partial"
mv "$output/$name.tar.gz.partial" "$output/$name.tar.gz"
(cd "$output" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "$output/$name.tar.gz"
