#!/usr/bin/env bash
# The compose files in every combination that the guide uses: docker-compose 1.29 (and `docker compose` where it is) accepts them without a
# warning of its own, and what they come to holds together. Exit 77 where there is no compose at all.
set -euo pipefail
cd "$(dirname "$0")/../.."

composes=()
command -v docker-compose >/dev/null && composes+=("docker-compose")
docker compose version >/dev/null 2>&1 && composes+=("docker compose")
[ ${#composes[@]} -gt 0 ] || { echo "SKIP: neither docker-compose nor docker compose is here"; exit 77; }
export GPU_ID=0

for compose in "${composes[@]}"; do
  for arguments in "" "--profile monitoring" "--profile cache" "--profile lb" "-f docker-compose.yml -f docker-compose.scale.yml"; do
    # shellcheck disable=SC2086  # both are lists of words
    said=$($compose $arguments config -q 2>&1) || { echo "$compose $arguments config: $said"; exit 1; }
    [ -z "$said" ] || [[ $said == *"is obsolete"* ]] || { echo "$compose $arguments config: $said"; exit 1; }
  done
done

has() { grep -qE -- "$2" <<<"$1" || { echo "FAIL: no $2 in ${3:-the configuration}"; exit 1; }; }
lacks() { ! grep -qE -- "$2" <<<"$1" || { echo "FAIL: $2 in ${3:-the configuration}"; exit 1; }; }
compose=${composes[0]}
plain=$(HOST='' PORT='' $compose config)
scaled=$($compose -f docker-compose.yml -f docker-compose.scale.yml config)
has "$plain" 'container_name: qwen-thinking-service'
has "$plain" '(0\.0\.0\.0:8000:8000|published: "8000")'
lacks "$scaled" 'container_name' docker-compose.scale.yml
has "$scaled" 'replicas: 3' docker-compose.scale.yml
everything=$($compose --profile monitoring --profile cache --profile lb config)
for service in qwen-model-service qwen-service-1 qwen-service-2 qwen-service-3 nginx redis prometheus grafana; do has "$everything" "^  $service:"; done
has "$everything" '172\.20\.0\.0/16'
[ "$(grep -c 'no-new-privileges:true' <<<"$everything")" -eq 8 ] || { echo "FAIL: a container may gain privileges"; exit 1; }

# Every variable of the service reaches it: one that is dropped on the way would be believed to hold, API_KEYS for one.
for name in $(sed -n 's/^#\?\([A-Z][A-Z_]*\)=.*/\1/p' .env.example); do
  case $name in CONFIG_FILE | CONFIG_FILES | METRICS_API_KEY) continue ;; esac  # paths outside the container; Prometheus's
  grep -qE "^    $name:" docker-compose.yml || { echo "FAIL: docker-compose.yml does not pass $name on"; exit 1; }
done

# Open answers may end: the grace is longer than the defaults of DRAIN_GRACE and DRAIN_TIMEOUT and five seconds for the rest.
grace=$(sed -n 's/.*stop_grace_period:.*STOP_GRACE_PERIOD:-\([0-9]*\)}s.*/\1/p' docker-compose.yml | sort -n | head -n 1)
drain=0
for seconds in $(sed -n 's/.*seconds drain_[a-z]*{\([0-9]*\)}.*/\1/p' src/server/service_config.h); do drain=$((drain + seconds)); done
[ "$grace" -gt $((drain + 5)) ] || { echo "FAIL: stop_grace_period $grace s, but draining takes $drain s"; exit 1; }
echo "compose: ${composes[*]}"
