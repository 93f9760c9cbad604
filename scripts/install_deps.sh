#!/usr/bin/env bash
# Installs the Debian/Ubuntu packages that building (with "lint" also checking, with "package" packaging) needs; does nothing where all
# are there.
# Usage: scripts/install_deps.sh [lint | package]
set -euo pipefail

case ${1:-} in
  '' | lint | package) ;;
  -h | --help) sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" && exit ;;
  *) echo "install_deps: unknown argument $1: lint or package (see install_deps.sh --help)" >&2 && exit 2 ;;
esac
packages=(g++ cmake ninja-build ccache pkg-config curl python3 nlohmann-json3-dev libcli11-dev
  libutf8proc-dev libssl-dev openssl libxxhash-dev prometheus-cpp-dev libyaml-cpp-dev libhiredis-dev
  libgtest-dev libgmock-dev libbenchmark-dev)
[ "${1:-}" = lint ] && packages+=(clang-format-14 clang-tidy-14 git)
[ "${1:-}" = package ] && packages+=(debhelper help2man lintian)

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

if ! command -v dpkg-query >/dev/null; then
  echo "install_deps: this is not Debian or Ubuntu; install the equivalents of: ${packages[*]} and Boost >= 1.74" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
# Boost 1.81 where the distribution has it, else its default (1.74 or newer).
boost=
for candidate in libboost1.81-dev libboost-dev; do installed "$candidate" && boost=$candidate && break; done
if [ -z "$boost" ] || [ ${#missing[@]} -gt 0 ]; then
  run=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "install_deps: run as root: apt-get install ${missing[*]} libboost-dev" >&2; exit 1; }
    run=(sudo)
  fi
  "${run[@]}" apt-get update -qq
  if [ -z "$boost" ]; then
    if apt-cache show libboost1.81-dev >/dev/null 2>&1; then missing+=(libboost1.81-dev); else missing+=(libboost-dev); fi
  fi
  echo "install_deps: installing ${missing[*]}"
  "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
