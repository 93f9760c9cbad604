# shellcheck shell=bash
# What the scripts of this folder share: where things are, talking to the service, reading the logs. Sourced, never run.
# Where configs/ lies beside scripts/, as in the repository and in the container, everything lies there; else it is the
# package's: /etc/qwen-thinking, /var/lib/qwen-thinking, /var/log/qwen-thinking.
# shellcheck disable=SC2034  # variables are for who sources it

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
script=$(basename "$0" .sh)
home=${QWEN_HOME:-$(dirname "$scripts")}
if [ -d "$home/configs" ]; then
  configs=$home/configs models=$home/models logs=$home/logs backups=$home/backups
else
  configs=/etc/qwen-thinking models=/var/lib/qwen-thinking/models logs=/var/log/qwen-thinking backups=/var/backups/qwen-thinking
fi
# setting NAME: what the environment says of it, else the service's file of variables; empty where nobody does.
setting() {
  local value=${!1:-} file
  for file in "$home/.env" "$configs/qwen-thinking.env"; do
    if [ -z "$value" ] && [ -r "$file" ]; then value=$(sed -n "s/^$1=//p" "$file" | tail -n 1); fi
  done
  value=${value#[\"\']}
  printf '%s' "${value%[\"\']}"
}
port=$(setting PORT) && port=${port%%[!0-9]*}
# What stands under `server:` in the service's file; a variable goes before it, as it does for the service.
if [ -z "$port" ] && [ -r "$configs/service_config.yaml" ]; then
  port=$(sed -n '/^server:/,/^[^ #]/s/^ *port: *["'"'"']\{0,1\}\([0-9][0-9]*\).*/\1/p' "$configs/service_config.yaml" | head -n 1)
fi
scheme=http
if [ -n "$(setting SSL_CERTFILE)$(setting SSL_CONFIG)" ] || grep -qsE '^(ssl_config|SSL_CONFIG):' "$configs/service_config.yaml"; then scheme=https; fi
url=${QWEN_URL:-$scheme://127.0.0.1:${port:-8000}}
api_key_file=
dry_run=false

say() { printf '%s\n' "$*"; }
note() { printf '%s: %s\n' "$script" "$*" >&2; }
# die STATUS MESSAGE…: 1 failed, 2 usage, 66 missing file, 73 cannot create.
die() { note "${@:2}" && exit "$1"; }
need() { command -v "$1" >/dev/null || die 1 "the program $1 is not here; install it"; }

# The comment at the head of a script is its help.
show_help() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"; exit 0; }

# Options that several scripts take; true where `$1` was one, and `shifted` says how many words it took.
common_option() {
  shifted=2
  case $1 in
    -h | --help) show_help ;;
    --dry-run) dry_run=true shifted=1 ;;
    --url) url=${2:?} && url=${url%/} ;;
    --api-key-file) api_key_file=${2:?} && { [ -r "$2" ] || die 66 "$2 cannot be read (--api-key-file)"; } ;;
    --logs) logs=${2:?} ;;
    --models) models=${2:?} ;;
    --configs) configs=${2:?} ;;
    *) return 1 ;;
  esac
}

# Whether a command needs its second word: parse() asks before common_option reads it.
has_value() {
  [ $# -lt 2 ] || return 0
  case $1,$(show_help) in
    -*,*[[:space:]]"$1 "[A-Z]*) die 2 "$1 needs a value (see $script.sh --help)" ;;
    *) die 2 "unknown option $1 (see $script.sh --help)" ;;
  esac
}

is_number() { [[ $1 =~ ^[0-9]+$ ]] || die 2 "$2 is $1 but must be a whole number"; }

# fetch PATH [curl's options…]: the answer's body; fails without one, or on an HTTP error. The key (QWEN_API_KEY or
# --api-key-file) never stands on a command line. On loopback nobody else answers, and no certificate has that name.
fetch() {
  local key
  key=$(api_key)
  key=${key//\\/\\\\}
  key=${key//\"/\\\"}
  curl -q --config <(
    if [ -n "$key" ]; then printf 'header = "Authorization: Bearer %s"\n' "$key"; fi
    if [[ $url =~ ^https://(127\.|localhost[:/]|localhost$|\[::1\]) ]]; then printf 'insecure\n'; fi
  ) --noproxy "${NO_PROXY:-*}" -fsS --max-time "${FETCH_TIMEOUT:-20}" "${@:2}" "$url$1"
}

# The first line of the key; empty where there is none.
api_key() {
  local key=${QWEN_API_KEY:-}
  [ -z "$api_key_file" ] || key=$(head -n 1 -- "$api_key_file")
  printf '%s' "${key%%[$'\r\n']*}"
}

# refusal ANSWER: why fetch came back without one, in words; empty where no key is the reason.
refusal() {
  case $1 in
    *" 401") if [ -n "$(api_key)" ]; then printf '401: the key is refused'; else printf '401: the service asks for a key: --api-key-file'; fi ;;
    *" 403") printf '403: the key may not do this (its scopes)' ;;
  esac
}

# json_number KEY: the first number of that name in the JSON on standard input; nothing where there is none.
json_number() { grep -oE "\"$1\":-?[0-9.]+" | head -n 1 | cut -d: -f2 || true; }

# The files of a log, oldest first: NAME.log, what rotation has made of it (NAME.log.1, logrotate's NAME.log-20261123), and what weekly_maintenance.sh has put
# into archive/.
log_files() {
  { find "$logs" "$logs/archive" -maxdepth 1 -type f \( -name "$1.log" -o -name "$1.log.[0-9]*" -o -name "$1.log-[0-9]*" -o -name "$1-*.log.gz" \) \
    -printf '%T@ %p\n' 2>/dev/null || true; } | sort -n | cut -d' ' -f2-
}

# read_log NAME: all its lines, compressed files among them.
read_log() {
  local file
  log_files "$1" | while IFS= read -r file; do
    case $file in
      *.gz) gzip -dc -- "$file" ;;
      *) cat -- "$file" ;;
    esac
  done
}

# Lines of requests: access.log, or the service log where that holds them.
read_requests() {
  if [ -n "$(log_files access)" ]; then read_log access; else read_log service | grep -F response_time || true; fi
}

# Lines of ERROR, of the log that holds them; error.log holds no others.
read_errors() { if [ -n "$(log_files error)" ]; then read_log error; else read_log service | grep -E ' ERROR |"ERROR"' || true; fi; }

# How the service gets to write the logs that a script looks for.
no_logs() { printf 'no access.log in %s: LOG_FILE=%s/service.log has the service write it, --logs names another folder' "$logs" "$logs"; }

# The sum of a metric over its labels, of the service's metrics on standard input; nothing where there is none.
metric_sum() { awk -v name="$1" '$1 == name || index($1, name "{") == 1 {sum += $NF; found = 1} END {if (found) printf "%.0f", sum}'; }

# human BYTES
human() { numfmt --to=iec --suffix=B -- "${1:-0}"; }
bytes_of() { du -sb -- "$1" 2>/dev/null | cut -f1 || true; }
