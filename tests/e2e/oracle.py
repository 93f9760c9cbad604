"""What must hold after every case, however hostile: the process lives, a canary answers byte for byte as before, every gauge is back at its
baseline, an error has the one shape and tells nothing, and the request left exactly one line in the access log.
"""

import collections
import json
import re
import time

import harness
import load_client

CANARY = {"prompt": "47+85=?", "max_length": 8, "temperature": 0}
GAUGES = re.compile(rb'^(qwen_requests_running|qwen_requests_waiting|qwen_kv_blocks\{state="free"\}|qwen_streams_open|'
                    rb"qwen_connections_open) (\S+)$", re.MULTILINE)
MAX_ERROR_BYTES = 1024
TELLING = re.compile(r"std::|boost|nlohmann|qwen::|0x[0-9a-f]{5,}|(?<![\w.])/(?:home|work|usr|src|tmp|app|root|etc)/|\.(?:cpp|h):\d|basic_string")
TYPES = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 408: "timeout_error", 503: "server_error",
         504: "server_error"}
SANITIZER = re.compile(r"WARNING: ThreadSanitizer|ERROR: AddressSanitizer|ERROR: LeakSanitizer|: runtime error: ")
LINE = re.compile(r" status (\d+)(?: (\S+))? id (\S+) client ")


def eventually(condition, seconds=5.0):
    """The last value of the condition: true, or what it was when the time ran out."""
    end = time.monotonic() + seconds * harness.PATIENCE
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.01)


class Oracle:
    """Watches one service from a moment when it is idle. `test` is the TestCase whose assertions are used."""

    def __init__(self, service):
        self.service = service
        self.pid = service.process.pid
        self.canary = self.ask_canary()
        self.ask_canary()
        time.sleep(0.3)  # the connections of the requests above are closed by now
        self.baseline = self.gauges()
        time.sleep(0.3)
        self.descriptors = load_client.descriptors(self.pid)
        self.expected_log = collections.Counter()

    def ask_canary(self):
        answer = self.service.post("/generate", CANARY)
        assert answer.status == 200, answer.text
        return answer.json()["generated_text"]

    def gauges(self):
        return {name.decode(): float(value) for name, value in GAUGES.findall(self.service.get("/metrics").body)}

    def resident(self):
        return load_client.resident_bytes(self.pid)

    def check_resident(self, test, limit):
        """Sanitizers keep freed memory, and are known by the patience that they need."""
        if harness.PATIENCE < 10:
            test.assertLess(self.resident(), limit)

    # --- after a case

    def check_alive(self, test):
        test.assertIsNone(self.service.process.poll(), "the process ended: " + "".join(self.service.errors[-5:]))
        said = [i for i, line in enumerate(self.service.errors) if SANITIZER.search(line)]
        if said:
            test.fail("".join(self.service.errors[said[0]:said[0] + 60]))

    def check_service(self, test):
        """O1, O2, O3."""
        self.check_alive(test)
        start = time.monotonic()
        test.assertEqual(self.ask_canary(), self.canary)
        test.assertLess(time.monotonic() - start, 1.0 * harness.PATIENCE)
        self.check_gauges(test)

    def check_gauges(self, test, seconds=5.0):
        test.assertEqual(len(self.baseline), 5, self.baseline)
        if not eventually(lambda: self.gauges() == self.baseline, seconds):
            test.assertEqual(self.gauges(), self.baseline)
        if not eventually(lambda: load_client.descriptors(self.pid) <= self.descriptors, seconds):
            test.assertEqual(load_client.descriptors(self.pid), self.descriptors, "file descriptors")

    def check_error(self, test, status, body, secrets=()):
        """O4. `secrets`: what the client sent and must not find again. Returns the error object."""
        test.assertLessEqual(len(body), MAX_ERROR_BYTES)
        text = body.decode("utf-8")
        document = json.loads(text)
        test.assertEqual(list(document), ["error"])
        error = document["error"]
        test.assertLessEqual({"message", "type", "param", "code"}, set(error))
        test.assertLessEqual(set(error), {"message", "type", "param", "code", "n_prompt_tokens", "n_ctx"})
        test.assertEqual(error["type"], TYPES.get(status, "server_error" if status == 500 else "invalid_request_error"))
        test.assertTrue(error["message"] and isinstance(error["code"], str))
        test.assertIsNone(TELLING.search(text), text)
        for secret in secrets:
            test.assertNotIn(secret, text)
        return error

    def expect_line(self, request_id, status):
        self.expected_log[(request_id, status)] += 1

    def check_log(self, test, forbidden=()):
        """O5: of each expected request one line with its id and status, and none with another status. Nothing that a client wrote."""
        lines = []

        def complete():
            lines[:] = list(self.service.errors)
            found = collections.Counter((m.group(3), int(m.group(1))) for m in map(LINE.search, lines) if m)
            mine = {request_id for request_id, _ in self.expected_log}
            return collections.Counter({key: n for key, n in found.items() if key[0] in mine}) == self.expected_log

        if not eventually(complete):
            found = collections.Counter((m.group(3), int(m.group(1))) for m in map(LINE.search, lines) if m)
            mine = {request_id for request_id, _ in self.expected_log}
            found = collections.Counter({key: n for key, n in found.items() if key[0] in mine})
            test.fail(f"missing lines {self.expected_log - found}, unexpected {found - self.expected_log}")
        for text in forbidden:
            test.assertFalse([line for line in lines if text in line], "a log line holds what a client wrote")
