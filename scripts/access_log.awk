# Sums up request lines of access.log, in the guide's format or as JSON, in one pass. Any awk runs it.
# -v month=YYYY-MM: what is told in detail (every month gets its MONTH record). -v since="YYYY-MM-DD HH:MM:SS": only later
# lines, and -v since_utc= the same moment for JSON, whose times are UTC.
# Writes records of words separated by tabs:
#   MONTH month requests tokens
#   TOTAL requests ok 4xx 5xx ended(499) bytes prompt_tokens completion_tokens seconds probes
#   LATENCY p50 p90 p95 p99 max        seconds; percentiles to 1 %
#   DAY date requests 5xx p95 tokens
#   CACHE answered_from_it tokens     requests whose answers the response cache had; their tokens are in no other record
#   ROUTE method path requests 4xx 5xx p50 p95
#   ERROR status code count
#   UNREAD lines                       requests without a time or status that can be read; with since only those after what is older
# Probes and scrapes (/health, /livez, /readyz, /metrics) are counted apart, as in http_requests_total.

# The value of a member of a JSON object, or "".
function member(key,    at, rest) {
  at = index($0, "\"" key "\":")
  if (at == 0) return ""
  rest = substr($0, at + length(key) + 3)
  sub(/^ */, "", rest)
  if (substr(rest, 1, 1) == "\"") {
    rest = substr(rest, 2)
    return substr(rest, 1, index(rest, "\"") - 1)
  }
  match(rest, /^[-+.0-9a-zA-Z]*/)
  return substr(rest, 1, RLENGTH)
}

function read_json(    stamp) {
  stamp = member("ts")
  date = substr(stamp, 1, 10)
  clock = substr(stamp, 12, 8)
  method = member("method")
  path = member("route")
  status = member("status")
  code = member("code")
  seconds = member("response_time")
  bytes = member("bytes")
  prompt = member("prompt_tokens")
  completion = member("completion_tokens")
  cache = member("cache")
  cached = member("cache_tokens")
}

# "… GET /health status 200 id … client … bytes 12 response_time 0.001": names before values, the last is the time.
function read_words(    i) {
  date = $1
  clock = substr($2, 1, 8)
  if (date !~ /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]$/) {  # another format string: the first date in the line
    if (!match($0, /[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][ T][0-9][0-9]:[0-9][0-9]:[0-9][0-9]/)) { date = ""; return }
    date = substr($0, RSTART, 10)
    clock = substr($0, RSTART + 11, 8)
  }
  status = code = method = path = cache = ""
  seconds = bytes = prompt = completion = cached = 0
  for (i = 3; i < NF; i++) {
    if (status == "") {
      if ($i != "status") continue
      status = $(i + 1)
      path = $(i - 1)
      method = $(i - 2)
      if ($(i + 2) != "id") code = $(i + 2)
      i++
    } else if ($i == "id" || $i == "client" || $i == "key") {  # clients choose ids: one may be called "bytes"
      i++
    } else if ($i == "bytes") {
      bytes = $(++i)
    } else if ($i == "prompt_tokens") {
      prompt = $(++i)
    } else if ($i == "completion_tokens") {
      completion = $(++i)
    } else if ($i == "cache") {
      cache = $(++i)
    } else if ($i == "cache_tokens") {
      cached = $(++i)
    } else if ($i == "response_time") {
      seconds = $(++i)
    }
  }
}

# Powers of 1.02: a percentile is told to 1 %.
function bucket(value) { return value <= 0.00001 ? -600 : int(log(value) * 50 + 1000) - 1000 }

function percentile(kind, key, total, share,    b, seen, want) {
  want = total * share
  for (b = -600; b <= 700; b++) {
    if ((kind, key, b) in count) seen += count[kind, key, b]
    if (seen > 0 && seen >= want) return b == -600 ? 0 : exp((b + 0.5) / 50)
  }
  return 0
}

{
  if (index($0, "response_time") == 0) next
  json = substr($0, 1, 1) == "{"
  if (json) read_json()
  else read_words()
  if (date == "" || status == "") { unread++; next }
  if (since != "" && date " " clock < (json ? since_utc : since)) { unread = 0; next }
  this_month = substr(date, 1, 7)
  if (path == "/health" || path == "/livez" || path == "/readyz" || path == "/metrics") {
    if (month == "" || this_month == month) probes++
    next
  }
  tokens = prompt + completion
  month_requests[this_month]++
  month_tokens[this_month] += tokens
  if (month != "" && this_month != month) next
  requests++
  status += 0
  if (status == 499) { ended++ }
  else if (status >= 500) { server++; day_server[date]++; route_server[method "\t" path]++ }
  else if (status >= 400) { client++; route_client[method "\t" path]++ }
  else { ok++ }
  if (status >= 400) errors[status "\t" (code == "" ? "-" : code)]++
  all_bytes += bytes
  all_prompt += prompt
  all_completion += completion
  if (cache == "hit" || cache == "joined") from_cache++
  all_cached += cached
  all_seconds += seconds
  if (seconds > longest) longest = seconds + 0
  b = bucket(seconds + 0)
  route = method "\t" path
  count["all", "", b]++
  count["day", date, b]++
  count["route", route, b]++
  day_requests[date]++
  day_tokens[date] += tokens
  route_requests[route]++
}

END {
  OFS = "\t"
  for (m in month_requests) print "MONTH", m, month_requests[m], month_tokens[m] + 0
  print "TOTAL", requests + 0, ok + 0, client + 0, server + 0, ended + 0, all_bytes + 0, all_prompt + 0, all_completion + 0, all_seconds + 0, probes + 0
  print "CACHE", from_cache + 0, all_cached + 0
  printf "LATENCY\t%.4f\t%.4f\t%.4f\t%.4f\t%.4f\n", percentile("all", "", requests, 0.5), percentile("all", "", requests, 0.9),
    percentile("all", "", requests, 0.95), percentile("all", "", requests, 0.99), longest
  for (d in day_requests)
    printf "DAY\t%s\t%d\t%d\t%.4f\t%d\n", d, day_requests[d], day_server[d], percentile("day", d, day_requests[d], 0.95), day_tokens[d]
  for (r in route_requests)
    printf "ROUTE\t%s\t%d\t%d\t%d\t%.4f\t%.4f\n", r, route_requests[r], route_client[r], route_server[r],
      percentile("route", r, route_requests[r], 0.5), percentile("route", r, route_requests[r], 0.95)
  for (e in errors) print "ERROR", e, errors[e]
  if (unread > 0) print "UNREAD", unread
}
