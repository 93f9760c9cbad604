#!/usr/bin/env bash
# Downloads a model from Hugging Face, or from a mirror of it, into models/: `qwen-thinking pull` by whichever qwen-thinking is here: the one
# that was built, the installed one, or the container's image. It goes on where it was interrupted and verifies every file.
#
# Usage: scripts/download_model.sh [REPOSITORY] [options of `qwen-thinking pull`: --revision, --endpoint, --retries, --dry-run]
#   REPOSITORY            default Qwen/Qwen3-4B-Thinking-2507
#   --output DIR          default: in models/ beside configs/, or /var/lib/qwen-thinking/models; qwen3-4b-thinking for the default model,
#                         else its name in small letters
# Environment: HF_ENDPOINT (such as https://hf-mirror.com), HF_TOKEN, QWEN_BINARY (the qwen-thinking to run)
# Exit status: 0 done, 1 failed, 2 usage, 65 wrong data, 66 no such model, 73 the folder cannot be written.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

repository=Qwen/Qwen3-4B-Thinking-2507 name=qwen3-4b-thinking output='' options=()
if [ $# -gt 0 ] && [[ $1 != -* ]]; then
  repository=$1
  name=${repository##*/}
  name=${name,,}
  shift
fi
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) show_help ;;
    -o | --output) has_value "$@" && output=$2 && shift ;;
    *) options+=("$1") ;;
  esac
  shift
done

for binary in "${QWEN_BINARY:-}" "$home/build/qwen-thinking" "$home/bin/qwen-thinking" "$(command -v qwen-thinking || true)"; do
  if [ -n "$binary" ] && [ -x "$binary" ]; then exec "$binary" pull "$repository" --output "${output:-$models/$name}" "${options[@]}"; fi
done
image=${QWEN_IMAGE:-qwen-thinking-service:latest}
if command -v docker >/dev/null && docker image inspect "$image" >/dev/null 2>&1; then
  output=$(realpath -m -- "${output:-$models/$name}")
  mkdir -p -- "$(dirname "$output")"
  exec docker run --rm --user "$(id -u):$(id -g)" -e HF_ENDPOINT -e HF_TOKEN -e HOME=/tmp -v "$(dirname "$output"):/models" "$image" \
    pull "$repository" --output "/models/$(basename "$output")" "${options[@]}"
fi
die 66 "no qwen-thinking is here: make build, or docker build -t $image ."
