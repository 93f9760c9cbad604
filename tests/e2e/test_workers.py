"""Several worker processes behind one port: one that is killed takes its own streams with it and nothing else, and comes back; figures are
the whole's and never go back, rates hold for all; the service ends as one process would."""

import collections
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import tempfile
import time
import unittest

import connection_cases as cases
import harness
from metrics_text import Metrics


def children(pid):
    """Process id of each worker, by its place."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if entry.name.isdigit() and int(entry.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                environment = entry.joinpath("environ").read_bytes().split(b"\0")
                place = next(int(one[12:]) for one in environment if one.startswith(b"QWEN_WORKER="))
                found[place] = int(entry.name)
    return found


def eventually(condition, seconds=20):
    end = time.monotonic() + seconds * harness.PATIENCE
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


class Service(harness.Service):
    def __init__(self, model, *flags, workers=2, **more):
        self.workers, self.streams = workers, []
        super().__init__(model, "--workers", workers, *flags, **more)

    def wait_ready(self, seconds=120):
        super().wait_ready(seconds)
        if not eventually(lambda: self.get("/health").json()["workers"]["ready"] == self.workers, seconds):
            raise AssertionError("".join(self.errors))

    def close(self):
        super().close()
        for each in self.streams:
            each.close()

    def metrics(self):
        return Metrics(self.get("/metrics").text)

    def open_stream(self, length=20000):
        """The answer and the worker that gives it, after the first event."""
        connection = self.connection(60)
        connection.request("POST", "/generate", json.dumps(cases.endless(length)), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        self.streams += [answer, connection]
        answer.readline()
        return answer, int(re.fullmatch(r"req-w(\d+)-[0-9a-f]{24}", answer.headers["X-Request-Id"]).group(1))


def rest_of(answer):
    """The rest of a stream, and whether it ended as HTTP says that a whole one does."""
    try:
        return answer.read(), True
    except http.client.IncompleteRead as error:
        return error.partial, False
    except OSError:
        return b"", False


class Workers(unittest.TestCase):
    def test_one_that_is_killed_takes_its_own_streams_alone(self):
        with cases.endless_model() as model, Service(model, "--threads", 1) as service:
            before = children(service.process.pid)
            self.assertEqual(set(before), {0, 1})
            streams = [service.open_stream(2500) for _ in range(8)]
            places = collections.Counter(place for _, place in streams)
            self.assertGreaterEqual(min(places[0], places[1]), 2)  # whoever has fewer takes the next, on a quiet machine 4 each
            self.assertTrue(eventually(lambda: service.metrics().value("qwen_requests_running") == 8, 5))
            done = service.metrics().value("qwen_generated_tokens_total")
            os.kill(before[0], signal.SIGKILL)
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                ends = list(pool.map(lambda stream: (stream[1], *rest_of(stream[0])), streams))
            for place, text, whole in ends:
                self.assertEqual(whole, place == 1)
                self.assertEqual(text.rstrip().endswith(b"data: [DONE]"), place == 1)
            for _ in range(10):  # the other one answers, whatever comes
                self.assertEqual(service.post("/generate", {"prompt": "1+1=?", "max_length": 2}).status, 200)
                now = service.metrics().value("qwen_generated_tokens_total")
                self.assertGreaterEqual(now, done)
                done = now
            self.assertTrue(eventually(lambda: service.get("/health").json()["workers"]["ready"] == 2))
            after = children(service.process.pid)
            self.assertEqual(after[1], before[1])
            self.assertNotEqual(after[0], before[0])
            self.assertEqual(service.metrics().value("qwen_worker_restarts_total"), 1)
            self.assertTrue(any("was killed by signal 9" in line for line in service.errors))
            self.assertEqual(service.stop(), 0)

    def test_figures_are_of_the_whole_whoever_is_asked(self):
        with Service(harness.needs_demo(), "--metrics-port", cases_port := free_port()) as service:
            by_worker = collections.Counter()
            held = []
            for i in range(10):  # kept open: connections go to both
                connection = service.connection(60)
                connection.request("POST", "/generate", json.dumps({"prompt": f"{i}+1=?", "max_length": 2}),
                                   {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                self.assertEqual(answer.status, 200)
                by_worker[re.match(r"req-w(\d)-", answer.headers["X-Request-Id"]).group(1)] += 1
                held.append(connection)
            self.assertEqual(set(by_worker), {"0", "1"})
            counted = lambda metrics: metrics.value("qwen_requests_total", route="/generate", code="200")
            self.assertTrue(eventually(lambda: counted(service.metrics()) == 10, 5))
            for connection in held:  # each worker, by a connection of its own
                for path in ("/metrics", "/stats"):
                    connection.request("GET", path)
                    text = connection.getresponse().read().decode()
                    if path == "/stats":
                        self.assertEqual(json.loads(text)["total_requests"], 10)
                        self.assertEqual(json.loads(text)["workers"], {"configured": 2, "ready": 2})
                    else:
                        self.assertEqual(counted(Metrics(text)), 10)
                connection.close()
            scraped = http.client.HTTPConnection("127.0.0.1", cases_port, timeout=30)
            scraped.request("GET", "/metrics")
            metrics = Metrics(scraped.getresponse().read().decode())
            self.assertEqual(counted(metrics), 10)
            self.assertEqual(metrics.label_values("worker"), {"0", "1", "supervisor"})
            self.assertEqual(metrics.value("qwen_state", state="healthy"), 1)
            self.assertEqual(metrics.value("qwen_workers", state="ready"), 2)
            self.assertEqual(metrics.sum("qwen_model_info"), 1)
            scraped.request("GET", "/readyz")
            self.assertEqual(scraped.getresponse().status, 200)
            scraped.close()

    def test_sigterm_lets_answers_finish_and_a_second_ends_at_once(self):
        with cases.endless_model() as model, Service(model, "--threads", 1) as service:
            streams = [service.open_stream(1500) for _ in range(4)]
            service.process.send_signal(signal.SIGTERM)
            for answer, _ in streams:
                text, whole = rest_of(answer)
                self.assertTrue(whole and text.rstrip().endswith(b"data: [DONE]"))
            self.assertEqual(service.process.wait(30 * harness.PATIENCE), 0)
        with cases.endless_model() as model, Service(model, "--threads", 1) as service:
            service.open_stream(30000)
            workers = children(service.process.pid)
            service.process.send_signal(signal.SIGINT)
            time.sleep(1)
            self.assertIsNone(service.process.poll())
            start = time.monotonic()
            self.assertEqual(service.stop(signal.SIGINT), 130)
            self.assertLess(time.monotonic() - start, 5 * harness.PATIENCE)
            self.assertFalse(any(pathlib.Path(f"/proc/{pid}").exists() for pid in workers.values()))

    def test_workers_end_with_their_supervisor(self):
        with cases.endless_model() as model, Service(model, "--threads", 1) as service:
            answer, _ = service.open_stream(1500)
            workers = children(service.process.pid)
            service.process.kill()
            service.process.wait()
            text, whole = rest_of(answer)
            self.assertTrue(whole and text.rstrip().endswith(b"data: [DONE]"))
            gone = lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in workers.values())
            self.assertTrue(eventually(gone))

    def test_what_no_worker_can_do_ends_the_service(self):
        demo = harness.needs_demo()
        for model, flags, status, words in (("/nowhere", [], 66, "/nowhere"), (demo, ["--kernels", "abacus"], 2, "abacus"),
                                            (demo, ["--max-model-len", "9999999"], 2, "max-model-len")):
            with self.subTest(flags):
                result = harness.run("serve", "--model", model, "--port", "0", "--workers", "2", *flags)
                self.assertEqual(result.returncode, status, result.stderr)
                lines = [line for line in result.stderr.splitlines() if line.startswith("qwen-thinking: ")]
                self.assertEqual(len(lines), 1, result.stderr)
                self.assertIn(words, lines[0])

    def test_when_all_workers_are_down_the_supervisor_says_so(self):
        with harness.changed_model(harness.needs_demo()) as model, Service(model) as service:
            config = model / "config.json"
            config.rename(model / "hidden.json")
            for pid in children(service.process.pid).values():
                os.kill(pid, signal.SIGKILL)
            self.assertTrue(eventually(lambda: service.get("/health").status == 503))
            health = service.get("/health").json()
            self.assertEqual((health["status"], health["workers"]["ready"]), ("unhealthy", 0))
            refused = service.post("/generate", {"prompt": "a"})
            self.assertEqual((refused.status, refused.json()["error"]["code"]), (503, "unhealthy"))
            self.assertTrue(refused.headers["Retry-After"])
            self.assertEqual(service.get("/livez").status, 200)
            (model / "hidden.json").rename(config)
            service.wait_ready()
            self.assertEqual(service.post("/generate", {"prompt": "1+1=?", "max_length": 2}).status, 200)

    def test_who_was_answered_by_the_supervisor_finds_the_workers(self):
        with Service(harness.needs_demo(), wait_ready=False) as service:
            connection = service.connection(60)
            idle = socket.create_connection(("127.0.0.1", service.port))
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            answer.read()
            self.assertEqual((answer.status, answer.headers["Connection"]), (503, "close"))
            service.wait_ready()
            idle.settimeout(10 * harness.PATIENCE)
            self.assertEqual(idle.recv(1), b"")
            idle.close()
            connection.request("GET", "/readyz")
            self.assertEqual(connection.getresponse().status, 200)
            connection.close()

    def test_a_parent_that_ignores_its_children_changes_nothing(self):
        with Service(harness.needs_demo(), preexec=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)) as service:
            before = children(service.process.pid)
            os.kill(before[0], signal.SIGKILL)
            self.assertTrue(eventually(lambda: children(service.process.pid).get(0, before[0]) != before[0]))
            self.assertTrue(any("was killed by signal 9" in line for line in service.errors))
            service.wait_ready()

    def test_keys_that_were_emptied_open_nothing_in_a_worker_that_is_started_again(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("api_keys: {me: 0123456789abcdef}\n")
            file.flush()
            with Service(harness.needs_demo(), "--config", file.name) as service:
                file.seek(0)
                file.truncate()
                file.flush()
                os.kill(children(service.process.pid)[0], signal.SIGKILL)
                self.assertTrue(eventually(lambda: service.get("/health").json()["workers"]["ready"] == 2))
                for _ in range(10):
                    self.assertEqual(service.get("/v1/models").status, 401)

    def test_hangup_reaches_every_worker(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("logging: {level: INFO}\n")
            file.flush()
            with Service(harness.needs_demo(), "--config", file.name) as service:
                file.seek(0)
                file.write("logging: {level: DEBUG}")
                file.flush()
                service.process.send_signal(signal.SIGHUP)
                self.assertTrue(eventually(lambda: sum("configuration read again" in line for line in service.errors) == 3))
                service.process.send_signal(signal.SIGUSR1)
                self.assertTrue(eventually(lambda: sum("SIGUSR1" in line for line in service.errors) == 3))
                self.assertEqual(service.get("/health").json()["workers"]["ready"], 2)

    def test_a_rate_is_of_the_whole_service(self):
        def ask(connections):
            """(status, worker) of one request on each, all at once."""
            def one(connection):
                connection.request("POST", "/tokenize", '{"prompt": "a"}', service.headers())
                answer = connection.getresponse()
                answer.read()
                return answer.status, answer.headers["X-Request-Id"][:6]
            with concurrent.futures.ThreadPoolExecutor(len(connections)) as pool:
                return list(pool.map(one, connections))

        def connect():
            for connection in (made := [service.connection(30) for _ in range(40)]):
                stack.callback(connection.close)
                connection.connect()
                time.sleep(0.01)  # one after the other: half of them for each worker
            return made

        def assert_rate(answers, rate, start):
            granted = sum(status == 200 for status, _ in answers)
            self.assertIn(granted, range(rate, rate + 1 + int((time.monotonic() - start) * rate / 60)))
            self.assertEqual({status for status, _ in answers}, {200, 429})

        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            file = pathlib.Path(folder) / "keys.yaml"
            keys = lambda rate: file.write_text(f"api_keys:\n  guest: {{key: the-key-of-the-guest, requests_per_minute: {rate}}}\n")
            keys(6)
            file.chmod(0o600)
            service = stack.enter_context(Service(harness.needs_demo(), "--config", file, key="the-key-of-the-guest"))
            connections = connect()
            start = time.monotonic()
            answers = ask(connections)
            assert_rate(answers, 6, start)
            self.assertEqual({worker for _, worker in answers}, {"req-w0", "req-w1"})

            os.kill(children(service.process.pid)[0], signal.SIGKILL)  # who comes after it begins with what is used
            self.assertTrue(eventually(lambda: service.metrics().value("qwen_worker_restarts_total") == 1))
            service.wait_ready()
            again = ask(connect())
            self.assertEqual({worker for _, worker in again}, {"req-w0", "req-w1"})
            assert_rate(answers + again, 6, start)

            keys(8)
            service.process.send_signal(signal.SIGHUP)
            self.assertTrue(eventually(lambda: sum("configuration read again" in line for line in service.errors) == 3))
            start = time.monotonic()
            assert_rate(ask(connect()), 8, start)

    def test_reload_starts_all_anew(self):
        with harness.changed_model(harness.needs_demo()) as model, Service(model, "--reload") as service:
            before = children(service.process.pid)
            (model / "note.txt").write_text("new")
            self.assertTrue(eventually(lambda: len(new := children(service.process.pid)) == 2 and not set(new.values()) & set(before.values())))
            self.assertTrue(eventually(lambda: sum("listening" in line for line in service.output) == 2))
            harness.Service.wait_ready(service)

    def test_the_configuration_shows_the_workers(self):
        report = harness.run("serve", "--check-config", "-w", "2").stdout
        self.assertRegex(report, r"server.workers +2 +--workers")
        self.assertRegex(report, r"model.weights +mmap +default")
        self.assertRegex(report, r"# 2 worker processes share \d+ cores: \d+ compute threads")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    harness.main()
