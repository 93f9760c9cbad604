"""Group C of the robustness list at full size: thousands of streams, crowds of slow clients, and what those cost everybody else. Minutes, and two
processor cores to itself.
"""

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


class CostToOthers(unittest.TestCase):
    """Tokens a second, and processor time of the server for each, of a steady load: alone, and beside a crowd. The rounds take turns, so that
    what else the machine does meets both alike; the medians are compared. Of several attempts the middle one counts."""

    ATTEMPTS, ROUNDS, STREAMS, TOKENS = 3, 5, 48, 150
    # Nobody is cut off while it is measured.
    PATIENT = ("--header-timeout", 600, "--body-timeout", 600, "--write-stall-timeout", 600)

    def one_round(self, service, oracle):
        requests = [load_client.post("/generate", cases.endless(self.TOKENS, seed=i)) for i in range(self.STREAMS)]
        start, cpu = time.monotonic(), load_client.cpu_seconds(oracle.pid)
        exchanges = load_client.run_all(service.port, requests)
        seconds, cpu = time.monotonic() - start, load_client.cpu_seconds(oracle.pid) - cpu
        self.assertTrue(all(exchange.events()[-1:] == ["[DONE]"] for exchange in exchanges))
        count = self.STREAMS * self.TOKENS
        return count / seconds, cpu / count

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
            self.one_round(service, oracle)
            rates, costs = [], []
            for _ in range(self.ATTEMPTS):
                alone, beside = [], []
                for _ in range(self.ROUNDS):
                    alone.append(self.one_round(service, oracle))
                    with make_crowd(service.port):
                        self.wait_until_quiet(oracle)  # what the crowd asks for at first is work like any other
                        beside.append(self.one_round(service, oracle))
                    self.assertTrue(cases.eventually_gauge(oracle, "qwen_connections_open", 1))
                rate, cost = (statistics.median(row[i] for row in beside) / statistics.median(row[i] for row in alone) for i in (0, 1))
                print(f"{name}: {statistics.median(row[0] for row in alone):.0f} tokens/s, {1e6 * statistics.median(row[1] for row in alone):.1f} us "
                      f"of processor time each; beside them {100 * (rate - 1):+.1f} % and {100 * (cost - 1):+.1f} %", flush=True)
                rates.append(rate)
                costs.append(cost)
            self.assertGreaterEqual(statistics.median(rates), 0.95, rates)
            self.assertLessEqual(statistics.median(costs), 1.05, costs)
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
