#!/usr/bin/env bash
# What is to be done once a week: rotated logs into archive/, compressed; old ones removed; configurations and logs backed up, the newest
# backups read back; what interrupted downloads and quantizations have left is named; then the daily check.
#
# Usage: scripts/weekly_maintenance.sh [options]
#   --with-models         backs up the models, too (they are large and change seldom)
#   --output DIR          folder of the backups
#   --keep N              backups of each kind; default 7
#   --keep-days N         of the logs in archive/; default 400
#   --url URL, --api-key-file FILE, --logs DIR, --models DIR, --configs DIR      as for daily_check.sh
#   --dry-run             prints what would be done
# Exit status: 0 done and well, 1 something failed or the daily check does, 2 usage.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

kinds=(configs logs) keep=7 keep_days=400
while [ $# -gt 0 ]; do
  case $1 in --with-models | --dry-run | -h | --help) ;; *) has_value "$@" ;; esac
  if common_option "$@"; then shift "$shifted"; continue; fi
  case $1 in
    --with-models) kinds+=(models) ;;
    --output) backups=$2 && shift ;;
    --keep) keep=$2 && shift ;;
    --keep-days) keep_days=$2 && shift ;;
    *) die 2 "unknown option $1 (see $script.sh --help)" ;;
  esac
  shift
done
is_number "$keep" --keep
is_number "$keep_days" --keep-days
failed=0
dry=()
if $dry_run; then dry=(--dry-run); fi

# NAME.log.N becomes archive/NAME-TIME-N.log.gz. It is moved before it is compressed, so that the service may rotate meanwhile.
archive_log() {
  local file=$1 base number moved
  base=$(basename "$file")
  number=${base##*.}
  moved=$logs/archive/${base%%.log.*}-$(date -r "$file" +%Y%m%dT%H%M%S)-$number.log
  if $dry_run; then say "would compress $file into $moved.gz"; return; fi
  mv -n -- "$file" "$moved" || return
  gzip -f -- "$moved" && say "$moved.gz"
}

archive_logs() {
  local file
  $dry_run || mkdir -p -- "$logs/archive" || return
  while IFS= read -r file; do archive_log "$file" || failed=1; done < <(
    find "$logs" -maxdepth 1 -type f -regex '.*/[a-z_]+\.log\.[0-9]+' | sort -V)
  # What an interrupted run has moved and not compressed.
  $dry_run || find "$logs/archive" -maxdepth 1 -type f -name '*.log' -exec gzip -f -- {} +
  if $dry_run; then
    find "$logs/archive" -maxdepth 1 -type f -name '*.log.gz' -mtime "+$keep_days" -printf 'would remove %p\n' 2>/dev/null || true
  else
    find "$logs/archive" -maxdepth 1 -type f -name '*.log.gz' -mtime "+$keep_days" -printf 'removed %p\n' -delete
  fi
}

verify_backups() {
  local kind newest
  for kind in models_backup configs_backup logs_archive; do
    newest=$(find "$backups" -maxdepth 1 -name "${kind}_*.tar.gz" 2>/dev/null | sort | tail -n 1) || true
    if [ -n "$newest" ]; then "$scripts/restore.sh" --verify "$newest" || failed=1; fi
  done
}

say "== logs"
if [ -d "$logs" ] && [ -w "$logs" ]; then archive_logs; else note "$logs is not there or cannot be written" && failed=1; fi
say "== backups"
"$scripts/backup.sh" "${dry[@]}" --output "$backups" --keep "$keep" --models "$models" --configs "$configs" --logs "$logs" "${kinds[@]}" || failed=1
$dry_run || verify_backups
say "== leftovers"
find "$models" -maxdepth 2 -name '*.partial' -mtime +7 -printf '%p: an interrupted download or quantization, older than a week; remove it if nobody goes on\n' \
  2>/dev/null || true
say "== daily check"
"$scripts/daily_check.sh" "${dry[@]}" --url "$url" ${api_key_file:+--api-key-file "$api_key_file"} --logs "$logs" --models "$models" \
  --backups "$backups" || failed=1
exit $failed
