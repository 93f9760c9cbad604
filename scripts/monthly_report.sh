#!/usr/bin/env bash
# Writes the report of a month as Markdown: requests, success, latency, tokens, routes, errors, growth, with a plot of every day (a PNG by
# gnuplot; as text where that is not installed). From access.log and error.log with all that rotation and weekly_maintenance.sh keep of
# them, and from the service's metrics where it runs.
#
# Usage: scripts/monthly_report.sh [options]
#   --month YYYY-MM       default: the last one; this one, so far, where the logs hold nothing of the last
#   --output DIR          default: reports/ in the folder of the logs
#   --logs DIR            folder of access.log
#   --url URL             the service; default $QWEN_URL, else
#                         http://127.0.0.1:$PORT (8000), https where the settings have a certificate (not checked on loopback)
#   --api-key-file FILE   its key, where it asks for one; or $QWEN_API_KEY
#   --prometheus URL      also asks Prometheus, for the whole month
#   --stdout              prints the report, with a text plot, and writes no file
#   --models DIR, --backups DIR      whose sizes are told
#   --dry-run             prints what would be done
# Exit status: 0 done, 1 failed, 2 usage, 66 no access.log, 73 the report cannot be written.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
export LC_ALL=C

month='' output='' prometheus='' to_stdout=false
while [ $# -gt 0 ]; do
  case $1 in --stdout | --dry-run | -h | --help) ;; *) has_value "$@" ;; esac
  if common_option "$@"; then shift "$shifted"; continue; fi
  case $1 in
    --stdout) to_stdout=true ;;
    --month) month=$2 && shift ;;
    --output) output=$2 && shift ;;
    --prometheus) prometheus=${2%/} && shift ;;
    --backups) backups=$2 && shift ;;
    *) die 2 "unknown option $1 (see $script.sh --help)" ;;
  esac
  shift
done
[[ -z $month || $month =~ ^[0-9]{4}-(0[1-9]|1[0-2])$ ]] || die 2 "--month is $month but must be YYYY-MM"
output=${output:-$logs/reports}
if [ ! -d "$logs" ] || [ -z "$(log_files access)$(log_files service)" ]; then die 66 "$(no_logs)"; fi
chosen=${month:-$(date -d "$(date +%Y-%m-15) -1 month" +%Y-%m)}
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT TERM

sum_up() { read_requests | awk -v month="$1" -f "$scripts/access_log.awk" | sort >"$work/summary"; }
sum_up "$chosen"
if [ -z "$month" ] && ! grep -q "^MONTH	$chosen" "$work/summary" && grep -q "^MONTH	$(date +%Y-%m)" "$work/summary"; then
  chosen=$(date +%Y-%m)
  sum_up "$chosen"
fi
if $dry_run; then
  say "would read $(log_files access | wc -l) access logs of $logs for $chosen and write $output/report-$chosen.md and .png"
  exit 0
fi
unread=$(awk -F '\t' '$1 == "UNREAD" {print $2}' "$work/summary")
[ -z "$unread" ] || note "$unread lines have no time or status that can be read and are not counted: LOG_FORMAT needs %(asctime)s"
before=$(date -d "$chosen-15 -1 month" +%Y-%m)
grep '^DAY' "$work/summary" | cut -f2- >"$work/days" || true

summary() {  # what awk makes of the records
  awk -F '\t' -v month="$chosen" -v before="$before" '
    function share(part, all) { return all > 0 ? sprintf("%.2f %%", 100 * part / all) : "-" }
    function growth(now, then) { return then > 0 ? sprintf("%+.1f %%", 100 * (now - then) / then) : "-" }
    $1 == "MONTH" {requests[$2] = $3; tokens[$2] = $4}
    $1 == "LATENCY" {split($0, latency)}
    $1 == "TOTAL" {split($0, total)}
    $1 == "CACHE" {split($0, cache)}
    END {
      n = total[2]
      print "| | " month " | " before " | growth |\n|---|---|---|---|"
      printf "| requests | %d | %d | %s |\n", n, requests[before], growth(n, requests[before])
      printf "| tokens (prompts and answers) | %d | %d | %s |\n\n", tokens[month], tokens[before], growth(tokens[month], tokens[before])
      print "| | |\n|---|---|"
      printf "| success (2xx, 3xx) | %d (%s) |\n| client errors (4xx) | %d (%s) |\n| server errors (5xx) | %d (%s) |\n| given up by clients (499) | %d (%s) |\n",
        total[3], share(total[3], n), total[4], share(total[4], n), total[5], share(total[5], n), total[6], share(total[6], n)
      printf "| latency, s | mean %.3f, 50 %% within %.3f, 90 %% %.3f, 95 %% %.3f, 99 %% %.3f, longest %.3f |\n", (n > 0 ? total[10] / n : 0),
        latency[2], latency[3], latency[4], latency[5], latency[6]
      printf "| prompt tokens | %d |\n| answered tokens | %d |\n| answered from the response cache | %d (%s) |\n| tokens from it, not counted above | %d |\n| sent | %.1f MB |\n| probes and scrapes, not counted above | %d |\n", total[8], total[9], cache[2], share(cache[2], n), cache[3],
        total[7] / 1e6, total[11]
    }' "$work/summary"
}

routes() {
  say "| route | requests | 4xx | 5xx | 50 % within, s | 95 % within, s |"
  say "|---|---|---|---|---|---|"
  grep '^ROUTE' "$work/summary" | sort -t "$(printf '\t')" -k4,4nr | head -n 20 |
    awk -F '\t' '{printf "| %s %s | %d | %d | %d | %.3f | %.3f |\n", $2, $3, $4, $5, $6, $7, $8}' || true
}

errors() {
  if ! grep -q '^ERROR' "$work/summary"; then say "No request ended with an error."; return; fi
  say "| status | code | requests |"
  say "|---|---|---|"
  grep '^ERROR' "$work/summary" | sort -t "$(printf '\t')" -k4,4nr | head -n 10 | awk -F '\t' '{printf "| %s | %s | %d |\n", $2, $3, $4}'
}

error_lines() {  # the same message with other numbers is the same message
  read_errors | grep -F "$chosen-" | sed -E 's/^.* ERROR - //; s/^.*"msg":"//; s/[0-9]+/N/g; s/`//g' | cut -c1-160 | sort | uniq -c | sort -nr | head -n 5 |
    awk '{n = $1; sub(/^ *[0-9]+ /, ""); printf "- %d × `%s`\n", n, $0}' || true
}

# The most requests of a day are 50 signs wide.
text_plot() {
  say '```'
  awk -F '\t' '{day[NR] = $1; n[NR] = $2; bad[NR] = $3; p95[NR] = $4; if ($2 > most) most = $2}
    END {
      for (i = 1; i <= NR; i++) {
        bar = ""
        for (j = 0; j < 50 * n[i] / most; j++) bar = bar "#"
        printf "%s %8d %-50s 5xx %d, 95 %% within %.3f s\n", day[i], n[i], bar, bad[i], p95[i]
      }
    }' "$work/days"
  say '```'
}

png_plot() {
  gnuplot <<PLOT
set terminal png size 1100,420
set output "$work/plot.png"
set title "qwen-thinking, $chosen"
set xdata time
set timefmt "%Y-%m-%d"
set format x "%d"
set xrange ["$(date -d "$chosen-01 -1 day" +%Y-%m-%d)":"$(date -d "$chosen-01 +1 month" +%Y-%m-%d)"]
set key below
set xlabel "day"
set ylabel "requests"
set y2label "95 % within, s"
set yrange [0:*]
set y2range [0:*]
set ytics nomirror
set y2tics
set style fill solid 0.6
set boxwidth 60000
set datafile separator "\t"
plot "$work/days" using 1:2 with boxes lc rgb "#7aa6d8" title "requests", "" using 1:3 with boxes lc rgb "#c0392b" title "5xx", \
  "" using 1:4 axes x1y2 with linespoints lc rgb "#333333" title "95 % within, s"
PLOT
}

metric() { metric_sum "$1" <"$work/metrics"; }

service_now() {
  local started why
  if ! fetch /metrics >"$work/metrics" 2>"$work/refused"; then
    why=$(refusal "$(cat "$work/refused")")
    say "$url does not answer with its metrics${why:+: $why}."
    [ -z "$why" ] || note "$url/metrics: $why"
    return
  fi
  started=$(metric process_start_time_seconds)
  say "| since the start at $(date -d "@${started:-0}" '+%Y-%m-%d %H:%M') | |"
  say "|---|---|"
  say "| requests | $(metric http_requests_total) |"
  say "| prompt, answered, thought tokens | $(metric qwen_prompt_tokens_total), $(metric qwen_generated_tokens_total), $(metric qwen_thinking_tokens_total) |"
  say "| preemptions, errors of the engine | $(metric qwen_preemptions_total), $(metric qwen_engine_errors_total) |"
  say "| memory of the process | $(human "$(metric process_resident_memory_bytes)") |"
}

ask_prometheus() {  # EXPRESSION at the end of the month
  local end
  end=$(date -d "$chosen-01 +1 month" +%s)
  curl -q -fsS --max-time 60 --get --data-urlencode "query=$1" --data-urlencode "time=$((end < $(date +%s) ? end : $(date +%s)))" \
    "$prometheus/api/v1/query" | grep -oE '"value":\[[^]]*\]' | head -n 1 | grep -oE '"[0-9.e+]+"' | tr -d '"' || true
}

month_by_prometheus() {
  local days
  days=$(($(date -d "$chosen-01 +1 month -1 day" +%-d)))
  say "| Prometheus, ${days} days | |"
  say "|---|---|"
  say "| requests | $(ask_prometheus "sum(increase(http_requests_total[${days}d]))") |"
  say "| answered tokens | $(ask_prometheus "sum(increase(qwen_generated_tokens_total[${days}d]))") |"
  say "| 95 % of first tokens within, s | $(ask_prometheus "histogram_quantile(0.95, sum by (le) (rate(qwen_time_to_first_token_seconds_bucket[${days}d])))") |"
  say "| share of the time up | $(ask_prometheus "avg(avg_over_time(up{job=~\".*qwen.*\"}[${days}d]))") |"
}

sizes() {
  say "| folder | size |"
  say "|---|---|"
  local folder
  for folder in "$models" "$logs" "$backups"; do
    if [ -d "$folder" ]; then say "| $folder | $(human "$(bytes_of "$folder")") of a disk $(df -P -- "$folder" | awk 'NR == 2 {print $5}') used |"; fi
  done
}

plotted=false
if ! $to_stdout && [ -s "$work/days" ] && command -v gnuplot >/dev/null && png_plot 2>"$work/gnuplot" && [ -s "$work/plot.png" ]; then plotted=true; fi

report() {
  say "# qwen-thinking, $chosen"
  say
  say "Written $(date '+%Y-%m-%d %H:%M %Z') from $logs."
  say
  say "## Requests"
  say
  summary
  say
  if $plotted; then say "![Requests and latency by day](report-$chosen.png)"; elif [ -s "$work/days" ]; then text_plot; fi
  say
  say "## Routes"
  say
  routes
  say
  say "## Errors"
  say
  errors
  say
  error_lines
  say
  say "## The service now"
  say
  service_now
  say
  if [ -n "$prometheus" ]; then month_by_prometheus && say; fi
  say "## Disk"
  say
  sizes
}

report >"$work/report.md"
if $to_stdout; then cat "$work/report.md"; exit 0; fi
mkdir -p -- "$output" 2>/dev/null || die 73 "$output cannot be made (--output)"
for end in png md; do
  source=$work/report.md
  if [ $end = png ]; then
    $plotted || continue
    source=$work/plot.png
  fi
  cp -- "$source" "$output/.report-$chosen.$end.partial" 2>/dev/null || die 73 "$output cannot be written (--output)"
  mv -- "$output/.report-$chosen.$end.partial" "$output/report-$chosen.$end"
  say "$output/report-$chosen.$end"
done
if [ ! -s "$work/days" ]; then
  note "no data of $chosen in $logs"
elif ! $plotted; then
  if command -v gnuplot >/dev/null; then note "gnuplot failed: the plot is text"; else note "gnuplot is not here: the plot is text"; fi
fi
