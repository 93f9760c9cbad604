"""nginx.conf in Debian's nginx: before the live service beside instances that are down, and before stubs that show what reaches an
instance, and when. Only names, ports and paths are replaced."""

import contextlib
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import connection_cases  # noqa: E402
import harness  # noqa: E402
from test_control import SENTENCE, Thinker  # noqa: E402

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Balancer(harness.Service):
    """nginx with three instances at these ports; the harness' ways of asking."""

    def __init__(self, ports):
        self.folder = tempfile.TemporaryDirectory()
        root = pathlib.Path(self.folder.name)
        root.chmod(0o755)
        self.port = free_port()
        text = (harness.SOURCE / "nginx.conf").read_text(encoding="utf-8")
        for number, port in enumerate(ports, 1):
            text, count = re.subn(rf"\bqwen-service-{number}:8000\b", f"127.0.0.1:{port}", text)
            assert count == 1
        text, count = re.subn(r"\blisten 80;", f"listen 127.0.0.1:{self.port};", text)
        assert count == 1
        text = text.replace("/tmp/", f"{root}/").replace("/dev/stdout", f"{root}/access.log").replace("/dev/stderr", f"{root}/error.log")
        config = root / "nginx.conf"
        config.write_text(text, encoding="utf-8")
        check = subprocess.run([NGINX, "-t", "-q", "-c", str(config)], capture_output=True, text=True, check=False)
        assert (check.returncode, check.stderr) == (0, ""), check.stderr
        self.access_log = root / "access.log"
        self.process = subprocess.Popen([NGINX, "-c", str(config), "-g", "daemon off;"], stderr=subprocess.DEVNULL)
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError("nginx does not listen")

    def errors(self):
        return (pathlib.Path(self.folder.name) / "error.log").read_text()

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.folder.cleanup()


class Stub:
    """An instance that does with each connection what the test says; keeps the heads that it was sent."""

    def __init__(self, act):
        self.heads = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.act = act
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(65536)
                self.heads.append(head.decode())
                self.act(connection)

    def close(self):
        self.socket.close()


def code_of(answer):
    return answer.json()["error"]["code"]


@unittest.skipIf(NGINX is None, "nginx is absent (Debian package nginx-light)")
class BeforeTheService(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = harness.Service(harness.needs_demo(), "--threads", 1)
        cls.nginx = Balancer([free_port(), cls.service.port, free_port()])  # one of three is up

    @classmethod
    def tearDownClass(cls):
        cls.nginx.close()
        cls.service.close()

    def test_instances_that_are_down_cost_nobody_an_answer(self):
        wanted = self.service.post("/generate", {"prompt": "1+1=?", "seed": 1}).json()["generated_text"]
        for _ in range(20):
            answer = self.nginx.post("/generate", {"prompt": "1+1=?", "seed": 1})
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.json()["generated_text"], wanted)

    def test_a_stream_is_whole(self):
        body = {"prompt": "358 + 467 = ?", "thinking": True, "seed": 1, "stream": True}
        events = list(self.nginx.stream("/generate", body))
        direct = list(self.service.stream("/generate", body))
        self.assertEqual(events[-1], "[DONE]")
        self.assertEqual(json.loads(events[-2])["reasoning"], json.loads(direct[-2])["reasoning"])

    def test_limits_are_the_services(self):
        large = self.nginx.post("/generate", {"prompt": "a" * 5_000_000})
        self.assertEqual((large.status, code_of(large)), (413, "request_too_large"))
        self.assertEqual(large.json(), self.service.post("/generate", {"prompt": "a" * 5_000_000}).json())
        fits = self.nginx.post("/generate", {"prompt": "a" * 4_000_000})
        self.assertEqual((fits.status, code_of(fits)), (400, "context_length_exceeded"))
        for size in (17_000, 70_000):  # the service's own answer, and nginx'
            with self.subTest(size):
                answer = self.nginx.request("GET", "/health", headers={"A": "a" * size})
                self.assertEqual((answer.status, code_of(answer)), (431, "header_too_large"))

    def test_one_id_everywhere(self):
        answer = self.nginx.request("GET", "/model_info", headers={"X-Request-Id": "order-17"})
        self.assertEqual(answer.headers["X-Request-Id"], "order-17")
        forged = self.nginx.request("GET", "/model_info", headers={"X-Request-Id": 'a "b'})
        self.assertRegex(forged.headers["X-Request-Id"], r"^[0-9a-f]{32}$")
        time.sleep(0.1)
        records = [json.loads(line) for line in self.nginx.access_log.read_text().splitlines()]
        self.assertLessEqual({"order-17", forged.headers["X-Request-Id"]}, {record["request_id"] for record in records})

    def test_pages_probes_and_no_figures(self):
        self.assertEqual([self.nginx.get(path).status for path in ("/", "/health", "/v1/models")], [200, 200, 200])
        answer = self.nginx.get("/metrics")
        self.assertEqual((answer.status, code_of(answer)), (404, "not_found"))
        self.assertEqual(code_of(self.nginx.get("/nothing")), "not_found")


@unittest.skipIf(NGINX is None, "nginx is absent (Debian package nginx-light)")
class ControlRequests(unittest.TestCase):
    """Two instances that think until they are told to answer, and one that is down."""

    @classmethod
    def setUpClass(cls):
        cls.models = connection_cases.endless_model()
        model = cls.models.__enter__()
        cls.instances = [harness.Service(model, "--threads", 1) for _ in range(2)]
        cls.nginx = Balancer([cls.instances[0].port, free_port(), cls.instances[1].port])

    @classmethod
    def tearDownClass(cls):
        cls.nginx.close()
        for instance in cls.instances:
            instance.close()
        cls.models.__exit__(None, None, None)

    def instance_of(self, request_id):
        return [i for i, instance in enumerate(self.instances) if instance.get(f"/requests/{request_id}").status == 200]

    def test_reach_the_instance_that_has_the_request(self):
        # By the caller's id and by nginx'; least_conn spreads what runs over both instances.
        thinkers = [Thinker(self.nginx, request_id) for request_id in ("order-1", "order-2", None, None)]
        places = [self.instance_of(thinker.id) for thinker in thinkers]
        self.assertEqual(sorted(places), [[0], [0], [1], [1]])
        for thinker in thinkers:
            self.assertEqual(self.nginx.get(f"/requests/{thinker.id}").json()["state"], "thinking")
            done = self.nginx.request("POST", f"/requests/{thinker.id}/finish_thinking")
            self.assertEqual((done.status, done.json()["thoughts_finished"]), (200, 1))
            end = time.monotonic() + 10 * harness.PATIENCE
            while self.nginx.get(f"/requests/{thinker.id}").json()["state"] == "thinking":
                self.assertLess(time.monotonic(), end)
            self.assertEqual(self.nginx.request("POST", f"/requests/{thinker.id}/cancel").json()["generations_cancelled"], 1)
            thought, answer, reasons = thinker.end()
            self.assertTrue(thought.rstrip().endswith(SENTENCE))
            self.assertEqual(reasons, ["cancelled"])
        for _ in range(10):  # whichever instance is asked last
            unknown = self.nginx.request("POST", "/requests/order-1/cancel")
            self.assertEqual((unknown.status, code_of(unknown)), (404, "request_not_here"))
            self.assertEqual(unknown.headers["Content-Type"], "application/json")

    def test_each_instance_is_asked_once(self):
        def not_here(connection):
            body = b'{"error":{"code":"request_not_here"}}'
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        stubs = [Stub(not_here) for _ in range(3)]
        nginx = Balancer([stub.port for stub in stubs])
        self.addCleanup(nginx.close)
        for stub in stubs:
            self.addCleanup(stub.close)
        for _ in range(3):  # a 404 makes no instance a bad one
            answer = nginx.request("POST", "/requests/a/cancel")
            self.assertEqual((answer.status, code_of(answer)), (404, "request_not_here"))
        self.assertEqual([len(stub.heads) for stub in stubs], [3, 3, 3])
        nothing = self.enterContext(contextlib.closing(Balancer([free_port() for _ in range(3)])))
        answer = nothing.request("POST", "/requests/a/cancel")
        self.assertEqual((answer.status, code_of(answer)), (502, "bad_gateway"))
        nginx.post("/generate", {"prompt": "x"})  # whose 404 is its answer
        self.assertEqual(sum(len(stub.heads) for stub in stubs), 10)


@unittest.skipIf(NGINX is None, "nginx is absent (Debian package nginx-light)")
class BeforeStubs(unittest.TestCase):
    def balance(self, ports):
        nginx = Balancer(ports)
        self.addCleanup(nginx.close)
        return nginx

    def test_an_event_is_passed_on_at_once(self):
        read = threading.Event()

        def act(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: 1\n\n")
            if read.wait(10):
                connection.sendall(b"data: [DONE]\n\n")

        stub = Stub(act)
        self.addCleanup(stub.close)
        events = self.balance([stub.port, free_port(), free_port()]).stream("/generate", {})
        self.assertEqual(next(events), "1")
        read.set()
        self.assertEqual(list(events), ["[DONE]"])

    def test_a_post_that_an_instance_may_have_begun_is_not_sent_again(self):
        stubs = [Stub(lambda connection: None) for _ in range(3)]  # reads the head and closes
        for stub in stubs:
            self.addCleanup(stub.close)
        answer = self.balance([stub.port for stub in stubs]).post("/generate", {"prompt": "x"})
        self.assertEqual((answer.status, code_of(answer)), (502, "bad_gateway"))
        self.assertEqual(sum(len(stub.heads) for stub in stubs), 1)

    def test_an_instance_learns_who_asks(self):
        ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        stub = Stub(lambda connection: connection.sendall(ok))
        self.addCleanup(stub.close)
        self.balance([stub.port, free_port(), free_port()]).request("POST", "/generate", {}, {"X-Real-IP": "6.6.6.6"})
        head = stub.heads[0].lower()
        self.assertIn("x-real-ip: 127.0.0.1\r\n", head)
        self.assertIn("connection: close\r\n", head)
        self.assertNotIn("6.6.6.6", head)

    def test_nobody_is_there(self):
        answer = self.balance([free_port(), free_port(), free_port()]).post("/generate", {"prompt": "x"})
        self.assertEqual((answer.status, code_of(answer)), (502, "bad_gateway"))
        self.assertEqual(answer.headers["Content-Type"], "application/json")


if __name__ == "__main__":
    harness.main()
