"""Group C of the robustness list at full size: thousands of streams, crowds of slow clients, and what those cost everybody else. Minutes, and two
processor cores to itself.
"""

import math
import statistics
import time
import unittest

import connection_cases as cases
import harness
import load_client


class ThousandsOfStreams(unittest.TestCase):
    def test_a_thousand(self):
        with cases.watched(harness.needs_demo(), "--max-wait", 0) as (service, oracle):
            cases.check_streams(self, service, oracle, 1000)

    def test_two_thousand(self):
        """C-12."""
        with cases.watched(harness.needs_demo(), "--max-waiting", 4096, "--max-wait", 0) as (service, oracle):
            cases.check_streams(self, service, oracle, 2000)
            oracle.check_resident(self, 1 << 30)

    def test_three_hundred_killed(self):
        with cases.endless_model() as model:
            with cases.watched(model, "--max-num-seqs", 400) as (service, oracle):
                cases.check_killed_mid_stream(self, service, oracle, 400, 300)

    def test_all_killed_while_most_wait(self):
        with cases.endless_model() as model:
            with cases.watched(model, "--max-waiting", 4096) as (service, oracle):
                cases.check_killed_mid_stream(self, service, oracle, 1500, 1200)


class Crowds(unittest.TestCase):
    def test_two_thousand_slow_headers(self):
        with cases.watched(harness.needs_demo()) as (service, oracle):
            cases.check_slow_headers(self, service, oracle, 2000, 10)

    def test_five_thousand_idle(self):
        with cases.watched(harness.needs_demo()) as (service, oracle):
            cases.check_idle_crowd(self, service, oracle, 5000, 4096)

    def test_storm(self):
        with cases.endless_model() as model, cases.watched(model) as (service, oracle):
            cases.check_abort_storm(self, service, oracle, 60, 1000)


def chance(count, heads):
    """Of at least so many heads among that many tosses of a fair coin."""
    return sum(math.comb(count, k) for k in range(heads, count + 1)) / 2 ** count


class CostToOthers(unittest.TestCase):
    """Tokens a second of a steady load beside a crowd, as a share of what it has alone right before and after. A shared machine's own speed
    wanders by more than the 5 % in question, so shares are taken until a sign test is sure of their median."""

    SHARE, SURE, MAX_SHARES, STREAMS, TOKENS = 0.95, 0.01, 40, 48, 250
    # Nobody is cut off while it is measured.
    PATIENT = ("--header-timeout", 600, "--body-timeout", 600, "--write-stall-timeout", 600)

    def one_round(self, service):
        requests = [load_client.post("/generate", cases.endless(self.TOKENS, seed=i), "Connection: close\r\n") for i in range(self.STREAMS)]
        start = time.monotonic()
        answers = load_client.stream_all(service.port, requests)
        seconds = time.monotonic() - start
        self.assertTrue(all(answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") for answer in answers))
        return self.STREAMS * self.TOKENS / seconds

    def wait_until_quiet(self, oracle):
        busy = True
        while busy:
            before = load_client.cpu_seconds(oracle.pid)
            time.sleep(0.5)
            busy = load_client.cpu_seconds(oracle.pid) - before > 0.05

    def compare(self, name, make_crowd, flags=PATIENT):
        load_client.allow_descriptors(5000)
        # Threads that wait for each other turning in circles count for nothing.
        with cases.endless_model() as model, cases.watched(model, "--threads", 1, *flags) as (service, oracle):
            self.one_round(service)
            alone, shares = [self.one_round(service)], []
            while True:
                with make_crowd(service.port):
                    self.wait_until_quiet(oracle)  # what the crowd asks for at first is work like any other
                    beside = self.one_round(service)
                self.assertTrue(cases.eventually_gauge(oracle, "qwen_connections_open", 1))
                alone.append(self.one_round(service))
                shares.append(beside / statistics.mean(alone[-2:]))
                above = sum(share >= self.SHARE for share in shares)
                good, bad = chance(len(shares), above), chance(len(shares), len(shares) - above)
                if min(good, bad) < self.SURE or len(shares) == self.MAX_SHARES:
                    break
            print(f"{name}: {statistics.median(alone):.0f} tokens/s; beside them {100 * (statistics.median(shares) - 1):+.1f} % "
                  f"(median of {len(shares)}, {above} of them lose no more than 5 %)", flush=True)
            self.assertGreaterEqual(statistics.median(shares), self.SHARE, shares)
            self.assertFalse(bad < self.SURE, shares)
            oracle.check_service(self)

    def test_readers_that_take_nothing(self):
        """C-07: zero windows, each with an answer of a megabyte waiting for it."""
        request = load_client.post("/tokenize", {"prompt": "ab " * 100_000})
        self.compare("50 readers that take nothing", lambda port: cases.Crowd(port, 50, request, receive_buffer=4096))

    def test_readers_of_a_byte_a_second(self):
        """Streams that are read, but hardly, as the service meets them by default."""
        request = load_client.post("/generate", cases.endless(1500))
        self.compare("20 streams read a byte a second", lambda port: cases.Crowd(port, 20, request, pause=1.0, receive_buffer=4096, take=1), ())

    def test_headers_for_minutes(self):
        start = b"GET /health HTTP/1.1\r\nHost: a\r\n"
        self.compare("500 headers for minutes", lambda port: cases.Crowd(port, 500, start, b"X", 1.0))

    def test_bodies_for_minutes(self):
        start = b"POST /generate HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n{"
        self.compare("500 bodies for minutes", lambda port: cases.Crowd(port, 500, start, b" ", 1.0))

    def test_idle_connections(self):
        self.compare("3,000 idle connections", lambda port: cases.Crowd(port, 3000, b""))


if __name__ == "__main__":
    harness.main()
