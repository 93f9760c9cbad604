#!/usr/bin/env bash
# testssl's sections on protocols, ciphers, forward secrecy, server defaults and vulnerabilities against the live service, with a certificate
# of an authority of its own: nothing above INFO may be found. Exit 77 where testssl, openssl or the binary is absent.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=${QWEN_BINARY:-$PWD/build/qwen-thinking}
for tool in testssl openssl python3; do command -v $tool >/dev/null || { echo "SKIP: $tool is absent"; exit 77; }; done
[ -x "$binary" ] || { echo "SKIP: $binary is absent"; exit 77; }

folder=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT
PYTHONPATH=tests/e2e python3 -B -c '
import sys, certificates
authority = certificates.Authority(sys.argv[1])
authority.issue("ec")
authority.issue("rsa", kind="rsa")' "$folder"

scan() {  # kind of key
  env -i PATH="$PATH" CONFIG_FILES=none "$binary" serve --model models/demo --host 127.0.0.1 --port 0 --threads 1 \
    --ssl-certfile "$folder/$1.pem" --ssl-keyfile "$folder/$1.key" >"$folder/out" 2>"$folder/log" &
  server=$!
  for _ in $(seq 200); do grep -q '^listening' "$folder/out" && break; sleep 0.05; done
  address=$(sed -n 's|^listening on https://||p' "$folder/out")
  rm -f "$folder/found.json"
  testssl --quiet --color 0 --warnings off --add-ca "$folder/ca.pem" -p -s -f -P -U \
    --jsonfile "$folder/found.json" "https://$address" >"$folder/report" 2>&1 || true  # its status counts findings
  kill "$server" && wait "$server" || true
  server=
  [ -s "$folder/found.json" ] || { echo "FAIL: testssl said"; head -n 5 "$folder/report"; exit 1; }
  python3 - "$folder/found.json" "$1" <<'PYTHON'
import json
import sys

findings = json.load(open(sys.argv[1], encoding="utf-8"))
seen = {finding["id"] for finding in findings}
bad = [f"{finding['id']}: {finding['severity']}: {finding['finding']}" for finding in findings if finding["severity"] not in ("OK", "INFO", "DEBUG")]
missing = {"TLS1_2", "TLS1_3", "PFS", "heartbleed", "ROBOT", "secure_renego", "CRIME_TLS", "SWEET32", "LUCKY13"} - seen
missing -= {"PFS"} if "FS" in seen else set()  # its name from testssl 3.2 on
print(f"testssl, {sys.argv[2]} key: {len(findings)} findings")
if bad or missing:
    print("\n".join(["FAIL"] + bad + [f"not looked at: {name}" for name in sorted(missing)]))
    sys.exit(1)
PYTHON
}

scan ec
scan rsa
