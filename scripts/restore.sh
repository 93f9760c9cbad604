#!/usr/bin/env bash
# Puts back what backup.sh has saved. The archive's SHA-256 is checked, nothing is unpacked outside its folder, and the folder that is there
# is moved aside, not overwritten: it becomes NAME.before-DATE-TIME.
#
# Usage: scripts/restore.sh [options] ARCHIVE
#   --verify      only checks the archive
#   --to DIR      folder in which models/, configs/ or logs/ is put; default: where backup.sh took it from
#   --force       also where such a folder is there (which is moved aside)
#   --dry-run     prints what would be done
# Exit status: 0 done, 1 failed, 2 usage, 65 damaged archive, 66 no archive, 73 folder in the way.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
umask 022

archive='' to='' force=false verify=false
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) show_help ;;
    --verify) verify=true ;;
    --force) force=true ;;
    --dry-run) dry_run=true ;;
    --to) has_value "$@" && to=$2 && shift ;;
    -*) die 2 "unknown option $1 (see $script.sh --help)" ;;
    *) [ -z "$archive" ] || die 2 "one archive at a time"; archive=$1 ;;
  esac
  shift
done
[ -n "$archive" ] || die 2 "which archive? (see $script.sh --help)"
[ -f "$archive" ] || die 66 "$archive is not there"
[ -f "$archive.sha256" ] || die 66 "$archive.sha256 is not there, so that the archive cannot be checked"
name=$(basename "$archive")
case $name in
  models_backup_*) folder=$models ;;
  configs_backup_*) folder=$configs ;;
  logs_archive_*) folder=$logs ;;
  *) die 2 "$name is not named as backup.sh names its archives" ;;
esac
to=${to:-$(dirname "$folder")}

expected=$(cut -d' ' -f1 "$archive.sha256")
actual=$(sha256sum -- "$archive" | cut -d' ' -f1)
[ "$expected" = "$actual" ] || die 65 "$archive is damaged: its SHA-256 is $actual, but $expected was written down"
members=$(tar --list --gzip --file="$archive") || die 65 "$archive cannot be read"
! grep -qE '^/|(^|/)\.\.(/|$)' <<<"$members" || die 65 "$archive holds paths that lead out of its folder"
mapfile -t tops < <(cut -d/ -f1 <<<"$members" | sort -u)
if $verify; then say "$archive: good, $(grep -vc '/$' <<<"$members" || true) files"; exit 0; fi

for top in "${tops[@]}"; do
  [ ! -e "$to/$top" ] || [ -z "$(ls -A "$to/$top" 2>/dev/null || true)" ] || $force || $dry_run ||
    die 73 "$to/$top is there; --force moves it aside"
done
if $dry_run; then say "would put ${tops[*]} of $archive into $to"; exit 0; fi
mkdir -p -- "$to" || die 73 "$to cannot be made"
work=$(mktemp -d -- "$to/.restoring-XXXXXX") || die 73 "$to cannot be written"
trap 'rm -rf -- "$work"' EXIT
tar --extract --gzip --file="$archive" --directory="$work"
stamp=$(date +%Y%m%d-%H%M%S)
for top in "${tops[@]}"; do
  if [ -d "$to/$top" ] && [ ! -L "$to/$top" ] && rmdir -- "$to/$top" 2>/dev/null; then :; elif [ -e "$to/$top" ]; then
    mv -T -- "$to/$top" "$to/$top.before-$stamp"
    say "$to/$top is now $top.before-$stamp"
  fi
  mv -T -- "$work/$top" "$to/$top"
  say "$to/$top restored"
done
