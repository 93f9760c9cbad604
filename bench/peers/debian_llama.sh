#!/usr/bin/env bash
# llama.cpp as Debian unstable packages it, in a root of its own: made by debootstrap from the mirror that this machine's apt uses, if it is
# not there yet. The machine itself stays as it is: whatever is mounted lives in a mount namespace that ends with the command.
# Usage: debian_llama.sh ROOT install                     makes the root; prints the package's version
#        debian_llama.sh ROOT run MODELS COMMAND [ARG…]   runs COMMAND in it; the folder MODELS is /models there
# Needs root and debootstrap. Exit status 77 and one line saying "SKIP" where those or the mirror are not at hand.
set -euo pipefail
root=$1 action=$2
shift 2

skip() { echo "SKIP: $1" >&2; exit 77; }

install() {
  [ "$(id -u)" -eq 0 ] || skip "a root of its own for Debian's llama.cpp needs root"
  if [ ! -x "$root/usr/bin/llama-batched-bench" ]; then
    command -v debootstrap >/dev/null || skip "debootstrap is not installed"
    local mirror
    mirror=$(apt-cache policy | grep -oE -m 1 'https?://[^ ]*/debian' | head -n 1) || true  # no match: no mirror
    [ -n "$mirror" ] || skip "apt knows no Debian mirror"
    if [ ! -x "$root/usr/bin/apt-get" ]; then
      # An older debootstrap knows "sid" by its script alone; the keyring of an older release may lack unstable's newest key.
      debootstrap --variant=minbase --include=ca-certificates sid "$root" "$mirror" >"$root.log" 2>&1 ||
        skip "debootstrap of sid from $mirror failed: $(tail -n 1 "$root.log")"
    fi
    cp /etc/resolv.conf "$root/etc/resolv.conf" || skip "the root of Debian's llama.cpp cannot be written"
    for file in /etc/apt/apt.conf.d/*proxy*; do [ -f "$file" ] && cp "$file" "$root/etc/apt/apt.conf.d/"; done
    # A mirror that lags or is a snapshot has signatures that are good but past their date.
    inside /var/empty sh -c 'apt-get -q -o Acquire::Check-Valid-Until=false update &&
      DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install llama.cpp llama.cpp-tools-extra' \
      >>"$root.log" 2>&1 || skip "llama.cpp cannot be installed from $mirror: $(tail -n 1 "$root.log")"
  fi
  inside /var/empty dpkg-query -W -f '${Package} ${Version}\n' llama.cpp || skip "$root does not run"
}

inside() {
  local models=$1
  shift
  mkdir -p "$root/models" /var/empty
  # shellcheck disable=SC2016  # expanded by the inner shell
  unshare --mount sh -c 'root=$1 models=$2; shift 2
    mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" && mount --rbind /dev "$root/dev" &&
    mount --bind "$models" "$root/models" && exec chroot "$root" "$@"' sh "$root" "$models" "$@"
}

case $action in
  install) install ;;
  run) inside "$@" ;;
  *) echo "usage: $0 ROOT install | run MODELS COMMAND [ARG…]" >&2; exit 2 ;;
esac
