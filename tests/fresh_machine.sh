#!/usr/bin/env bash
# Proves the README's two commands: in a Debian root that has nothing but make, a clone of this commit runs `make run` until the guide's curl
# line has its answer, then `make test`, and says how long each took. The root is made by debootstrap from the mirror that this machine uses,
# if it is not there yet.
# Usage: tests/fresh_machine.sh ROOT      Needs root and debootstrap.
set -euo pipefail
root=$1
source=$(git -C "$(dirname "$0")/.." rev-parse --show-toplevel)
port=${PORT:-8127}

if [ ! -x "$root/usr/bin/make" ]; then
  mirror=$(apt-cache policy | grep -oE 'https?://[^ ]*/debian' | head -n 1)
  debootstrap --variant=minbase --include=ca-certificates,make bookworm "$root" "$mirror" >/dev/null
fi
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
mountpoint -q "$root/dev/pts" || mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts "$root/dev/pts"
cp /etc/resolv.conf "$root/etc/resolv.conf"
log=$(mktemp)
cleanup() {
  [ -n "${run:-}" ] && kill -TERM -- "-$run" 2>/dev/null || true
  sleep 1
  umount "$root/dev/pts" "$root/proc" 2>/dev/null || true
}
trap cleanup EXIT
for file in /etc/apt/apt.conf.d/*proxy*; do [ -f "$file" ] && cp "$file" "$root/etc/apt/apt.conf.d/"; done
rm -rf "$root/src"
git clone -q "$source" "$root/src"

started=$SECONDS
setsid chroot "$root" /bin/sh -c "cd /src && PORT=$port make run" >"$log" 2>&1 &
run=$!
for _ in $(seq 1 "${FRESH_TIMEOUT:-1500}"); do
  grep -q '"generated_text"' "$log" && break
  kill -0 "$run" 2>/dev/null || break
  sleep 1
done
tail -n 20 "$log"
grep -q '"generated_text"' "$log"
echo "make run: an answer after $((SECONDS - started)) s"
kill -TERM -- "-$run"
wait "$run" || true
run=
started=$SECONDS
chroot "$root" /bin/sh -c "cd /src && make test" >"$log" 2>&1 || { tail -n 40 "$log"; exit 1; }
grep -E "tests passed|Total Test time" "$log"
echo "make test: $((SECONDS - started)) s"
