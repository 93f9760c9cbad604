#!/usr/bin/env bash
# Shell scripts and YAML of the repository. Exit 77 where shellcheck or yamllint is absent.
set -euo pipefail
cd "$(dirname "$0")/../.."
for tool in shellcheck yamllint; do command -v $tool >/dev/null || { echo "SKIP: $tool is absent"; exit 77; }; done
git ls-files -- 'scripts/*.sh' 'tests/*.sh' 'tests/ops/*.sh' 'packaging/*.sh' packaging/portable/qwen-thinking packaging/debian/qwen-thinking.postrm | xargs shellcheck -x --severity=warning
git ls-files -- '*.yml' '*.yaml' ':!k8s-deployment.yaml' |
  xargs yamllint --strict -d '{extends: default, rules: {line-length: {max: 200}, document-start: disable,
    comments-indentation: disable}}'  # keys that are commented out stand where they would
