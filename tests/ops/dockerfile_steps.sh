#!/usr/bin/env bash
# Runs the steps of the Dockerfile without Docker: each stage is a Debian root made by debootstrap, RUN happens in it by chroot (as the
# stage's USER), COPY copies. The last stage must then answer a health check. --dry-run prints what would be done.
# Usage: tests/ops/dockerfile_steps.sh --dry-run | [--binary FILE] [ROOT]      Needs root, debootstrap and a mirror, else exit 77. ROOT is a
# folder that keeps the stages; without it they lie in one that is removed at the end.
# --binary: this file stands in for all that the stage `build` makes, which is then left out.
set -euo pipefail
cd "$(dirname "$0")/../.."

dry=false binary=
while [[ ${1:-} == --* ]]; do
  case $1 in
    --dry-run) dry=true ;;
    --binary) binary=$(realpath "$2") && shift ;;
    *) echo "unknown option: $1" >&2; exit 2 ;;
  esac
  shift
done
base=${1:-}
mounted='' scratch='' server=''
cleanup() {
  if [ -n "$server" ]; then kill -TERM "$server" 2>/dev/null && wait "$server" || true; fi
  [ -z "$mounted" ] || umount "$mounted" || true
  [ -z "$scratch" ] || rm -rf --one-file-system -- "$scratch"
}
trap cleanup EXIT
if ! $dry; then
  if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then echo "SKIP: needs root and debootstrap"; exit 77; fi
  if [ -z "$base" ]; then scratch=$(mktemp -d) base=$scratch; fi
  mirror=$(apt-cache policy | grep -oE 'https?://[^ ]*/debian' | head -n 1)
fi

stage='' root='' user=root folder=/ environment=() number=0
say() { printf '%-8s %s\n' "[$stage]" "$*"; }
skipped() { [ -n "$binary" ] && [ "$stage" = build ]; }

begin_stage() {  # FROM image [AS name]
  number=$((number + 1))
  if [[ $1 =~ [Aa][Ss]\ +([a-z0-9_-]+)$ ]]; then stage=${BASH_REMATCH[1]}; else stage=stage$number; fi
  root=$base/$stage user=root folder=/ environment=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
  say "FROM $1"
  if $dry || skipped; then return; fi
  rm -rf "$root"
  debootstrap --variant=minbase bookworm "$root" "$mirror" >"$base/debootstrap.log" 2>&1 ||
    { echo "SKIP: no Debian mirror: $(tail -n 1 "$base/debootstrap.log")"; exit 77; }
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  for file in /etc/apt/apt.conf.d/*proxy*; do [ ! -f "$file" ] || cp "$file" "$root/etc/apt/apt.conf.d/"; done
}

run_step() {  # in the root, from the working folder
  say "RUN $1"
  if $dry || skipped; then return; fi
  mkdir -p "$root$folder"
  chroot --userspec="$user" "$root" /usr/bin/env -i "${environment[@]}" /bin/sh -ec "cd $folder && $1"
}

copy_step() {  # [--from=stage] source… target
  local from=. words=() target source
  read -ra words <<<"$1"
  if [[ ${words[0]} == --from=* ]]; then
    from=$base/${words[0]#--from=}
    words=("${words[@]:1}")
  fi
  target=${words[-1]}
  [[ $target == /* ]] || target=${folder%/}/$target
  for source in "${words[@]:0:${#words[@]}-1}"; do
    say "COPY $from/${source#/} -> $target"
    if [ "$from" = . ] && [ ! -e "$source" ]; then echo "FAIL: $source is not in the repository"; exit 1; fi
    if $dry || skipped; then continue; fi
    if [ "$from" != . ] && [ -n "$binary" ]; then install -D "$binary" "$root$target"; continue; fi
    if [ -d "$from/$source" ]; then
      mkdir -p "$root$target" && cp -r "$from/$source/." "$root$target/"
    elif [[ $target == */ || ${#words[@]} -gt 2 ]]; then
      mkdir -p "$root$target" && cp "$from/$source" "$root$target/"
    else
      mkdir -p "$(dirname "$root$target")" && cp "$from/$source" "$root$target"
    fi
  done
}

while IFS= read -r line; do
  [[ -z $line || $line == \#* ]] && continue
  rest=${line#* }
  case ${line%% *} in
    FROM) begin_stage "$rest" ;;
    RUN) run_step "$rest" ;;
    COPY) copy_step "$rest" ;;
    WORKDIR) folder=$rest ;;
    USER) user=$rest ;;
    ENV) read -ra assignments <<<"$rest" && environment+=("${assignments[@]}") ;;
    ARG | LABEL | VOLUME | EXPOSE | STOPSIGNAL) ;;
    ENTRYPOINT | CMD | HEALTHCHECK) [[ $rest =~ \[.*\]$ ]] || { echo "FAIL: not in exec form: $line"; exit 1; } ;;
    *) echo "FAIL: this script does not know: $line"; exit 1 ;;
  esac
done < <(sed -e ':join' -e '/\\$/{N;s/ *\\\n */ /;b join' -e '}' Dockerfile)
[ "$user" != root ] || { echo "FAIL: the last stage runs as root"; exit 1; }
if $dry; then exit 0; fi

# The image as it would run: its user and environment, the demo model, one health check, a drain.
mount -t proc proc "$root/proc"
mounted=$root/proc
inside=(chroot --userspec="$user" "$root" /usr/bin/env -i "${environment[@]}" HOST=127.0.0.1 DEMO=true)
"${inside[@]}" qwen-thinking serve --port 0 >"$base/served" &
server=$!
for _ in $(seq 150); do
  address=$(sed -n 's#.*listening on \(http://127\.0\.0\.1:[0-9]*\).*#\1#p' "$base/served")
  if [ -n "$address" ] && "${inside[@]}" qwen-thinking healthcheck --url "$address/readyz" 2>/dev/null; then healthy=true && break; fi
  sleep 0.2
done
[ "${healthy:-}" = true ] || { echo "FAIL: no healthy service"; exit 1; }
# shellcheck disable=SC2016  # for the bash inside
"${inside[@]}" bash -c 'test "$(id -u)" = 1000 && test -w /app/cache && test -w /app/logs && test ! -w /app'
kill -TERM $server
wait $server
server=
say "healthy as uid 1000, drained with exit 0"
