#!/usr/bin/env bash
# Runs each fuzzer (preset `fuzz`, built first unless FUZZ_BUILD=no) for some time from its seeds and from what it found interesting before,
# and prints a table. Inputs that crash, hang (a minute), are slow (1 s) or take too much memory land in build-fuzz/findings/<harness>/; once the
# product is mended they belong in corpus/<harness>/found-<what>. Exit status 1 where there is any.
# Usage: tests/fuzz/run.sh [seconds] [harness…]      FUZZ_JOBS: how many at a time (default: all cores)
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-600}
[ $# -gt 0 ] && shift
harnesses=("$@")
if [ ${#harnesses[@]} -eq 0 ]; then
  for file in tests/fuzz/*_fuzz.cpp; do harnesses+=("$(basename "$file" _fuzz.cpp)"); done
fi
if [ "${FUZZ_BUILD:-yes}" = yes ]; then
  cmake --preset fuzz >/dev/null
  cmake --build build-fuzz -j "$(nproc)" --target "${harnesses[@]/#/fuzz_}" | tail -1
fi

scratch=$(mktemp -d -p "$([ -d /dev/shm ] && echo /dev/shm || echo /tmp)")
trap 'rm -rf "$scratch"' EXIT

run_one() {  # harness seconds scratch
  local kept=build-fuzz/corpus/$1 findings=build-fuzz/findings/$1 log=build-fuzz/fuzz_$1.log length=4096 dictionary=()
  mkdir -p "$kept" "$findings"
  [ "$1" = tokenizer_json ] && length=12000
  [ -f "tests/fuzz/$1.dict" ] && dictionary=("-dict=tests/fuzz/$1.dict")
  TIMEFORMAT='stat::processor_seconds: %0U'
  { time TEST_TMPDIR=$3 UBSAN_OPTIONS=print_stacktrace=1 nice -n 19 build-fuzz/tests/fuzz/fuzz_"$1" -max_total_time="$2" -timeout=60 \
    -report_slow_units=1 -rss_limit_mb=512 -malloc_limit_mb=128 -max_len=$length "${dictionary[@]}" -artifact_prefix="$findings/" \
    -print_final_stats=1 "$kept" "tests/fuzz/corpus/$1"; } >"$log" 2>&1 || true
  # The clock on the wall also counts what other processes took: a finding is what takes a second of processor time.
  TIMEFORMAT=%0U
  local input spent
  for input in "$findings"/slow-unit-* "$findings"/timeout-*; do
    [ -f "$input" ] || continue
    spent=$({ time TEST_TMPDIR=$3 timeout 60 build-fuzz/tests/fuzz/fuzz_"$1" "$input" >/dev/null 2>&1; } 2>&1)
    [ "$spent" -ge 1 ] || rm "$input"
  done
  return 0
}
export -f run_one

touch "$scratch/started"
printf '%s\n' "${harnesses[@]}" | xargs -P "${FUZZ_JOBS:-$(nproc)}" -I{} bash -c 'run_one "$@"' run_one {} "$seconds" "$scratch"

failed=0
printf '%-16s %12s %8s %8s %8s %8s\n' harness executions cpu_s coverage peak_MB findings
for harness in "${harnesses[@]}"; do
  log=build-fuzz/fuzz_$harness.log
  stat() { awk -v name="stat::$1:" '$1 == name {print $2}' "$log"; }
  found=$(find "build-fuzz/findings/$harness" -type f -newer "$scratch/started" | wc -l)
  runs=$(stat number_of_executed_units)
  printf '%-16s %12s %8s %8s %8s %8s\n' "$harness" "${runs:-?}" "$(stat processor_seconds)" \
    "$(grep -ao 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2)" "$(stat peak_rss_mb)" "$found"
  if [ "$found" -gt 0 ] || [ "${runs:-0}" -eq 0 ]; then failed=1; fi
done
exit $failed
