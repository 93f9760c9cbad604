"""API keys as their holders and strangers meet them: every route without a key, wrong, revoked and other keys, rates, what is said and logged."""

import hashlib
import json
import pathlib
import re
import signal
import socket
import tempfile
import time
import unittest

import harness
from raw_http import RawClient

GENERATE = {"prompt": "1+1=", "max_length": 3, "seed": 1}
OPEN = {"/health", "/livez", "/readyz", "/", "/assets/*", "/favicon.ico", "/docs", "/openapi.json"}
KEYS = f"""api_keys:
  production: the-key-of-production
  hashed: sha256:{hashlib.sha256(b"the-key-that-is-hashed").hexdigest()}
  scraper: {{key: the-key-of-the-scraper, scopes: metrics}}
  writer: {{key: the-key-of-the-writer, scopes: generate}}
  boss: {{key: the-key-of-the-boss, scopes: admin}}
  slow: {{key: the-key-of-the-slow, requests_per_minute: 2}}
  small: {{key: the-key-of-the-small, tokens_per_minute: 20}}
"""


def routes():
    """(method, path, access) of every row of the service's route table."""
    text = (harness.SOURCE / "src/server/handlers/route_list.cpp").read_text(encoding="utf-8")
    found = re.findall(r'routes\.add\(\s*\{"(\w+)", "([^"]+)", Access::(\w+)', text)
    assert len(found) == text.count("routes.add("), "a row that this test cannot read"
    return found


class Keys(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.file = pathlib.Path(folder.name) / "keys.yaml"
        cls.write(KEYS)
        cls.service = harness.Service(harness.needs_demo(), "--config", cls.file, "--cors-origins", "https://chat.example", "--trusted-proxies", "127.0.0.1",
                                      key="the-key-of-production")
        cls.addClassCleanup(cls.service.close)

    @classmethod
    def write(cls, text):
        cls.file.write_text(text, encoding="utf-8")
        cls.file.chmod(0o600)

    def ask(self, method, path, key=None, body=None, **headers):
        if key:
            headers["Authorization"] = f"Bearer {key}"
        connection = self.service.connection(30)
        self.addCleanup(connection.close)
        payload = None if body is None else json.dumps(body).encode()
        connection.request(method, path, payload, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return harness.Answer(response, response.read())

    def log(self, words):
        end = time.monotonic() + 10 * harness.PATIENCE
        while not (found := [line for line in self.service.errors if words in line]) and time.monotonic() < end:
            time.sleep(0.02)
        return found

    def reload(self, text):
        before = len(self.log("SIGHUP")) if any("SIGHUP" in line for line in self.service.errors) else 0
        self.write(text)
        self.service.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10 * harness.PATIENCE
        while sum("SIGHUP" in line for line in self.service.errors) == before:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        time.sleep(0.1)

    def test_no_route_is_open_but_those_that_say_so(self):
        for method, path, access in routes():
            with self.subTest(path):
                answer = self.ask(method, path.replace("*", "x"), body={} if method == "POST" else None)
                if path in OPEN:
                    self.assertNotEqual(answer.status, 401)
                    continue
                self.assertEqual(answer.status, 401, access)
                self.assertEqual(answer.json()["error"]["type"], "authentication_error")
                self.assertEqual(answer.json()["error"]["code"], "invalid_api_key")
                self.assertIn("Bearer", answer.headers["WWW-Authenticate"])
        self.assertEqual({path for _, path, _ in routes() if path in OPEN}, OPEN)

    def test_tricks_with_the_path_open_nothing(self):
        for path in ("//generate", "/v1/../generate", "/%67enerate", "/generate/", "/Generate", "/generate;x", "/health/../generate", "/assets/../generate",
                     "/assets/%2e%2e/metrics", "/livez/generate", "/?/generate", "/generate?key=the-key-of-production"):
            with RawClient(self.service.port) as client:
                client.send(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1/health\r\nHost: health\r\nContent-Length: 2\r\n\r\n{{}}".encode())
                answer = client.answer()
                self.assertIn(answer.status, (400, 401, 404, 405), path)
            answer = self.ask("POST", path, body=GENERATE)
            self.assertIn(answer.status, (400, 401, 404, 405), path)

    def test_a_key_by_either_header(self):
        self.assertEqual(self.service.post("/generate", GENERATE).status, 200)
        self.assertEqual(self.ask("POST", "/generate", body=GENERATE, **{"X-API-Key": "the-key-of-production"}).status, 200)
        self.assertEqual(self.ask("POST", "/generate", "the-key-that-is-hashed", GENERATE).status, 200)
        for wrong in ("the-key-of-productio", "the-key-of-production2", "x" * 8000, "production"):
            self.assertEqual(self.ask("POST", "/generate", wrong, GENERATE).status, 401)

    def test_scopes(self):
        statuses = {key: [self.ask("GET", "/v1/models", f"the-key-of-the-{key}").status, self.ask("GET", "/metrics", f"the-key-of-the-{key}").status,
                          self.ask("GET", "/stats", f"the-key-of-the-{key}").status] for key in ("scraper", "writer", "boss")}
        self.assertEqual(statuses, {"scraper": [403, 200, 200], "writer": [200, 403, 403], "boss": [200, 200, 200]})
        refused = self.ask("POST", "/v1/chat/completions", "the-key-of-the-scraper", {"messages": []}).json()["error"]
        self.assertEqual((refused["type"], refused["code"]), ("permission_error", "insufficient_scope"))

    def test_a_wrong_key_costs_no_body(self):
        with RawClient(self.service.port) as client:
            client.send(b"POST /generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer no\r\nContent-Type: application/json\r\n"
                        b"Content-Length: 4000000\r\nExpect: 100-continue\r\n\r\n")
            answer = client.answer()
            self.assertEqual(answer.status, 401, "and no 100 before")
            self.assertEqual(answer.header("Connection"), "close")

    def test_rate_of_requests(self):
        first = self.ask("POST", "/generate", "the-key-of-the-slow", GENERATE)
        self.assertEqual((first.status, first.headers["x-ratelimit-limit-requests"], first.headers["x-ratelimit-remaining-requests"]), (200, "2", "1"))
        self.assertEqual(self.ask("POST", "/generate", "the-key-of-the-slow", {"prompt": 1}).status, 400, "counts, too")
        refused = self.ask("POST", "/generate", "the-key-of-the-slow", GENERATE)
        self.assertEqual((refused.status, refused.json()["error"]["type"], refused.json()["error"]["code"]), (429, "rate_limit_error", "rate_limit_exceeded"))
        self.assertIn(int(refused.headers["Retry-After"]), range(1, 61))
        self.assertGreater(int(refused.headers["retry-after-ms"]), 0)
        self.assertEqual(self.service.post("/generate", GENERATE).status, 200, "others are not asked to wait")

    def test_rate_of_tokens(self):
        answer = self.ask("POST", "/generate", "the-key-of-the-small", {"prompt": "什么是AES加密算法？", "max_length": 40})
        self.assertEqual((answer.status, answer.headers["x-ratelimit-limit-tokens"]), (200, "20"))
        used = sum(answer.json()["usage"][name] for name in ("prompt_tokens", "completion_tokens"))
        self.assertGreater(used, 20)
        refused = self.ask("POST", "/v1/chat/completions", "the-key-of-the-small", {"messages": [{"role": "user", "content": "hi"}]})
        self.assertEqual((refused.status, refused.headers["x-ratelimit-remaining-tokens"]), (429, "0"))

    def test_keys_come_and_go_without_a_restart(self):
        stream = self.service.stream("/generate", {"prompt": "什么是AES加密算法？", "stream": True, "max_length": 60})
        next(stream)
        try:
            self.reload(KEYS.replace("production: the-key-of-production", "production: another-key-of-production"))
            self.assertEqual(self.service.post("/generate", GENERATE).status, 401, "revoked")
            self.assertEqual(self.ask("POST", "/generate", "another-key-of-production", GENERATE).status, 200)
            self.assertEqual(list(stream)[-1], "[DONE]", "what was let in may end")
            self.reload("api_keys:\n  production: t wo\n")
            self.assertEqual(self.ask("POST", "/generate", "another-key-of-production", GENERATE).status, 200, "a wrong file changes nothing")
            self.assertTrue(self.log("stays as it is"))
            self.reload("api_keys:\n")
            self.assertEqual(self.ask("POST", "/generate", "another-key-of-production", GENERATE).status, 401)
            self.assertEqual(self.ask("POST", "/generate", None, GENERATE).status, 401, "an emptied file opens nothing")
        finally:
            self.reload(KEYS)
        self.assertEqual(self.service.post("/generate", GENERATE).status, 200)

    def test_the_log_names_keys_and_says_none(self):
        self.assertEqual(self.ask("POST", "/tokenize", "the-key-of-the-writer", {"prompt": "x"}).status, 200)
        self.assertTrue(self.log(" key writer "))
        self.ask("POST", "/tokenize", "guess-of-a-stranger", {"prompt": "x"})
        self.assertTrue(self.log("invalid_api_key"))
        everything = "".join(self.service.errors + self.service.output) + self.service.get("/metrics").text
        for secret in ("the-key-of", "guess-of-a-stranger"):
            self.assertNotIn(secret, everything)
        self.assertRegex(everything, r'qwen_rejected_total\{reason="auth"\} [1-9]')

    def test_the_log_says_who_is_behind_the_proxy(self):
        self.ask("GET", "/v1/models", "the-key-of-the-writer", **{"X-Forwarded-For": "6.6.6.6, 203.0.113.77"})
        self.assertTrue(self.log("client 203.0.113.77 "))
        self.assertFalse(any("6.6.6.6" in line for line in self.service.errors))

    def test_cors(self):
        preflight = self.ask("OPTIONS", "/v1/chat/completions", Origin="https://chat.example", **{"Access-Control-Request-Method": "POST"})
        self.assertEqual(preflight.status, 204)
        self.assertEqual(preflight.headers["Access-Control-Allow-Origin"], "https://chat.example")
        self.assertIn("POST", preflight.headers["Access-Control-Allow-Methods"])
        self.assertIn("Authorization", preflight.headers["Access-Control-Allow-Headers"])
        refused = self.ask("POST", "/v1/chat/completions", body={}, Origin="https://chat.example")
        self.assertEqual((refused.status, refused.headers["Access-Control-Allow-Origin"]), (401, "https://chat.example"), "so that a page can read why")
        self.assertIn("X-Request-Id", refused.headers["Access-Control-Expose-Headers"])
        foreign = self.ask("OPTIONS", "/v1/chat/completions", Origin="https://evil.example", **{"Access-Control-Request-Method": "POST"})
        self.assertIsNone(foreign.headers["Access-Control-Allow-Origin"])
        for answer in (preflight, refused, foreign):
            self.assertIsNone(answer.headers["Access-Control-Allow-Credentials"])
            self.assertEqual(answer.headers["Vary"], "Origin")

    def test_headers_for_browsers(self):
        for path in ("/", "/health", "/v1/models", "/nowhere", "/metrics", "/assets/main.js"):
            answer = self.service.get(path)
            self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff", path)
            self.assertEqual(answer.headers["Referrer-Policy"], "no-referrer", path)
            self.assertIn("frame-ancestors 'none'", answer.headers["Content-Security-Policy"], path)
            self.assertEqual(len(answer.headers.get_all("Cache-Control")), 1, path)
            self.assertIsNone(answer.headers["Server"], path)


class Starts(unittest.TestCase):
    def test_open_is_said(self):
        with harness.Service(harness.needs_demo(), wait_ready=False) as service:
            end = time.monotonic() + 10 * harness.PATIENCE
            while not any("no API keys are configured" in line for line in service.errors):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.02)

    def test_what_the_response_cache_has_costs_no_tokens(self):
        env = harness.environment(CACHE_ENABLE="true", API_KEYS='{"small": {"key": "the-key-of-the-small", "tokens_per_minute": 60}}')
        with harness.Service(harness.needs_demo(), env=env, key="the-key-of-the-small") as service:
            answers = [service.post("/generate", {"prompt": "1+1=", "max_length": 3, "temperature": 0}) for _ in range(8)]
            self.assertEqual([(answer.status, answer.headers["X-Cache"]) for answer in answers], [(200, "MISS")] + [(200, "HIT")] * 7)
            usage = answers[0].json()["usage"]
            self.assertGreater(usage["prompt_tokens"] + usage["completion_tokens"], 60 / 8)
            left = [int(answer.headers["x-ratelimit-remaining-tokens"]) for answer in answers]
            self.assertEqual(left[1:], sorted(left[1:]), "only time changes it")

    def test_keys_by_the_variable_guard_the_metrics_port_too(self):
        env = harness.environment(API_KEYS='{"production": "the-key-of-production", "scraper": {"key": "the-key-of-the-scraper", "scopes": "metrics"}}')
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            metrics_port = free.getsockname()[1]
        with harness.Service(harness.needs_demo(), "--metrics-port", metrics_port, env=env, key="the-key-of-the-scraper") as service:
            self.assertFalse(any("no API keys" in line for line in service.errors))
            service.port = metrics_port
            self.assertEqual(service.get("/metrics").status, 200)
            service.key = None
            self.assertEqual([service.get(path).status for path in ("/metrics", "/livez", "/readyz", "/health")], [401, 200, 200, 200])

    def test_keys_that_all_may_read_are_warned_of_and_open_routes_are_configured(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("api_keys: {a: a-key-that-is-long}\nsecurity: {open_routes: metrics}\n")
            file.flush()
            pathlib.Path(file.name).chmod(0o644)
            with harness.Service(harness.needs_demo(), "--config", file.name) as service:
                self.assertEqual(service.get("/metrics").status, 200)
                self.assertEqual(service.get("/").status, 401)
                self.assertTrue(any("everybody on this machine may read the API keys" in line for line in service.errors))


if __name__ == "__main__":
    harness.main()
