#!/usr/bin/env bash
# Serves a model (the demo model by default), tries the guide's curl line against it, prints both and stays in the foreground.
# Usage: scripts/run_demo.sh BINARY [MODEL_DIR]      Environment: HOST (127.0.0.1), PORT (8000), METRICS_PORT (0: no second port)
set -euo pipefail

case ${1:-} in
  -h | --help) sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" && exit ;;
  '' | -*) echo "run_demo: BINARY is missing (see run_demo.sh --help)" >&2 && exit 2 ;;
esac
binary=$1
model=${2:-models/demo}
host=${HOST:-127.0.0.1}
port=${PORT:-8000}
export METRICS_PORT=${METRICS_PORT:-0}
client_host=$host
[ "$host" = 0.0.0.0 ] && client_host=127.0.0.1
address=http://$client_host:$port

"$binary" serve --model "$model" --host "$host" --port "$port" &
server=$!
trap 'kill -TERM $server 2>/dev/null || true' EXIT INT TERM
running() { kill -0 $server 2>/dev/null || { wait $server || exit $?; exit 1; }; }
reach() { curl --noproxy '*' -fsS "$@"; }
# Another service may own the port and answer in our place: ours has ended then.
until reach -o /dev/null "$address/readyz" 2>/dev/null; do
  running
  sleep 0.2
done
sleep 0.2
running

body='{"prompt": "什么是AES加密算法？", "max_length": 200, "temperature": 0.7}'
answer=$(reach -X POST "$address/generate" -H "Content-Type: application/json" -d "$body")
cat <<TEXT

Serving $model at $address   (open it in a browser to chat; Ctrl-C stops it)
Tried just now:

  curl -X POST "$address/generate" -H "Content-Type: application/json" -d '$body'

$answer

TEXT
wait $server
