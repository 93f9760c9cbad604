#!/usr/bin/env bash
# The unit parses without a word, is sandboxed, gives open answers their time, and has the service tell that it is ready and alive.
# Exit 77 without systemd-analyze.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v systemd-analyze >/dev/null || { echo "SKIP: systemd-analyze is absent"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unit=packaging/systemd/qwen-thinking.service
sed 's#^ExecStart=/usr/bin/qwen-thinking#ExecStart=/bin/true#' $unit >"$work/qwen-thinking.service"
# Its exit status is 0 whatever it finds.
said=$(systemd-analyze verify "$work/qwen-thinking.service" 2>&1) || true
[ -z "$said" ] || { echo "$said"; exit 1; }
systemd-analyze security --offline=true --threshold=20 --no-pager "$work/qwen-thinking.service" | tail -n 1
stop=$(sed -n 's/^TimeoutStopSec=//p' $unit)
drain=0
for seconds in $(sed -n 's/.*seconds drain_[a-z]*{\([0-9]*\)}.*/\1/p' src/server/service_config.h); do drain=$((drain + seconds)); done
[ "$stop" -gt $((drain + 5)) ] || { echo "FAIL: TimeoutStopSec $stop, but draining takes $drain s"; exit 1; }
for line in Type=notify NotifyAccess=main 'ExecReload=kill -HUP $MAINPID' 'ExecStart=/usr/bin/qwen-thinking serve'; do
  grep -qxF -- "$line" $unit || { echo "FAIL: the unit has no $line"; exit 1; }
done
watchdog=$(sed -n 's/^WatchdogSec=//p' $unit)
[ "${watchdog:-0}" -gt 4 ] || { echo "FAIL: WatchdogSec=$watchdog: the service tells every second at most that it is alive"; exit 1; }
