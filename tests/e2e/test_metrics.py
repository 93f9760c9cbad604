"""/metrics and /stats of a live service: the format, figures that move by exactly what happened, gauges that come back to zero."""

import json
import shutil
import socket
import subprocess
import time
import unittest

import harness
from metrics_text import Metrics

GOOD = {"prompt": "2+2=", "max_length": 20, "seed": 1}
GAUGES = ("qwen_streams_open", "qwen_requests_running", "qwen_requests_waiting", "qwen_kv_cache_usage_ratio")


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def scrape(service):
    answer = service.get("/metrics")
    if answer.status != 200 or answer.headers["Content-Type"] != "text/plain; version=0.0.4; charset=utf-8":
        raise AssertionError(f"{answer.status} {answer.headers}")
    return Metrics(answer.text)


def eventually(condition, seconds=10):
    """The record of a request is written just after its answer has left."""
    end = time.monotonic() + seconds * harness.PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def endless_thought():
    """A request that ends neither its thought nor its answer before it is ended."""
    tokens = json.loads((harness.DEMO / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    ends = {str(token["id"]): -100 for token in tokens if token["content"] in ("</think>", "<|im_end|>", "<|endoftext|>")}
    return json.dumps({"messages": [{"role": "user", "content": "358 + 467 = ?"}], "logit_bias": ends, "stream": True}).encode()


def open_stream(port):
    """In the middle of its thought."""
    body = endless_thought()
    client = socket.create_connection(("127.0.0.1", port), timeout=30 * harness.PATIENCE)
    client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                   b"Content-Length: %d\r\n\r\n" % len(body) + body)
    received = b""
    while b"reasoning" not in received:
        piece = client.recv(4096)
        if not piece:
            raise AssertionError(received)
        received += piece
    return client


class Metering(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.metrics_port = free_port()
        cls.service = harness.Service(harness.needs_demo(), "--metrics-port", cls.metrics_port, "--max-num-seqs", 4)
        cls.addClassCleanup(cls.service.close)

    def requests(self):
        return scrape(self.service).sum("http_requests_total")

    def settled(self):
        """Two scrapes in a row that agree on the number of requests: nothing is under way."""
        while (first := self.requests()) != self.requests():
            pass
        return first

    def test_counters_move_by_exactly_what_happened(self):
        self.settled()
        before, stats_before = scrape(self.service), self.service.get("/stats").json()
        self.assertTrue(eventually(lambda: self.requests() == before.sum("http_requests_total") + 1))
        before = scrape(self.service)

        answers = [self.service.post("/generate", {**GOOD, "seed": seed}).json() for seed in range(3)]
        thought = self.service.post("/generate", {"prompt": "358 + 467 = ?", "thinking": True, "seed": 1}).json()
        events = list(self.service.stream("/generate", {**GOOD, "stream": True}))
        answers += [thought, json.loads(events[-2])]
        chat = self.service.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "2+2="}], "max_tokens": 4, "seed": 1}).json()
        self.assertEqual(self.service.post("/generate", {"prompt": "x", "tempreature": 1}).status, 400)
        self.assertEqual(self.service.post("/generate", "{").status, 400)
        self.assertEqual(self.service.get("/no/such/place").status, 404)
        self.assertEqual(self.service.get("/another").status, 404)
        self.assertEqual(self.service.request("BREW", "/generate").status, 405)
        for path in ("/health", "/livez", "/readyz", "/metrics"):
            self.service.get(path)
        open_stream(self.service.port).close()

        self.assertTrue(eventually(lambda: self.requests() == before.sum("http_requests_total") + 12), self.requests())
        self.assertTrue(eventually(lambda: scrape(self.service).value("qwen_requests_running") == 0))
        after = scrape(self.service)

        def moved(name, /, **labels):
            return after.sum(name, **labels) - before.sum(name, **labels)

        self.assertEqual(moved("http_requests_total", status="200", method="POST", route="/generate"), 5)
        self.assertEqual(moved("http_requests_total", status="200", method="POST", route="/v1/chat/completions"), 1)
        self.assertEqual(moved("http_requests_total", status="400", method="POST", route="/generate"), 2)
        self.assertEqual(moved("http_requests_total", status="404", method="GET", route="unmatched"), 2)
        self.assertEqual(moved("http_requests_total", status="405", method="other", route="unmatched"), 1)
        self.assertEqual(moved("http_requests_total", status="499", method="POST", route="/v1/chat/completions"), 1)
        self.assertEqual(moved("http_request_duration_seconds_count"), 12)
        self.assertEqual(moved("qwen_requests_total"), 9)
        self.assertEqual(moved("qwen_client_disconnects_total"), 1)
        self.assertEqual(moved("qwen_request_finished_total", reason="abort"), 1)
        self.assertEqual(moved("qwen_request_finished_total", reason="error"), 0)
        self.assertEqual(moved("qwen_request_finished_total"), 7)
        usages = [answer["usage"] for answer in answers] + [chat["usage"]]
        self.assertEqual(moved("qwen_prompt_tokens_sum"), sum(usage["prompt_tokens"] for usage in usages))
        self.assertEqual(moved("qwen_generation_tokens_sum"), sum(usage["completion_tokens"] for usage in usages))
        self.assertEqual(moved("qwen_generation_tokens_count"), 6)
        self.assertEqual(moved("qwen_time_to_first_token_seconds_count"), 7)
        self.assertGreater(moved("qwen_thinking_tokens_total"), 0)
        # One thought through, one cut by max_tokens, one left alone by its client.
        self.assertEqual([moved("qwen_thoughts_total", ended_by=end) for end in ("natural", "length", "client")], [1, 1, 1])
        self.assertGreater(moved("qwen_generated_tokens_total"), moved("qwen_generation_tokens_sum"))

        stats = self.service.get("/stats").json()
        self.assertEqual({key: stats[key] - stats_before[key] for key in stats if key.endswith("_requests")},
                         {"total_requests": 9, "successful_requests": 6, "failed_requests": 2, "cancelled_requests": 1})

    def test_probes_count_nowhere(self):
        before = self.settled()
        for _ in range(20):
            for path in ("/health", "/livez", "/readyz", "/metrics"):
                self.service.get(path)
        time.sleep(0.1)
        metrics = scrape(self.service)
        self.assertEqual(metrics.sum("http_requests_total"), before)
        self.assertFalse({"/health", "/livez", "/readyz", "/metrics"} & metrics.label_values("route"))

    def test_no_byte_of_a_client_becomes_a_label(self):
        for secret in ("/a7f3q9", "/generate/a7f3q9", "/generate?a7f3q9", "/a7f3q9%0a"):
            self.service.get(secret)
        self.service.request("A7F3Q9", "/generate")
        self.service.post("/generate", {"prompt": "a7f3q9", "max_length": 1})
        self.assertNotIn("a7f3q9", self.service.get("/metrics").text.lower())

    def test_gauges_are_back_at_zero_a_second_after_the_clients_left(self):
        clients = [open_stream(self.service.port) for _ in range(4)]
        busy = scrape(self.service)
        self.assertGreaterEqual(busy.value("qwen_streams_open"), 1)
        for client in clients:
            client.close()
        self.assertTrue(eventually(lambda: not any(scrape(self.service).value(gauge) for gauge in GAUGES), seconds=1))
        self.assertEqual(scrape(self.service).value("qwen_kv_blocks", state="used"), 0)
        # The scrape's own connection is one of the main port, and none where the other port is asked.
        other = self.other_port("/metrics")
        self.assertTrue(eventually(lambda: Metrics(self.other_port("/metrics").text).value("qwen_connections_open") == 0), other.text)

    def other_port(self, path):
        connection = self.service.connection()
        connection.port = self.metrics_port
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return harness.Answer(response, response.read())
        finally:
            connection.close()

    def test_the_metrics_port_serves_metrics_and_probes_alone(self):
        Metrics(self.other_port("/metrics").text)
        self.assertEqual([self.other_port(path).status for path in ("/health", "/livez", "/readyz", "/", "/stats", "/generate")],
                         [200, 200, 200, 404, 404, 404])

    def test_what_the_guide_names_is_there(self):
        metrics = scrape(self.service)
        self.assertIn("http_requests_total", metrics.types)
        self.assertTrue(0 < metrics.value("memory_usage_percent") <= 100)
        self.assertTrue(0 <= metrics.value("cpu_usage_percent") <= 100)
        self.assertTrue(0 <= time.time() - metrics.value("process_start_time_seconds") < 600 * harness.PATIENCE)
        self.assertTrue(0 <= time.time() - metrics.value("qwen_engine_heartbeat_timestamp_seconds") < 30 * harness.PATIENCE)
        self.assertEqual(metrics.sum("qwen_build_info"), 1)
        self.assertEqual(metrics.sum("qwen_model_info", name="demo"), 1)
        self.assertEqual(metrics.value("qwen_state", state="healthy"), 1)
        self.assertEqual(metrics.sum("qwen_state"), 1)
        stats = self.service.get("/stats").json()
        self.assertLessEqual({"total_requests", "successful_requests", "failed_requests", "average_response_time",
                              "model_memory_usage", "gpu_utilization", "uptime_hours"}, stats.keys())

    def test_promtool_has_nothing_to_say(self):
        if shutil.which("promtool") is None:
            self.skipTest("promtool is absent (Debian package prometheus)")
        result = subprocess.run(["promtool", "check", "metrics"], input=self.service.get("/metrics").body, capture_output=True, check=False)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, b"", b""))


class Settings(unittest.TestCase):
    def test_metrics_can_be_switched_off(self):
        with harness.Service(harness.needs_demo(), "--enable-metrics", "false", wait_ready=False) as service:
            self.assertEqual(service.get("/metrics").status, 404)
            self.assertEqual(service.get("/stats").status, 200)

    def test_a_taken_metrics_port_stops_the_start(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            result = harness.run("serve", "--model", harness.needs_demo(), "--host", "127.0.0.1", "--port", 0, "--metrics-port", port)
        self.assertEqual(result.returncode, 71)
        self.assertIn(str(port), result.stderr)
        self.assertIn("--metrics-port", result.stderr)


if __name__ == "__main__":
    harness.main()
