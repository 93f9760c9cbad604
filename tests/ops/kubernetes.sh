#!/usr/bin/env bash
# The overlays render, k8s-deployment.yaml is the rendered one for GPUs and has what the guide's has, times fit, and (with PyPI's
# kubernetes-validate, by path in KUBERNETES_VALIDATE or on PATH) every object fits its schema. Exit 77 without kubectl.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v kubectl >/dev/null || { echo "SKIP: kubectl is absent (Debian package kubernetes-client)"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAIL: $*"; exit 1; }

kubectl kustomize k8s/overlays/gpu >"$work/gpu.yaml"
kubectl kustomize k8s/overlays/cpu >"$work/cpu.yaml"
diff <(grep -v '^#' k8s-deployment.yaml) "$work/gpu.yaml" || fail "k8s-deployment.yaml is not what k8s/overlays/gpu renders to"
grep -q 'nvidia.com/gpu' "$work/cpu.yaml" && fail "the CPU overlay asks for a device"
for line in 'replicas: 3' 'name: qwen-service' 'image: qwen-thinking-service:latest' 'containerPort: 8000' 'nvidia.com/gpu: 1' 'memory: 8Gi' 'memory: 16Gi' \
  'cpu: "4"' 'cpu: "8"'; do
  grep -q -- "$line" k8s-deployment.yaml || fail "the guide's '$line' is not in k8s-deployment.yaml"
done

number() { sed -n "s/.*$1[^0-9]*\([0-9]*\).*/\1/p" k8s/base/deployment.yaml | tail -n 1; }
grace=$(number 'terminationGracePeriodSeconds:')
sleep=$(number '"sleep", ')
drain=$(grep -A1 'name: DRAIN_TIMEOUT' k8s/base/deployment.yaml | tr -dc 0-9)
announce=$(sed -n 's/.*seconds drain_grace{\([0-9]*\)}.*/\1/p' src/server/service_config.h)
[ "$grace" -gt $((sleep + announce + drain + 5)) ] ||
  fail "terminationGracePeriodSeconds $grace, but preStop $sleep + DRAIN_GRACE $announce + DRAIN_TIMEOUT $drain"
startup=$(sed -n '/startupProbe/,/livenessProbe/p' k8s/base/deployment.yaml | awk '/periodSeconds/ {p = $2} /failureThreshold/ {f = $2} END {print p * f}')
[ "$startup" -eq 600 ] || fail "a start has $startup s, not ten minutes"
[ "$(number 'progressDeadlineSeconds:')" -gt "$startup" ] || fail "progressDeadlineSeconds ends a start before its probe does"

validate=${KUBERNETES_VALIDATE:-$(command -v kubernetes-validate || true)}
if [ -n "$validate" ]; then
  "$validate" --strict --quiet "$work/gpu.yaml" "$work/cpu.yaml" k8s/autoscaling/hpa.yaml
else
  echo "SKIP: schemas (pip install kubernetes-validate)"
fi
