#!/usr/bin/env bash
# The portable tarball where there is no C library at all: a root that holds a static busybox and nothing else. It serves the demo model
# there, starts itself anew (--reload), and drains. Further ROOTs, such as one that debootstrap made of Ubuntu 20.04, are tried alike.
# Usage: tests/ops/portable.sh [ROOT…]      Needs root, a static busybox (package busybox-static) and QWEN_BUILD (build/), built.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${QWEN_BUILD:-$PWD/build}
if [ "$(id -u)" -ne 0 ]; then echo "SKIP: needs root"; exit 77; fi
[ -x "$build/qwen-thinking" ] || { echo "SKIP: nothing is built in $build"; exit 77; }
busybox=$(command -v busybox || true)
if [ -z "$busybox" ] || ldd "$busybox" >/dev/null 2>&1; then echo "SKIP: no static busybox (apt-get install busybox-static)"; exit 77; fi
work=$(mktemp -d)
server=
stop() { if [ -n "$server" ]; then kill -TERM "$server" 2>/dev/null || true; fi; }
cleanup() { stop; for place in "$work/bare" "${roots[@]}"; do umount "$place/proc" 2>/dev/null || true; rm -rf "$place/opt/portable"; done; rm -rf -- "$work"; }
roots=("$@")
trap cleanup EXIT
fail() { echo "FAIL: $*"; exit 1; }
tarball=$(packaging/build_tarball.sh "$build" "$work/packages" | tail -n 1)
(cd "$work/packages" && sha256sum --quiet -c ./*.sha256)
mkdir -p "$work/bare"/{bin,proc,dev,tmp,opt}
cp "$busybox" "$work/bare/bin/busybox"
for applet in sh readlink; do ln -s busybox "$work/bare/bin/$applet"; done
mknod -m 666 "$work/bare/dev/null" c 1 3

try() {  # ROOT
  local root=$1 log=$work/log
  mkdir -p "$root/opt/portable"
  tar -xzf "$tarball" --strip-components=1 -C "$root/opt/portable"
  mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
  inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" /bin/sh -c "cd /opt/portable && $1"; }
  inside 'bin/qwen-thinking version' >"$work/version" || fail "$root: it does not start"
  : >"$log"
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEMO=true chroot "$root" /bin/sh -c 'cd /opt/portable && exec bin/qwen-thinking serve --reload --host 127.0.0.1 --port 0 --metrics-port 0' >"$log" 2>&1 &
  server=$!
  ready() {  # as often as it has started
    local address
    for _ in $(seq 300); do
      address=$(sed -n 's#.*listening on \(http://127\.0\.0\.1:[0-9]*\).*#\1#p' "$log" | tail -n 1)
      if [ "$(grep -c 'listening on http' "$log")" -ge "$1" ] && inside "bin/qwen-thinking healthcheck --url $address/readyz" 2>/dev/null; then return 0; fi
      kill -0 $server 2>/dev/null || break
      sleep 0.2
    done
    cat "$log"
    fail "$root: not ready"
  }
  ready 1
  echo '# edited' >>"$root/opt/portable/configs/service_config.yaml"
  ready 2
  kill -TERM $server
  wait $server || fail "$root: ended with status $?"
  server=
  inside 'bin/qwen-thinking generate --model models/demo --prompt "12 + 30 = ?" --thinking --seed 1' | grep -q 42 || fail "$root: a wrong answer"
  echo "portable: served in $root"
}
for root in "$work/bare" "${roots[@]}"; do try "$root"; done
