#!/usr/bin/env bash
# Everything around the service, checked without a Docker engine or a cluster. Each part says PASS, SKIP with the reason, or FAIL; exit status
# 1 if any failed. Nothing here is part of `make test`.
# Usage: tests/ops/run.sh [part…]      parts: lint compose kubernetes systemd dockerfile nginx rolling_restart tls
#                                  monitoring scripts package portable
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export QWEN_SOURCE_DIR=$PWD QWEN_BINARY=${QWEN_BINARY:-$PWD/build/qwen-thinking}
failed=0
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(lint compose kubernetes systemd dockerfile nginx rolling_restart tls monitoring scripts package portable)
for part in "${parts[@]}"; do
  case $part in
    nginx | rolling_restart | monitoring | scripts) run=(python3 -B "tests/ops/test_$part.py") ;;
    dockerfile) run=(tests/ops/dockerfile_steps.sh --dry-run) ;;
    lint | compose | kubernetes | systemd | tls | package | portable) run=("tests/ops/$part.sh") ;;
    *) echo "unknown part: $part" >&2; exit 2 ;;
  esac
  output=$("${run[@]}" 2>&1)
  case $? in
    0) verdict=PASS ;;
    77) verdict=SKIP ;;
    *) verdict=FAIL failed=1 ;;
  esac
  # What was left out inside of a part is seen, too, and the figures that it gives (indented).
  if [ $verdict = PASS ]; then grep -oE '.*(SKIP|skipped).*|  [^ ].*' <<<"$output"; else printf '%s\n' "$output"; fi
  printf -- '-- ops %s: %s\n' "$part" $verdict
done
exit $failed
