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

import certificates
import connection_cases as cases
import harness
from metrics_text import Metrics


def children(pid):
    """Process id of each worker, by its place."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, StopIteration):  # the last: it has ended, or is not a worker yet
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

    def assert_whole(self, streams):
        for answer, _ in streams:
            text, whole = rest_of(answer)
            self.assertTrue(whole and text.rstrip().endswith(b"data: [DONE]") and b"error" not in text, text[-200:])

    def test_workers_end_with_their_supervisor(self):
        with cases.endless_model() as model, Service(model, "--threads", 1) as service:
            streams = [service.open_stream(1500) for _ in range(2)]
            workers = children(service.process.pid)
            service.process.kill()
            service.process.wait()
            self.assert_whole(streams)
            gone = lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in workers.values())
            self.assertTrue(eventually(gone))
            self.assertTrue(eventually(lambda: sum(f"process {service.process.pid}, which looked after" in line for line in service.errors) == 2))

    def test_a_signal_to_all_processes_is_one_signal(self):
        with cases.endless_model() as model, Service(model, "--threads", 1) as service:
            streams = [service.open_stream(1500) for _ in range(4)]
            workers = children(service.process.pid)
            for _ in range(3):  # nobody's business but the supervisor's
                for pid in workers.values():
                    os.kill(pid, signal.SIGTERM)
                time.sleep(0.05)
            self.assertEqual(service.post("/generate", {"prompt": "a", "max_length": 2}).status, 200)
            for pid in (*workers.values(), service.process.pid, *workers.values()):
                os.kill(pid, signal.SIGTERM)
            self.assert_whole(streams)
            self.assertEqual(service.process.wait(30 * harness.PATIENCE), 0)
            service.close()  # all is read
            self.assertEqual(sum("draining" in line for line in service.errors), 1)
            self.assertRegex(service.errors[-1], r" - INFO - the service has ended after .* s: \d+ requests were finished, 0 were cut")

    def test_a_second_signal_lets_every_stream_say_so(self):
        with cases.endless_model() as model, Service(model, "--threads", 1) as service:
            streams = [service.open_stream(30000) for _ in range(4)]
            for number in (signal.SIGTERM, signal.SIGTERM):
                service.process.send_signal(number)
                time.sleep(0.5)
            for answer, _ in streams:
                text, whole = rest_of(answer)
                self.assertTrue(whole, text[-200:])
                self.assertIn(b'"code":"draining"', text.replace(b" ", b"")[-300:])
                self.assertTrue(text.rstrip().endswith(b"data: [DONE]"), text[-200:])
            self.assertEqual(service.process.wait(30 * harness.PATIENCE), 143)
            service.close()
            self.assertRegex(service.errors[-1], "0 requests were finished, 4 were cut")

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

    def restart(self, service, place=0):
        before = children(service.process.pid)[place]
        os.kill(before, signal.SIGKILL)
        self.assertTrue(eventually(lambda: children(service.process.pid).get(place, before) != before))
        service.wait_ready()

    def test_a_worker_that_is_started_again_has_what_was_accepted(self):
        first, second = "the-first-key-of-all", "the-second-key-of-all"
        text = lambda key, level="INFO": f"api_keys: {{me: {key}}}\nlogging: {{level: {level}}}\n"
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file, contextlib.ExitStack() as stack:
            def write(content):
                file.seek(0)
                file.truncate()
                file.write(content)
                file.flush()

            def statuses(key):
                service.key = key
                found = set()
                for _ in range(8):  # both workers
                    connection = service.connection(30)
                    stack.callback(connection.close)
                    connection.request("GET", "/v1/models", headers=service.headers())
                    found.add(connection.getresponse().status)
                return found

            write(text(first))
            service = stack.enter_context(Service(harness.needs_demo(), "--config", file.name, "--max-wait", 59))
            for unread in (text(second, "DEBUG"), "logging: {level: LOUD}\n", "api_keys: {}\n", ""):  # nobody has been told
                write(unread)
            self.restart(service)
            self.assertEqual((statuses(first), statuses(second)), ({200}, {401}))
            write("logging: {level: LOUD}\n")
            service.process.send_signal(signal.SIGHUP)
            self.assertTrue(eventually(lambda: any("stays as it is" in line for line in service.errors)))
            self.restart(service, 1)
            self.assertEqual(statuses(first), {200})
            write(text(second))
            service.process.send_signal(signal.SIGHUP)
            self.assertTrue(eventually(lambda: sum("configuration read again" in line for line in service.errors) == 3))
            write("")
            self.restart(service)
            self.assertEqual((statuses(first), statuses(second)), ({401}, {200}))
            for pid in children(service.process.pid).values():
                for name in ("environ", "cmdline"):
                    self.assertNotIn(second.encode(), pathlib.Path(f"/proc/{pid}/{name}").read_bytes())
            write("api_keys: {}\n")
            service.process.send_signal(signal.SIGHUP)
            self.assertTrue(eventually(lambda: sum("api_keys is empty now" in line for line in service.errors) == 3))
            self.restart(service)
            self.assertEqual((statuses(first), statuses(second)), ({401}, {401}))

    def test_a_certificate_that_is_gone_is_used_by_workers_that_are_started_again(self):
        with tempfile.TemporaryDirectory() as folder:
            authority = certificates.Authority(folder)
            pair = authority.issue("first")
            authority.issue("second")
            with Service(harness.needs_demo(), "--ssl-certfile", pair[0], "--ssl-keyfile", pair[1], tls=authority.client()) as service:
                def subject():
                    with socket.create_connection(("127.0.0.1", service.port), timeout=10 * harness.PATIENCE) as plain:
                        with service.tls.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                            return dict(part[0] for part in tls.getpeercert()["subject"])["commonName"]

                for path in pair:
                    path.unlink()
                for pid in children(service.process.pid).values():
                    os.kill(pid, signal.SIGKILL)
                self.assertTrue(eventually(lambda: service.get("/health").status == 503))
                service.wait_ready()
                self.assertEqual(service.post("/generate", {"prompt": "1+1=?", "max_length": 2}).status, 200)
                for path in pair:
                    path.with_name(path.name.replace("first", "second")).rename(path)
                self.assertTrue(eventually(lambda: {subject() for _ in range(6)} == {"second"}))
                self.restart(service)
                self.assertEqual({subject() for _ in range(6)}, {"second"})

    def test_what_no_worker_can_do_any_more_ends_the_service(self):
        with harness.changed_model(harness.needs_demo()) as model, Service(model) as service:
            (model / "config.json").unlink()
            for pid in children(service.process.pid).values():
                os.kill(pid, signal.SIGKILL)
            self.assertEqual(service.process.wait(40 * harness.PATIENCE), 66)
            service.close()
            self.assertIn("ERROR - the service ends: no worker comes up any more", service.errors[-1])

    def test_lines_say_whose_they_are(self):
        with Service(harness.needs_demo(), "--health-check-interval", 1) as service:
            self.assertTrue(eventually(lambda: all(any(f" - qwen-thinking.worker-{i} - INFO - self-check" in line for line in service.errors) for i in (0, 1))))
            self.assertTrue(any(" - qwen-thinking - INFO - worker 0 is process" in line for line in service.errors))
            self.assertFalse(any("changes nothing" in line for line in service.errors))  # --weights mmap, which nobody asked for
        with Service(harness.needs_demo(), "--health-check-interval", 1, "--log-format", "json", "--weights", "mmap") as service:
            lines = lambda: [json.loads(line) for line in list(service.errors) if line.startswith("{")]
            self.assertTrue(eventually(lambda: {line["worker"] for line in lines() if line["msg"].startswith("self-check")} == {0, 1}))
            self.assertEqual({line["name"] for line in lines()}, {"qwen-thinking"})
            self.assertFalse(any("worker" in line for line in lines() if "is process" in line["msg"]))
            self.assertTrue(any("changes nothing" in line["msg"] for line in lines()))

    def test_a_worker_that_is_started_again_has_as_large_a_cache(self):
        with Service(harness.needs_demo(), "--max-num-seqs", 4096) as service:  # as many blocks as memory holds
            ballast = bytearray(os.urandom(1 << 20) * 200)
            self.restart(service)
            sizes = [re.search(r"(\d+) KV blocks", line).group(1) for line in service.errors if "KV blocks" in line]
            self.assertEqual((len(sizes), len(set(sizes))), (3, 1), sizes)
            del ballast

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
