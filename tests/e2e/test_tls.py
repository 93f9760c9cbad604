"""HTTPS: versions, streams, certificates that change while it runs, what stops the start, plain HTTP on the port, the healthcheck command."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import certificates
import harness
from raw_http import RawClient

QUESTION = {"prompt": "什么是AES加密算法？", "max_length": 60, "seed": 1}


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.authority = certificates.Authority(cls.folder)


class Serving(Tls):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.authority.issue("first")
        cls.authority.issue("second", kind="rsa")
        cls.use("first")
        config = json.dumps({"cert_file": str(cls.folder / "cert.pem"), "key_file": str(cls.folder / "key.pem")})
        cls.env = harness.environment(SSL_CONFIG=config, IDLE_TIMEOUT="5", HEADER_TIMEOUT="2", SSL_HSTS_MAX_AGE="31536000")
        cls.service = harness.Service(harness.needs_demo(), env=cls.env, tls=cls.authority.client())
        cls.addClassCleanup(cls.service.close)

    @classmethod
    def use(cls, name):
        """As certbot replaces them: each file at once."""
        for suffix, place in (("pem", "cert.pem"), ("key", "key.pem")):
            shutil.copy(cls.folder / f"{name}.{suffix}", cls.folder / "new")
            os.replace(cls.folder / "new", cls.folder / place)

    @contextlib.contextmanager
    def connection(self, **limits):
        with socket.create_connection(("127.0.0.1", self.service.port), timeout=10 * harness.PATIENCE) as plain:
            with self.authority.client(**limits).wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                yield tls

    def served(self):
        with self.connection() as tls:
            return dict(pair[0] for pair in tls.getpeercert()["subject"])["commonName"]

    def wait_for(self, what):
        end = time.monotonic() + 15 * harness.PATIENCE
        while not what():
            self.assertLess(time.monotonic(), end, "".join(self.service.errors[-5:]))
            time.sleep(0.05)

    def logged(self, words):
        return sum(words in line for line in self.service.errors)

    def test_answers_and_streams_are_the_same_as_without(self):
        with harness.Service(harness.needs_demo()) as plain:
            expected = plain.post("/generate", QUESTION).json()["generated_text"]
            large = plain.get("/assets/main.js").body
        self.assertEqual(self.service.post("/generate", QUESTION).json()["generated_text"], expected)
        events = list(self.service.stream("/generate", {**QUESTION, "stream": True}))
        self.assertEqual("".join(json.loads(event).get("text", "") for event in events[:-2]), expected)
        self.assertEqual(events[-1], "[DONE]")
        self.assertEqual(self.service.get("/assets/main.js").body, large)

    def test_many_requests_of_one_connection(self):
        connection = self.service.connection()
        self.addCleanup(connection.close)
        for _ in range(20):
            connection.request("POST", "/tokenize", json.dumps({"prompt": "文" * 1000}).encode(), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            self.assertGreater(len(json.loads(answer.read())["tokens"]), 0)

    def test_an_answer_on_the_head_alone_arrives_whole(self):
        """The client is still sending; a connection that was simply closed would be reset under the answer."""
        with self.connection() as tls:
            tls.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n")
            for _ in range(3):  # after the answer was sent, and not read yet
                time.sleep(0.1)
                tls.sendall(b"x" * 10000)
            answer = b""
            with contextlib.suppress(ConnectionResetError, ssl.SSLError):
                while data := tls.recv(4096):
                    answer += data
            self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
            self.assertIn(b"request_too_large", answer)

    def test_a_connection_that_both_sides_ended_is_gone_at_once(self):
        keep = self.service.connection()
        self.addCleanup(keep.close)

        def open_now():
            keep.request("GET", "/metrics")
            return int(float(next(line for line in keep.getresponse().read().decode().splitlines() if line.startswith("qwen_connections_open ")).split()[1]))

        before = open_now()
        for _ in range(5):
            with self.connection() as tls:
                tls.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                while tls.recv(4096):
                    pass
        end = time.monotonic() + 0.4 * harness.PATIENCE  # lingering would be a second
        while open_now() > before and time.monotonic() < end:
            time.sleep(0.02)
        self.assertLessEqual(open_now(), before)

    def test_versions_and_protocol(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.connection(minimum_version=version, maximum_version=version) as tls:
                self.assertIn(tls.version(), ("TLSv1.2", "TLSv1.3"))
                self.assertRegex(tls.cipher()[0], "ECDHE.*(GCM|CHACHA)|TLS_")
                self.assertIsNone(tls.compression())
        for name in ("TLSv1", "TLSv1_1"):
            result = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.service.port}", f"-{name.lower()}", "-cipher", "ALL@SECLEVEL=0"],
                                    input="", capture_output=True, text=True, timeout=20)
            self.assertNotEqual(result.returncode, 0, name)
        for offered, agreed in ((["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1")):
            context = self.authority.client()
            context.set_alpn_protocols(offered)
            with socket.create_connection(("127.0.0.1", self.service.port)) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                self.assertEqual(tls.selected_alpn_protocol(), agreed)

    def test_browsers_are_told_to_come_by_https_alone(self):
        for path in ("/", "/livez", "/nothing"):
            self.assertEqual(self.service.get(path).headers["Strict-Transport-Security"], "max-age=31536000", path)
        with harness.Service(harness.needs_demo(), env=harness.environment(SSL_HSTS_MAX_AGE="60")) as plain:
            self.assertIsNone(plain.get("/").headers["Strict-Transport-Security"])
            self.assertTrue(any("SSL_HSTS_MAX_AGE (60) has no effect" in line for line in plain.errors), plain.errors)

    def test_unless_asked_it_says_nothing_of_other_ports_and_healthcheck_needs_no_key(self):
        authority = {"SSL_CERTFILE": str(self.folder / "first.pem"), "SSL_KEYFILE": str(self.folder / "first.key")}
        env = harness.environment(**authority, API_KEYS="me:0123456789abcdef", HOST="127.0.0.1")
        with harness.Service(harness.needs_demo(), env=env, tls=self.authority.client()) as service:
            answer = service.get("/livez")
            self.assertEqual((answer.status, answer.headers["Strict-Transport-Security"]), (200, None))
            self.assertEqual(service.get("/model_info").status, 401)
            result = harness.run("healthcheck", "--port", service.port, env=env)
            self.assertEqual((result.returncode, result.stdout + result.stderr), (0, ""))

    def test_healthcheck_by_plain_http_says_why_not(self):
        result = harness.run("healthcheck", "--port", self.service.port)
        self.assertEqual((result.returncode, result.stderr.count("\n")), (1, 1), result.stderr)
        self.assertIn("this port speaks HTTPS", result.stderr)
        self.assertEqual(harness.run("healthcheck", "--port", self.service.port, env=self.env).returncode, 0)

    def test_plain_http_is_told_so(self):
        with RawClient(self.service.port) as client:
            client.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = client.answer()
            self.assertEqual(answer.status, 400)
            self.assertIn("https://", json.loads(answer.body)["error"]["message"])
            self.assertTrue(client.closed())
        for garbage in (b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"x" * 50, b"SSH-2.0-x\r\n"):
            with RawClient(self.service.port) as client:
                client.send(garbage)
                client.half_close()
                self.assertTrue(client.closed() or client.buffer)
        self.assertEqual(self.service.get("/health").status, 200)

    def test_a_handshake_that_does_not_come_is_waited_for_in_bounds(self):
        with RawClient(self.service.port) as silent, RawClient(self.service.port) as slow:
            began = time.monotonic()
            slow.send(b"\x16\x03\x01")
            self.assertTrue(silent.closed(8 * harness.PATIENCE))
            self.assertTrue(slow.closed(8 * harness.PATIENCE))
            self.assertLess(time.monotonic() - began, 6 * harness.PATIENCE)
        self.assertRegex(self.service.get("/metrics").text, r"qwen_tls_failed_handshakes_total \d")

    def test_a_client_that_leaves_frees_its_request(self):
        with self.connection() as tls:
            body = json.dumps({"prompt": "1", "max_length": 3000, "stream": True, "raw": True}).encode()
            tls.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            tls.recv(1000)
        self.wait_for(lambda: self.service.get("/stats").json()["requests_running"] == 0)

    def test_healthcheck_command(self):
        self.assertEqual(harness.run("healthcheck", "--port", self.service.port, env=self.env).returncode, 0)
        plain = harness.run("healthcheck", "--port", self.service.port)
        self.assertEqual((plain.returncode, plain.stderr.count("\n")), (1, 1), "asked without TLS")
        self.assertEqual(harness.run("healthcheck", "--url", f"https://127.0.0.1:{self.service.port}/livez").returncode, 0)
        wrong = harness.run("healthcheck", "--url", "https://127.0.0.1:1/")
        self.assertEqual((wrong.returncode, wrong.stderr.count("\n")), (1, 1))

    def test_the_metric_of_the_alert(self):
        text = next(line for line in self.service.get("/metrics").text.splitlines() if line.startswith("qwen_tls_certificate_expiry_timestamp_seconds "))
        self.assertAlmostEqual((float(text.split()[1]) - time.time()) / 86400, 30, delta=0.1)

    def test_certificates_change_under_open_streams(self):
        stream = self.service.stream("/generate", {"prompt": "1", "max_length": 1500, "stream": True, "raw": True})
        next(stream)
        try:
            self.assertEqual(self.served(), "first")
            self.use("second")
            self.wait_for(lambda: self.served() == "second")  # by itself
            self.use("first")
            self.service.process.send_signal(signal.SIGHUP)
            self.wait_for(lambda: self.served() == "first")
            before = self.logged("the certificate in use stays")
            shutil.copy(self.folder / "second.key", self.folder / "key.pem")
            self.wait_for(lambda: self.logged("is not the key of the certificate") > 0)
            self.assertEqual(self.served(), "first")
            time.sleep(2.5)
            self.assertEqual(self.logged("the certificate in use stays"), before + 1, "said once")
            self.assertEqual(list(stream)[-1], "[DONE]")
        finally:
            self.use("first")
        self.wait_for(lambda: self.logged("certificate read again") >= 3)


class Starts(Tls):
    def refused(self, words, **variables):
        env = harness.environment(**variables)
        result = harness.run("serve", "--model", harness.needs_demo(), "--host", "127.0.0.1", "--port", "0", env=env, timeout=60)
        self.assertEqual(result.returncode, 78, result.stderr)
        errors = [line for line in result.stderr.splitlines() if "no API keys" not in line]
        self.assertEqual(len(errors), 1, result.stderr)
        checked = harness.run("serve", "--check-config", env=env)
        self.assertEqual((checked.returncode, checked.stderr.splitlines()), (78, errors))
        for word in words:
            self.assertIn(word, errors[0])

    def test_what_is_wrong_is_one_line_and_78(self):
        good, key = self.authority.issue("good")
        other, _ = self.authority.issue("other")
        expired, expired_key = self.authority.issue("expired", days=-3)
        locked, locked_key = self.authority.issue("locked", password="secret-word")
        (self.folder / "empty").write_text("")
        half = self.folder / "half.pem"
        half.write_text(good.read_text(encoding="utf-8") + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        for words, certificate, private in (
                (["absent.pem"], "absent.pem", key), (["absent.key"], good, "absent.key"), (["other.pem", "not the key"], other, key),
                (["expired.pem", "expired on"], expired, expired_key), (["locked.key", "encrypted", "openssl pkey"], locked, locked_key),
                (["no certificate in PEM"], key, key), (["no private key in PEM"], good, good), (["no certificate in PEM"], self.folder / "empty", key),
                (["chain is damaged"], half, key), (["needs its private key"], good, ""), (["needs its certificate"], "", key)):
            with self.subTest(words):
                self.refused(words, SSL_CERTFILE=str(certificate), SSL_KEYFILE=str(private))

    def test_a_key_that_others_may_read_is_warned_of(self):
        certificate, key = self.authority.issue("open")
        key.chmod(0o644)
        with harness.Service(harness.needs_demo(), "--ssl-certfile", certificate, "--ssl-keyfile", key, tls=self.authority.client()) as service:
            self.assertEqual(service.get("/livez").status, 200)
            self.assertTrue(any("open.key: everybody on this machine may read the private key" in line for line in service.errors))
            self.assertTrue(any("listening on https://" in line for line in service.output))

    def test_a_chain_is_sent_whole(self):
        certificate, key = self.authority.issue("leaf")
        chain = self.folder / "chain.pem"
        chain.write_text(certificate.read_text(encoding="utf-8") + self.authority.certificate.read_text(encoding="utf-8"))
        with harness.Service(harness.needs_demo(), "--ssl-certfile", chain, "--ssl-keyfile", key, tls=self.authority.client()) as service:
            shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{service.port}", "-showcerts"], input="", capture_output=True, text=True, timeout=20)
            self.assertEqual(shown.stdout.count("BEGIN CERTIFICATE"), 2)


if __name__ == "__main__":
    harness.main()
