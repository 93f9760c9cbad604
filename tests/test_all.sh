#!/usr/bin/env bash
# Everything that `make test` leaves out, in the order of cheapest first: sanitizers, the official clients, the page in a browser, all
# held-out problems, a full-size model, what stands around the service (tests/ops), a machine without any of the dependencies. Each part
# says PASS, SKIP with the reason, or FAIL; exit status 1 if any failed.
# Usage: tests/test_all.sh [part…]      parts: asan tsan pypi browser load slow fullsize fuzz ops fresh
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
jobs=$(nproc)
failed=0
work=${TEST_ALL_DIR:-$(mktemp -d)}

report() { printf '== %s: %s\n' "$1" "$2"; [[ $2 == FAIL* ]] && failed=1; return 0; }
verdict() { if "${@:2}"; then report "$1" PASS; else report "$1" FAIL; fi; }

sanitizer() {  # the whole unit suite under one preset, and hostile clients and crowds against the real binary
  cmake --preset "$1" >/dev/null && cmake --build --preset "$1" -j "$jobs" && ctest --preset "$1" -L unit -j "$jobs" &&
    ctest --preset "$1" -R 'e2e\.test_(bad_requests|bad_framing|connections)'
}

pypi() {
  local venv=$work/venv
  if ! python3 -m venv "$venv" >/dev/null 2>&1 || ! "$venv/bin/pip" install -q openai kubernetes-validate schemathesis openapi-spec-validator >/dev/null 2>&1; then
    report pypi "SKIP (PyPI or python3-venv is not at hand)"
    return
  fi
  QWEN_PYPI_PYTHON=$venv/bin/python verdict pypi ctest --test-dir build --output-on-failure -L pypi
  KUBERNETES_VALIDATE=$venv/bin/kubernetes-validate verdict "pypi (kubernetes-validate)" tests/ops/run.sh kubernetes
}

browser() {  # the page at / in Debian's Chromium
  if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null || ! /usr/bin/python3 -c 'import selenium' 2>/dev/null; then
    report browser "SKIP (apt-get install chromium chromium-driver python3-selenium)"
    return
  fi
  verdict browser ctest --test-dir build --output-on-failure -L browser
}

fullsize() {  # decode and prefill of a made-up 4B beside the machine's ceilings
  local model=${QWEN_SYNTHETIC_4B:-$work/qwen3-4b}
  if [ "$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)" -lt 13 ]; then
    report fullsize "SKIP (needs 13 GiB of free memory)"
    return
  fi
  if [ ! -f "$model/config.json" ]; then
    [ "$(df -Pk "$work" | awk 'NR == 2 {print int($4 / 1048576)}')" -ge 10 ] || { report fullsize "SKIP (needs 10 GB of disk)"; return; }
    make -s synthetic MODEL=qwen3-4b OUT="$model" || { report fullsize FAIL; return; }
  fi
  verdict fullsize python3 tests/e2e/full_size.py --binary build/qwen-thinking --model "$model"
}

fuzz() {  # FUZZ_SECONDS for each harness
  if ! command -v clang++-14 >/dev/null || [ -z "$(find /usr/lib/llvm-14 -name 'libclang_rt.fuzzer-*.a' 2>/dev/null)" ]; then
    report fuzz "SKIP (needs the packages clang-14 and libclang-rt-14-dev)"
    return
  fi
  verdict fuzz tests/fuzz/run.sh "${FUZZ_SECONDS:-600}"
}

fresh() {  # `make run` on a system that has nothing but make
  if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
    report fresh "SKIP (needs root and debootstrap)"
    return
  fi
  verdict fresh tests/fresh_machine.sh "${QWEN_FRESH_ROOT:-$work/root}"
}

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(asan tsan pypi browser load slow fullsize fuzz ops fresh)
for part in "${parts[@]}"; do
  case $part in
    asan | tsan) verdict "$part" sanitizer "$part" ;;
    pypi | browser | fullsize | fuzz | fresh) "$part" ;;
    ops) verdict ops tests/ops/run.sh ;;
    load | slow) verdict "$part" ctest --test-dir build --output-on-failure -L "$part" ;;
    *) echo "unknown part: $part" >&2; exit 2 ;;
  esac
done
exit $failed
