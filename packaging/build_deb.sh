#!/usr/bin/env bash
# Makes qwen-thinking_VERSION_amd64.deb of a build folder by debhelper, and has lintian look at it where that is installed.
# Usage: packaging/build_deb.sh BUILD_DIR OUTPUT_DIR [VERSION]      Needs debhelper and help2man.
set -euo pipefail
build=$(realpath "$1")
output=$(realpath -m "$2")
source=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
for tool in dh help2man; do command -v $tool >/dev/null || { echo "build_deb: $tool is not here (apt-get install debhelper help2man)" >&2; exit 1; }; done
version=$(sed -n 's/^project(.* VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")
grep -q "^qwen-thinking ($version)" "$source/packaging/debian/changelog" || { echo "build_deb: packaging/debian/changelog does not begin with $version" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tree" "$output"
cp -r "$source/packaging/debian" "$work/tree/debian"
cp -r "$source/README.md" "$source/README.zh-CN.md" "$source/NOTICE" "$source/monitoring" "$source/nginx.conf" "$work/tree/"
cd "$work/tree"
QWEN_BUILD=$build QWEN_SOURCE=$source QWEN_VERSION=${3:-} debian/rules binary >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; exit 1; }
deb=$(echo "$work"/*.deb)
if command -v lintian >/dev/null; then
  lintian --allow-root --fail-on error --suppress-tags bad-distribution-in-changes-file "$deb"
else
  echo "build_deb: SKIP: lintian is not here"
fi
mv "$deb" "$output/"
echo "$output/$(basename "$deb")"
