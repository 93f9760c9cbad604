#!/usr/bin/env bash
# Backs up models, configurations and logs: models_backup_DATE-TIME.tar.gz, configs_backup_… (with .env and certs/; not for other eyes),
# logs_archive_…, each with its SHA-256 beside it. An archive has its name only when it has been read back and compared; what is
# interrupted leaves nothing under that name. Old ones go when the new one is good.
#
# Usage: scripts/backup.sh [options] [models] [configs] [logs]      default: all three
#   --output DIR          default: backups/ beside configs/; /var/backups/qwen-thinking for the package
#   --keep N              of each kind; default 7; 0: all
#   --models DIR, --configs DIR, --logs DIR
#   --dry-run             prints what would be done
# Exit status: 0 done, 1 failed, 2 usage, 66 nothing there, 73 no space or no folder.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
umask 077

keep=7 kinds=()
while [ $# -gt 0 ]; do
  case $1 in models | configs | logs) kinds+=("$1") && shift && continue ;; --dry-run | -h | --help) ;;
    -*) has_value "$@" ;;
    *) die 2 "unknown kind $1: models, configs or logs (see $script.sh --help)" ;;
  esac
  if common_option "$@"; then shift "$shifted"; continue; fi
  case $1 in
    --output) backups=$2 ;;
    --keep) keep=$2 ;;
    *) die 2 "unknown option $1 (see $script.sh --help)" ;;
  esac
  shift 2
done
is_number "$keep" --keep
[ ${#kinds[@]} -gt 0 ] || kinds=(models configs logs)
stamp=$(date +%Y%m%d-%H%M%S)
partial=
trap 'rm -f ${partial:+"$partial" "$partial.sha256"}' EXIT
trap 'exit 130' INT TERM

prefix_of() { case $1 in logs) say logs_archive ;; *) say "$1_backup" ;; esac; }
folder_of() { case $1 in models) say "$models" ;; configs) say "$configs" ;; logs) say "$logs" ;; esac; }

# The names within the folder's parent that belong to a kind.
members_of() {  # KIND FOLDER
  basename "$2"
  local parent name
  parent=$(dirname "$2")
  if [ "$1" != configs ] || [ "$(basename "$2")" != configs ]; then return 0; fi
  for name in .env certs; do if [ -e "$parent/$name" ]; then say "$name"; fi; done
}

compress() { if command -v pigz >/dev/null; then pigz -1; else gzip -1; fi; }

backup() {  # KIND
  local kind=$1 folder parent archive members needed free status
  folder=$(folder_of "$kind")
  [ -d "$folder" ] || die 66 "$folder is no folder (--$kind)"
  folder=$(cd "$folder" && pwd)
  parent=$(dirname "$folder")
  archive=$backups/$(prefix_of "$kind")_$stamp.tar.gz
  mapfile -t members < <(members_of "$kind" "$folder")
  if $dry_run; then
    say "would write $archive from ${members[*]} of $parent ($(human "$(bytes_of "$folder")"))"
    return
  fi
  needed=$(bytes_of "$folder")
  free=$(($(df -Pk -- "$backups" | awk 'NR == 2 {print $4}') * 1024))
  [ "$free" -gt "$needed" ] || die 73 "$backups: $(human "$needed") may be needed, but only $(human "$free") are free"
  partial=$archive.partial
  # A log that grows meanwhile is no error (status 1); what is in the archive is whole lines up to then.
  status=0
  # Links become what they lead to: a cache of downloads is not part of the backup.
  tar --create --file=- --dereference --directory="$parent" --exclude='*.partial' --exclude='*.packed' --warning=no-file-changed -- "${members[@]}" |
    compress >"$partial" || status=$?
  [ $status -eq 0 ] || { [ "$kind" = logs ] && [ $status -eq 1 ]; } || die 1 "tar ended with status $status"
  gzip -t "$partial" || die 1 "$partial does not read back"
  if [ "$kind" != logs ]; then
    tar --diff --dereference --gzip --file="$partial" --directory="$parent" >&2 || die 1 "$folder changed while it was read; run it again"
  fi
  (cd "$backups" && sha256sum "$(basename "$partial")" | sed 's/\.partial$//') >"$partial.sha256"
  sync -- "$partial" "$partial.sha256"
  mv -- "$partial.sha256" "$archive.sha256"
  mv -- "$partial" "$archive"
  partial=
  say "$archive ($(human "$(bytes_of "$archive")"))"
}

prune() {  # KIND
  [ "$keep" -gt 0 ] || return 0
  local file
  find "$backups" -maxdepth 1 -type f -name "$(prefix_of "$1")_[0-9]*.tar.gz" -printf '%f\n' | sort -r | tail -n "+$((keep + 1))" |
    while IFS= read -r file; do
      rm -f -- "$backups/$file" "$backups/$file.sha256"
      say "removed $file: $keep newer ones are kept"
    done
}

if ! $dry_run; then
  mkdir -p -- "$backups" || die 73 "$backups cannot be made (--output)"
  [ -w "$backups" ] || die 73 "$backups cannot be written (--output)"
  exec 8>"$backups/.lock"
  flock -n 8 || die 1 "another backup is at work in $backups"
fi
for kind in "${kinds[@]}"; do
  backup "$kind"
  $dry_run || prune "$kind"
done
