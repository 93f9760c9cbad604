#!/usr/bin/env bash
# Looks whether the service is well: ready, answering, enough memory and disk, few errors in the last 24 hours, certificate and backup
# not too old. One line for each check: OK, WARN or FAIL.
#
# Usage: scripts/daily_check.sh [options]
#   --url URL             the service; default $QWEN_URL, else
#                         http://127.0.0.1:$PORT (8000), https where the settings have a certificate (not checked on loopback)
#   --api-key-file FILE   its key, where it asks for one; or $QWEN_API_KEY
#   --logs DIR            folder of access.log, error.log, service.log
#   --models DIR          folder of the models, for the free space
#   --backups DIR         folder of backup.sh
#   --certificate FILE    default: certs/cert.pem beside configs/ or in it, where it is there
#   --no-generate         does not ask for a token
#   --strict              a WARN counts as a FAIL
#   --dry-run             prints what would be checked
# Exit status: 0 well, 1 a check failed, 2 usage.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

generate=true strict=false certificate=
while [ $# -gt 0 ]; do
  case $1 in --no-generate | --strict | --dry-run | -h | --help) ;; *) has_value "$@" ;; esac
  if common_option "$@"; then shift "$shifted"; continue; fi
  case $1 in
    --no-generate) generate=false ;;
    --strict) strict=true ;;
    --backups) backups=$2 && shift ;;
    --certificate) certificate=$2 && shift ;;
    *) die 2 "unknown option $1 (see $script.sh --help)" ;;
  esac
  shift
done
for file in "$configs/certs/cert.pem" "$home/certs/cert.pem"; do
  if [ -z "$certificate" ] && [ -f "$file" ]; then certificate=$file; fi
done

failed=0 metrics=
tell() {  # VERDICT CHECK WORDS…
  if $strict && [ "$1" = WARN ]; then set -- FAIL "${@:2}"; fi
  printf '%-4s  %-12s %s\n' "$1" "$2" "${*:3}"
  [ "$1" != FAIL ] || failed=1
}

# limit VALUE WARN FAIL: which verdict a value that should be small deserves.
limit() { awk -v v="$1" -v w="$2" -v f="$3" 'BEGIN {print(v + 0 >= f ? "FAIL" : v + 0 >= w ? "WARN" : "OK")}'; }

check_service() {
  local health answer started ended
  if ! answer=$(FETCH_TIMEOUT=10 fetch /readyz 2>&1); then
    tell FAIL ready "$url/readyz: ${answer##*curl: }"
    return
  fi
  tell OK ready "$url"
  if health=$(fetch /health 2>&1); then
    local percent
    percent=$(json_number percent <<<"$health")
    tell "$(limit "${percent:-0}" 80 90)" memory "${percent:-?} % used, up $(json_number uptime_seconds <<<"$health") s"
  else
    tell FAIL health "${health##*curl: }"
  fi
  metrics=$(fetch /metrics 2>/dev/null) || metrics=
  if $generate; then
    started=$(date +%s%N)
    if answer=$(FETCH_TIMEOUT=120 fetch /generate -H "Content-Type: application/json" -d '{"prompt": "1 + 1 = ?", "max_length": 1}' 2>&1); then
      ended=$(date +%s%N)
      tell OK generate "a token in $(awk -v n=$((ended - started)) 'BEGIN {printf "%.3f", n / 1e9}') s"
    elif [ -n "$(refusal "$answer")" ]; then
      # Without a key the check looks at the rest; a key that does not do is a mistake.
      if [ -n "$(api_key)" ]; then tell FAIL generate "$(refusal "$answer")"; else tell WARN generate "$(refusal "$answer")"; fi
    else
      tell FAIL generate "${answer##*curl: }"
    fi
  fi
}

check_disk() {  # NAME FOLDER
  [ -d "$2" ] || return 0
  local used
  used=$(df -P -- "$2" | awk 'NR == 2 {sub("%", "", $5); print $5}')
  tell "$(limit "$used" 85 95)" "disk" "$1 ($2): $used % used, $(df -hP -- "$2" | awk 'NR == 2 {print $4}') free"
}

requests_since() {  # MOMENT: access_log.awk's records
  read_requests | awk -v since="$(date -d "$1" '+%Y-%m-%d %H:%M:%S')" -v since_utc="$(date -u -d "$1" '+%Y-%m-%d %H:%M:%S')" \
    -f "$scripts/access_log.awk"
}

# The service has answered since its start, but the log holds nothing of it: it is another service's, or of another time.
check_log_is_its_own() {  # REQUESTS in 24 h
  local answered started logged
  if [ "$1" -gt 0 ]; then return 0; fi
  answered=$(metric_sum http_requests_total <<<"$metrics")
  started=$(metric_sum process_start_time_seconds <<<"$metrics")
  if [ -z "$started" ] || [ "${answered:-0}" -eq 0 ]; then return 0; fi
  logged=$(requests_since "@$started" | awk -F '\t' '$1 == "TOTAL" {print $2}')
  if [ "$logged" -eq 0 ]; then
    tell WARN requests "the service counts $answered since its start, the logs in $logs hold none of them (--logs, LOG_FILE)"
  fi
}

check_requests() {
  local since since_utc summary requests errors share p95 lines unread
  since=$(date -d '24 hours ago' '+%Y-%m-%d %H:%M:%S')
  since_utc=$(date -u -d '24 hours ago' '+%Y-%m-%d %H:%M:%S')
  summary=$(requests_since '24 hours ago')
  read -r requests errors share p95 < <(awk -F '\t' '$1 == "TOTAL" {t = $2 " " $5 " " ($2 > 0 ? 100 * $5 / $2 : 0)}
    $1 == "LATENCY" {print t, $4}' <<<"$summary")
  tell "$(limit "$share" 1 5)" requests "$requests in 24 h, $errors with 5xx ($(printf '%.2f' "$share") %), 95 % within $p95 s"
  unread=$(awk -F '\t' '$1 == "UNREAD" {print $2}' <<<"$summary")
  if [ -n "$unread" ]; then
    tell WARN requests "$unread lines in $logs have no time or status that can be read and are not counted: LOG_FORMAT needs %(asctime)s"
  fi
  check_log_is_its_own "$((requests + ${unread:-0}))"
  lines=$(read_errors | awk -v since="$since" -v since_utc="$since_utc" '
    match($0, /[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][ T][0-9:]*/) {
      time = substr($0, RSTART, 10) " " substr($0, RSTART + 11, 8)
      if (time >= (substr($0, 1, 1) == "{" ? since_utc : since)) n++
      else untimed = 0  # lines without a time before it are older still
      next
    }
    {untimed++}
    END {print n + untimed}')
  tell "$(limit "$lines" 1 1000000000)" errors "$lines ERROR lines in 24 h"
}

check_certificate() {
  [ -n "$certificate" ] || return 0
  need openssl
  local end
  if ! end=$(openssl x509 -in "$certificate" -noout -enddate 2>&1); then tell FAIL certificate "$certificate cannot be read"; return; fi
  local verdict=OK
  openssl x509 -in "$certificate" -noout -checkend $((14 * 86400)) >/dev/null || verdict=WARN
  openssl x509 -in "$certificate" -noout -checkend 0 >/dev/null || verdict=FAIL
  tell $verdict certificate "$certificate ends ${end#notAfter=}"
}

check_backup() {
  local newest
  newest=$(find "$backups" -maxdepth 1 -name 'configs_backup_*.tar.gz' -printf '%T@ %f\n' 2>/dev/null | sort -n | tail -n 1) || true
  if [ -z "$newest" ]; then tell WARN backup "none in $backups (scripts/backup.sh)"; return; fi
  local days=$((($(date +%s) - ${newest%%.*}) / 86400))
  tell "$(limit "$days" 8 1000000000)" backup "${newest#* }, $days days old"
}

if $dry_run; then
  say "would ask $url for /readyz, /health$($generate && printf ' and one token of /generate')"
  say "would look at the disks of $models, $logs, the requests and errors of 24 h in $logs, ${certificate:+$certificate, }the backups in $backups"
  exit 0
fi
need curl
check_service
check_disk models "$models"
check_disk logs "$logs"
if [ -d "$logs" ] && [ -n "$(log_files access)$(log_files service)" ]; then check_requests; else tell WARN requests "$(no_logs)"; fi
check_certificate
check_backup
exit $failed
