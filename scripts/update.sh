#!/usr/bin/env bash
# Updates the service, one instance after the other: saves the present version, puts the new one in its place, starts an instance anew and
# waits until it is ready before it goes on with the next. An instance that does not become ready, or cannot answer, takes everything back.
#
# Usage: scripts/update.sh compose [options] [SERVICE…]
#          builds qwen-thinking-service:latest from this folder; what was there becomes qwen-thinking-service:backup.
#          SERVICE: default those of qwen-model-service, qwen-service-1, qwen-service-2, qwen-service-3 that run
#        scripts/update.sh systemd --package FILE.deb [options] [UNIT[=URL]…]
#          UNIT: default qwen-thinking. The .deb of the version before is kept in the backups; --previous names another one
#        scripts/update.sh binary --binary NEW --target FILE --restart COMMAND [options] [NAME[=URL]…]
#          a plain program: NEW takes the place of FILE, which becomes FILE.backup; COMMAND, a line of shell, starts instance $1 anew
# Options:
#   --image NAME          compose: default qwen-thinking-service
#   --no-build            compose: NAME:latest is the new version already; NAME:backup the one before
#   --url URL             of an instance without a URL of its own; default $QWEN_URL, else
#                         http://127.0.0.1:$PORT (8000), https where the settings have a certificate (not checked on loopback)
#   --timeout SECONDS     for an instance to become ready; default 600
#   --dry-run
# Whether an instance is ready is asked by the service's own command `healthcheck`, which needs no key and no curl.
# Exit status: 0 updated, 1 failed and taken back, 2 usage, 66 no such file or package, 75 failed, and could not be taken back.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

mode='' package='' previous='' binary='' target='' restart='' image=qwen-thinking-service build=true timeout=600 instances=()
case ${1:-} in compose | systemd | binary) mode=$1 && shift ;; -h | --help) show_help ;; *) die 2 "compose, systemd or binary? (see $script.sh --help)" ;; esac
while [ $# -gt 0 ]; do
  case $1 in --no-build | --dry-run | -h | --help | [!-]*) ;; *) has_value "$@" ;; esac
  if common_option "$@"; then shift "$shifted"; continue; fi
  case $1 in
    --package) package=$2 && shift ;;
    --previous) previous=$2 && shift ;;
    --binary) binary=$2 && shift ;;
    --target) target=$2 && shift ;;
    --restart) restart=$2 && shift ;;
    --image) image=$2 && shift ;;
    --no-build) build=false ;;
    --timeout) timeout=$2 && shift ;;
    -*) die 2 "unknown option $1 (see $script.sh --help)" ;;
    *) instances+=("$1") ;;
  esac
  shift
done
is_number "$timeout" --timeout

step() { printf '== %s\n' "$*"; }
# answers PROGRAM URL: it is ready, and says how it is. The service's own command asks, for curl may not be here.
answers() {
  local path
  for path in /readyz /health; do
    timeout 15 "$1" healthcheck --timeout 5 --url "$2$path" >/dev/null 2>&1 || return
  done
}
run() { if $dry_run; then printf 'would run: %s\n' "$*"; else "$@"; fi; }

# Each way of running it says: save, install, start_anew NAME, take_back, probe NAME URL, keep.
compose() { if command -v docker-compose >/dev/null; then docker-compose "$@"; else docker compose "$@"; fi; }

compose_prepare() {
  need docker
  # Also for a dry run: what runs decides what would be done.
  docker ps -q >/dev/null 2>&1 || die 1 "the Docker engine does not answer (docker ps)"
  cd "$home"
  compose ps -q >/dev/null 2>&1 || die 1 "docker-compose does not work in $home (docker-compose ps)"
  local service
  if [ ${#instances[@]} -eq 0 ]; then
    for service in $(compose ps --services); do
      case $service in
        qwen-model-service | qwen-service-[0-9]) if [ -n "$(compose ps -q "$service")" ]; then instances+=("$service"); fi ;;
      esac
    done
  fi
  [ ${#instances[@]} -gt 0 ] || instances=(qwen-model-service)
}
compose_save() { if $build && docker image inspect "$image:latest" >/dev/null 2>&1; then run docker tag "$image:latest" "$image:backup"; fi; }
compose_install() { if $build; then run docker build -t "$image:latest" .; fi; }
compose_start() { run compose up -d --no-deps "$1"; }
compose_probe() { compose exec -T "$1" qwen-thinking healthcheck >/dev/null 2>&1; }
compose_take_back() { docker image inspect "$image:backup" >/dev/null 2>&1 && docker tag "$image:backup" "$image:latest"; }
compose_keep() { :; }

systemd_prepare() {
  need systemctl
  [ -n "$package" ] || die 2 "systemd needs --package (see $script.sh --help)"
  [ -f "$package" ] || die 66 "$package is not there"
  need dpkg-deb
  dpkg-deb --info "$package" >/dev/null 2>&1 || die 66 "$package is no Debian package"
  [ ${#instances[@]} -gt 0 ] || instances=(qwen-thinking)
  local version
  version=$(dpkg-query -W -f='${Version}' qwen-thinking 2>/dev/null || true)
  previous=${previous:-$(find "$backups" -maxdepth 1 -name "qwen-thinking_${version}_*.deb" 2>/dev/null | head -n 1 || true)}
  if [ -z "$previous" ] && ! $dry_run; then note "the .deb of version ${version:-?} is not in $backups: a failure could not be taken back (--previous)"; fi
}
systemd_save() { :; }
systemd_install() { run env DEBIAN_FRONTEND=noninteractive dpkg --install --force-confdef --force-confold "$package"; }
systemd_start() { run systemctl restart "$1"; }
systemd_probe() { answers qwen-thinking "$2"; }
systemd_take_back() { [ -n "$previous" ] && dpkg --install --force-confold "$previous"; }
systemd_keep() { mkdir -p -- "$backups" && cp -- "$package" "$backups/qwen-thinking_$(dpkg-deb -f "$package" Version)_$(dpkg-deb -f "$package" Architecture).deb"; }

binary_prepare() {
  if [ -z "$binary" ] || [ -z "$target" ] || [ -z "$restart" ]; then die 2 "binary needs --binary, --target and --restart (see $script.sh --help)"; fi
  [ -x "$binary" ] || die 66 "$binary is not there or no program"
  # A program that does not even start is found before anything is touched.
  "$binary" version >/dev/null 2>&1 || die 1 "$binary does not run here"
  [ ${#instances[@]} -gt 0 ] || instances=(qwen-thinking)
}
binary_save() { if [ -e "$target" ]; then run cp -p -- "$target" "$target.backup"; fi; }
binary_install() {  # at once: whoever starts it meanwhile gets the one or the other
  if ! $dry_run; then cp -- "$binary" "$target.partial" && chmod 755 "$target.partial"; fi
  run mv -- "$target.partial" "$target"
}
binary_start() { run bash -c "$restart" restart "$1"; }
binary_probe() { answers "$target" "$2"; }
binary_take_back() { [ -e "$target.backup" ] && cp -p -- "$target.backup" "$target.partial" && mv -- "$target.partial" "$target"; }
binary_keep() { :; }

# is_ready NAME[=URL]: within the time.
is_ready() {
  local name=${1%%=*} end=$((SECONDS + timeout)) own=$url
  if [[ $1 == *=* ]]; then own=${1#*=} && own=${own%/}; fi
  while [ $SECONDS -lt $end ]; do
    if "${mode}_probe" "$name" "$own"; then return 0; fi
    sleep 1
  done
  note "$name is not ready after $timeout s"
  return 1
}

started=()
roll() {  # each instance in its turn
  local instance
  for instance in "${instances[@]}"; do
    step "start ${instance%%=*} anew"
    started+=("$instance")
    "${mode}_start" "${instance%%=*}" || return
    if $dry_run; then say "would wait until ${instance%%=*} is ready"; continue; fi
    is_ready "$instance" || return
  done
}

take_back() {
  step "taken back"
  local instance
  "${mode}_take_back" || die 75 "there is no version to go back to"
  for instance in "${started[@]}"; do
    if ! "${mode}_start" "${instance%%=*}" || ! is_ready "$instance"; then die 75 "${instance%%=*} is not well with the version before, either"; fi
  done
  die 1 "the version before is running again"
}

"${mode}_prepare"
step "save the present version"
"${mode}_save"
step "put the new one in its place"
if ! "${mode}_install"; then take_back; fi
if ! roll; then take_back; fi
$dry_run || "${mode}_keep"
if $dry_run; then step "nothing was done: a dry run"; else step "updated: ${instances[*]%%=*}"; fi
