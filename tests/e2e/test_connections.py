"""Group C of the robustness list, in a size that takes seconds: clients that vanish, stall, crowd in or send too slowly, and hundreds of streams
at once. load_connections.py does the same in thousands.
"""

import contextlib
import json
import resource
import signal
import socket
import threading
import time
import unittest

import connection_cases as cases
import harness
import load_client
from oracle import eventually
from raw_http import RawClient, get

STREAM = load_client.post("/generate", cases.endless())


class Streams(unittest.TestCase):
    def test_hundreds_at_once_are_each_what_they_are_alone(self):
        with cases.watched(harness.needs_demo()) as (service, oracle):
            cases.check_streams(self, service, oracle, 200)

    def test_events_are_lines_of_json(self):
        """C-18: what a prompt holds cannot end an event or begin another."""
        prompt = "a\n\ndata: [DONE]\n\nevent: x\r\n: comment\u2028\u0085\r" + "x" * 2000
        with cases.watched(harness.needs_demo()) as (service, oracle):
            events = list(service.stream("/generate", {"prompt": prompt, "max_length": 4, "stream": True}))
            self.assertEqual(events[-1], "[DONE]")
            self.assertEqual(events.count("[DONE]"), 1)
            self.assertEqual(json.loads(events[-2])["prompt"], prompt)
            oracle.check_service(self)

    def test_silence_is_filled_with_comments(self):
        with cases.endless_model() as model:
            with cases.watched(model, "--max-num-seqs", 1, "--heartbeat", 0.3) as (service, oracle):
                with RawClient(service.port) as first, RawClient(service.port) as second:
                    first.send(STREAM)
                    self.assertTrue(first.fill())
                    second.send(STREAM)  # waits behind the first
                    while b": keep-alive\n\n" not in second.buffer:
                        self.assertTrue(second.fill())
                oracle.check_service(self)


class ClientsThatGoAway(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        model = cls.enterClassContext(cases.endless_model())
        cls.service, cls.oracle = cls.enterClassContext(cases.watched(model, "--max-num-seqs", 64, "--max-num-batched-tokens", 64))

    def leave(self, request, request_id, leave, ready):
        client = RawClient(self.service.port)
        client.send(request(f"X-Request-Id: {request_id}\r\n"))
        self.assertTrue(eventually(lambda: ready(client)))
        leave(client)
        start = time.monotonic()
        self.oracle.check_gauges(self, 1.0)
        self.oracle.expect_line(request_id, 499)
        client.close()
        return time.monotonic() - start

    def test_in_mid_stream_and_in_mid_answer(self):
        """C-01, C-02, C-03, C-05: end, reset and half-close, with and without a stream."""
        running = lambda client: self.oracle.gauges()["qwen_requests_running"] == 1
        for stream in (True, False):
            request = lambda headers: load_client.post("/generate", cases.endless(stream=stream), headers)
            for name, leave in (("fin", RawClient.close), ("reset", RawClient.reset), ("half", RawClient.half_close)):
                with self.subTest(name, stream=stream):
                    self.leave(request, f"gone-{name}-{stream}", leave, running)
        self.oracle.check_log(self)
        self.oracle.check_service(self)

    def test_in_mid_prompt(self):
        """C-04: a prompt that is still being computed, in steps of 64 tokens."""
        long_prompt = "a " * 10_000
        request = lambda headers: load_client.post("/generate", {"prompt": long_prompt, "max_length": 5}, headers)
        self.leave(request, "gone-prefill", RawClient.close, lambda client: self.oracle.gauges()["qwen_requests_running"] == 1)
        self.oracle.check_log(self)
        self.oracle.check_service(self)

    def test_while_waiting(self):
        """C-04: behind a full batch."""
        with RawClient(self.service.port) as probe:
            clients = [RawClient(self.service.port) for _ in range(64)]
            for client in clients:
                client.send(STREAM)
            self.assertTrue(cases.eventually_gauge(self.oracle, "qwen_requests_running", 64))
            probe.send(load_client.post("/generate", cases.endless(stream=False), "X-Request-Id: gone-waiting\r\n"))
            self.assertTrue(cases.eventually_gauge(self.oracle, "qwen_requests_waiting", 1))
        self.assertTrue(cases.eventually_gauge(self.oracle, "qwen_requests_waiting", 0, 1.0))
        self.oracle.expect_line("gone-waiting", 499)
        for client in clients:
            client.reset()
        self.oracle.check_gauges(self, 1.0)
        self.oracle.check_log(self)
        self.oracle.check_service(self)

    def test_many_at_once(self):
        cases.check_killed_mid_stream(self, self.service, self.oracle, 120, 90)

    def test_storm(self):
        cases.check_abort_storm(self, self.service, self.oracle, 3, 1000)


class SlowClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.timeout = 1.0 * harness.PATIENCE
        model = cls.enterClassContext(cases.endless_model())
        cls.service, cls.oracle = cls.enterClassContext(
            cases.watched(model, "--header-timeout", cls.timeout, "--body-timeout", cls.timeout, "--idle-timeout", cls.timeout,
                          "--write-stall-timeout", cls.timeout))

    def test_headers_that_never_end(self):
        cases.check_slow_headers(self, self.service, self.oracle, 300, self.timeout)

    def test_bodies_that_never_end(self):
        """C-09; each announces 4 MB, of which nobody sends more than a little, so that no one else's body lacks room."""
        start = b"POST /generate HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n{"
        with cases.Crowd(self.service.port, 200, start, b" ", self.timeout / 5) as crowd:
            large = json.dumps({"prompt": "a", "max_length": 2, "stop": ["x" * 100], "system": "b " * 2_000}).encode()
            answer = self.service.request("POST", "/generate", large + b" " * 1_000_000)
            self.assertEqual(answer.status, 200, answer.text)
            self.assertTrue(eventually(lambda: set(crowd.statuses()) == {408}, 2 * self.timeout + 5), crowd.statuses()[:5])
        self.oracle.check_service(self)

    def test_silent_connections_are_closed_silently(self):
        with cases.Crowd(self.service.port, 50, b"") as crowd:
            self.assertTrue(eventually(lambda: set(crowd.statuses()) == {0}, 2 * self.timeout + 5))
        with RawClient(self.service.port) as client:
            client.send(get("/livez"))
            self.assertEqual(client.answer().status, 200)
            self.assertTrue(client.closed())
        self.oracle.check_service(self)

    def test_a_reader_that_stops(self):
        """C-07: a stream that nobody reads is cut off; one beside it goes on."""
        with RawClient(self.service.port, receive_buffer=4096) as stalled:
            chat = {"messages": [{"role": "user", "content": "a"}], "n": 8, "max_tokens": 3500, "stream": True}  # many bytes for a token
            stalled.send(load_client.post("/v1/chat/completions", chat, "X-Request-Id: stalled\r\n"))
            with RawClient(self.service.port) as other:
                other.send(load_client.post("/generate", cases.endless(30000)))
                self.assertTrue(cases.eventually_gauge(self.oracle, "qwen_streams_open", 2))
                cut = lambda: self.oracle.gauges()["qwen_streams_open"] == 1
                end = time.monotonic() + 30 * harness.PATIENCE
                received = 0
                while not cut() and time.monotonic() < end:
                    self.assertTrue(other.fill())
                    received += len(other.buffer)
                    other.buffer = b""
                self.assertTrue(cut(), "the stalled stream goes on")
                self.assertGreater(received, 1000)
                self.assertTrue(other.fill())
        self.oracle.expect_line("stalled", 499)
        self.oracle.check_log(self)
        self.assertTrue([line for line in self.service.errors if "stalled" in line and ("slow_client" in line or "write_stall" in line)])
        self.oracle.check_service(self)

    def test_readers_of_an_answer_that_they_do_not_take(self):
        """A large answer waits for its reader in bounded memory, and not for ever."""
        request = load_client.post("/tokenize", {"prompt": "ab " * 200_000}, "X-Request-Id: untaken\r\n")
        with cases.Crowd(self.service.port, 20, request, receive_buffer=4096):
            self.assertEqual(self.oracle.ask_canary(), self.oracle.canary)
            self.assertTrue(cases.eventually_gauge(self.oracle, "qwen_connections_open", 1, 3 * self.timeout + 10))
        self.oracle.check_service(self)


class Bounds(unittest.TestCase):
    def test_idle_connections_give_way(self):
        with cases.watched(harness.needs_demo(), "--max-connections", 200) as (service, oracle):
            cases.check_idle_crowd(self, service, oracle, 400, 200)

    def test_places_in_use_are_kept(self):
        """What is being answered never gives way: the next one is told to come again."""
        with cases.endless_model() as model, cases.watched(model, "--max-connections", 5) as (service, oracle):
            streams = [RawClient(service.port) for _ in range(5)]
            for client in streams:
                client.send(STREAM)
                self.assertTrue(client.fill())
            time.sleep(1.2)
            with RawClient(service.port) as extra:
                extra.send(get("/livez"))
                answer = extra.answer()
                self.assertEqual((answer.status, answer.header("Retry-After")), (503, "1"))
                oracle.check_error(self, 503, answer.body)
                self.assertTrue(extra.closed())
                oracle.expect_line(answer.header("X-Request-Id"), 503)
            for client in streams:
                self.assertTrue(client.fill())
                client.close()
            oracle.check_log(self)
            oracle.check_service(self)

    def test_out_of_descriptors(self):
        """C-11: accepting pauses, without turning in circles, and goes on when there are some again."""
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        with cases.watched(harness.needs_demo(), preexec=limit) as (service, oracle):
            with cases.Crowd(service.port, 100, get("/livez") + b"GET /he"):
                time.sleep(0.5)
                self.assertGreater(load_client.descriptors(oracle.pid), 55)
                cpu = load_client.cpu_seconds(oracle.pid)
                time.sleep(1)
                self.assertLess(load_client.cpu_seconds(oracle.pid) - cpu, 0.5 * harness.PATIENCE)
                self.assertEqual(oracle.ask_canary(), oracle.canary)  # those that ask for nothing gave way
            oracle.check_service(self)

    @staticmethod
    def listens(service):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", service.port), timeout=5):
            return True
        return False

    def test_a_storm_while_draining(self):
        """C-16: refused, or 503 with Retry-After; the stream that runs ends well, and the process ends in time."""
        with cases.endless_model() as model, cases.watched(model, "--drain-timeout", 20) as (service, _):
            with RawClient(service.port) as running, RawClient(service.port) as early:
                running.send(load_client.post("/generate", cases.endless(3000, raw=True)))
                self.assertTrue(running.fill())
                early.send(get("/livez"))
                self.assertEqual(early.answer().status, 200)
                service.process.send_signal(signal.SIGTERM)
                self.assertTrue(eventually(lambda: not self.listens(service), 10))
                outcomes = []

                def knock():
                    for _ in range(250):
                        try:
                            with socket.create_connection(("127.0.0.1", service.port), timeout=5) as client:
                                client.sendall(load_client.post("/generate", {"prompt": "a"}))
                                outcomes.append(client.recv(4096)[9:12].decode())
                        except OSError:
                            outcomes.append("refused")

                threads = [threading.Thread(target=knock) for _ in range(8)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                self.assertLessEqual(set(outcomes), {"refused", "503", ""})
                answer = running.answer() if b"\r\n\r\n" in running.buffer else None
                self.assertTrue(answer and answer.body.endswith(b"data: [DONE]\n\n"))
            self.assertEqual(service.process.wait(20 * harness.PATIENCE), 0)


if __name__ == "__main__":
    harness.main()
