#!/usr/bin/env bash
# The .deb in a Debian root: install, serve the demo model, ask it by curl, upgrade with an edited configuration, remove, purge. Then nothing
# of it may be left. ROOT is made by debootstrap where it is not there; without it, in a folder that is removed at the end.
# Usage: tests/ops/package.sh [ROOT]      Needs root, debootstrap, debhelper, help2man, a mirror, and QWEN_BUILD (build/), built.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${QWEN_BUILD:-$PWD/build}
if [ "$(id -u)" -ne 0 ]; then echo "SKIP: needs root"; exit 77; fi
for tool in debootstrap dh help2man unshare; do command -v $tool >/dev/null || { echo "SKIP: $tool is absent"; exit 77; }; done
if [ ! -f "$build/cmake_install.cmake" ] || [ ! -x "$build/qwen-thinking" ]; then echo "SKIP: nothing is built in $build"; exit 77; fi
work=$(mktemp -d)
root=${1:-${QWEN_PACKAGE_ROOT:-$work/root}}
mirror=$(apt-cache policy | grep -oE 'https?://[^ ]*/debian' | head -n 1)
if [ ! -x "$root/usr/bin/apt-get" ]; then
  debootstrap --variant=minbase bookworm "$root" "$mirror" >"$work/debootstrap" 2>&1 || { echo "SKIP: no Debian mirror: $(tail -n 1 "$work/debootstrap")"; exit 77; }
fi
fail() { echo "FAIL: $*"; exit 1; }
server=
cleanup() {
  [ -z "$server" ] || kill -TERM "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  umount "$root/proc" 2>/dev/null || true
  rm -rf -- "$work"
}
trap cleanup EXIT
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
cp /etc/resolv.conf "$root/etc/resolv.conf"
for file in /etc/apt/apt.conf.d/*proxy*; do if [ -f "$file" ]; then cp "$file" "$root/etc/apt/apt.conf.d/"; fi; done
enter=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot "$root")
inside() { "${enter[@]}" "$@"; }

packaging/build_deb.sh "$build" "$work/old" >"$work/lintian" || { cat "$work/lintian"; fail "no package"; }
packaging/build_deb.sh "$build" "$work/new" 99.0 >/dev/null
install_deb() {  # FOLDER
  cp "$work/$1"/*.deb "$root/tmp/qwen.deb"
  inside apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold curl /tmp/qwen.deb >"$work/apt" 2>&1 ||
    { tail -n 20 "$work/apt"; fail "apt-get install $1"; }
  rm "$root/tmp/qwen.deb"
}
inside apt-get purge -y -q qwen-thinking >/dev/null 2>&1 || true  # of a run that failed
inside apt-get update -qq >/dev/null
install_deb old
# hardening=+all, as far as a binary shows it: PIE, RELRO with BIND_NOW, stack protector, checked copies.
marks=$(readelf --wide --file-header --program-headers --dynamic --dyn-syms "$root/usr/bin/qwen-thinking")
for mark in 'Type: +DYN' 'GNU_RELRO' 'FLAGS.* NOW' 'FLAGS_1.* PIE' '__stack_chk_fail' '__mem(cpy|move)_chk|__snprintf_chk|__fprintf_chk'; do
  grep -qE -- "$mark" <<<"$marks" || fail "the program is not hardened: no $mark"
done
listed=$(inside dpkg-query -L qwen-thinking)
for file in /usr/bin/qwen-thinking /usr/share/man/man1/qwen-thinking-serve.1.gz /usr/share/bash-completion/completions/qwen-thinking \
  /usr/share/fish/vendor_completions.d/qwen-thinking.fish /usr/share/zsh/vendor-completions/_qwen-thinking /usr/share/doc/qwen-thinking/copyright; do
  grep -qx "$file" <<<"$listed" || fail "$file is not in the package"
done
for folder in lib/qwen-thinking/models cache/qwen-thinking log/qwen-thinking; do
  [ "$(inside stat -c %U "/var/$folder")" = qwen-thinking ] || fail "/var/$folder is not the service's"
done
said=$(inside systemd-analyze verify /lib/systemd/system/qwen-thinking.service 2>&1) || true
! grep -q qwen-thinking <<<"$said" || fail "systemd-analyze: $said"
[ ! -e "$root/etc/systemd/system/multi-user.target.wants/qwen-thinking.service" ] || fail "it is started without a model"
inside qwen-thinking serve --check-config >"$work/check"
grep -q '/var/lib/qwen-thinking/models' "$work/check" || fail "the packaged configuration is not read"
! grep -q '/app/' "$work/check" || fail "a folder of the container: $(grep /app/ "$work/check")"

# As the unit runs it, but on a free port and with the demo model. No function: the process is to be the service itself.
: >"$work/service"
"${enter[@]}" setpriv --reuid qwen-thinking --regid qwen-thinking --clear-groups env DEMO=true qwen-thinking serve --host 127.0.0.1 --port 0 --metrics-port 0 \
  >"$work/service" 2>&1 &
server=$!
for _ in $(seq 300); do
  address=$(sed -n 's#.*listening on \(http://127\.0\.0\.1:[0-9]*\).*#\1#p' "$work/service" | head -n 1)
  if [ -n "$address" ] && inside curl -fs -o /dev/null --noproxy '*' "$address/readyz"; then break; fi
  kill -0 $server 2>/dev/null || { cat "$work/service"; fail "the service ended"; }
  sleep 0.2
done
answer=$(inside curl -fsS --noproxy '*' "$address/generate" -H 'Content-Type: application/json' -d '{"prompt": "什么是AES加密算法？", "max_length": 60, "seed": 1}')
[[ $answer == *generated_text* ]] || fail "no answer: $answer"
inside /usr/share/qwen-thinking/scripts/daily_check.sh --url "$address" >"$work/daily" || { cat "$work/daily"; fail "daily_check.sh"; }
kill -TERM $server
wait $server || fail "the service ended with status $?"
server=

sed -i 's/port: 8000/port: 8123/' "$root/etc/qwen-thinking/service_config.yaml"
install_deb new
[ "$(inside dpkg-query -W -f='${Version}' qwen-thinking)" = 99.0 ] || fail "not upgraded"
grep -q 'port: 8123' "$root/etc/qwen-thinking/service_config.yaml" || fail "the administrator's configuration is gone after the upgrade"
echo model >"$root/var/lib/qwen-thinking/models/kept"
inside apt-get remove -y -q qwen-thinking >/dev/null 2>&1
[ ! -e "$root/usr/bin/qwen-thinking" ] || fail "removing leaves the program"
grep -q 'port: 8123' "$root/etc/qwen-thinking/service_config.yaml" || fail "removing takes the configuration"
[ -f "$root/var/lib/qwen-thinking/models/kept" ] || fail "removing takes the models"
inside apt-get purge -y -q qwen-thinking >/dev/null 2>&1
left=$(find "$root" -xdev -path "$root/proc" -prune -o -path "$root/var/lib/apt" -prune -o -iname '*qwen*' -print)
[ -z "$left" ] || fail "left after purge: $left"
! inside getent passwd qwen-thinking >/dev/null || fail "the user is left after purge"
[[ $(inside dpkg-query -W -f='${db:Status-Status}' qwen-thinking 2>/dev/null || true) != installed ]] || fail "still installed"
echo "package: $(basename "$work"/old/*.deb): installed, served, upgraded, removed, purged"
