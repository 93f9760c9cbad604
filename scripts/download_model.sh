#!/usr/bin/env bash
# Downloads a model from Hugging Face, or from a mirror of it, into models/: `qwen-thinking pull` by whichever qwen-thinking is here: the one
# that was built, the installed one, or the container's image. It goes on where it was interrupted and verifies every file.
#
# Usage: scripts/download_model.sh [REPOSITORY] [options of `qwen-thinking pull`: --output, --revision, --endpoint, --dry-run]
#   REPOSITORY            default Qwen/Qwen3-4B-Thinking-2507, into models/qwen3-4b-thinking
# Environment: HF_ENDPOINT (such as https://hf-mirror.com), HF_TOKEN, QWEN_BINARY (the qwen-thinking to run)
# Exit status: 0 done, 1 failed, 2 usage, 65 wrong data, 66 no such model, 73 the folder cannot be written.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

case ${1:-} in -h | --help) show_help ;; esac
arguments=("$@")
if [ $# -eq 0 ] || [[ $1 == -* ]]; then
  arguments=(Qwen/Qwen3-4B-Thinking-2507 "$@")
  [[ " $* " == *" --output"* || " $* " == *" -o "* ]] || arguments+=(--output "models/qwen3-4b-thinking")
fi
for binary in "${QWEN_BINARY:-}" "$home/build/qwen-thinking" "$home/bin/qwen-thinking" "$(command -v qwen-thinking || true)"; do
  if [ -n "$binary" ] && [ -x "$binary" ]; then exec "$binary" pull "${arguments[@]}"; fi
done
image=${QWEN_IMAGE:-qwen-thinking-service:latest}
if command -v docker >/dev/null && docker image inspect "$image" >/dev/null 2>&1; then
  mkdir -p models
  exec docker run --rm --user "$(id -u):$(id -g)" -e HF_ENDPOINT -e HF_TOKEN -e HOME=/tmp -v "$PWD/models:/work/models" --workdir /work "$image" \
    pull "${arguments[@]}"
fi
die 66 "no qwen-thinking is here: make build, or docker build -t $image ."
