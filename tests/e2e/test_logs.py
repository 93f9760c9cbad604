"""service.log, access.log and error.log of a live service: the guide's own commands over them, rotation, what a client can put into them, and
disks, pipes and readers that fail."""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import harness
import metrics_text

# "3. 日志分析", as the guide prints it. Only the folder is not the guide's.
GUIDE = '''```bash
# 错误日志分析
grep "ERROR" /app/logs/service.log | tail -20

# 性能日志分析
grep "response_time" /app/logs/access.log | awk '{print $NF}' | sort -n

# 内存使用分析
grep "memory" /app/logs/service.log | tail -10
```'''
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - qwen-thinking - (DEBUG|INFO|WARNING|ERROR) - (.*)")
ACCESS = re.compile(r"([A-Za-z]{1,32}|-) (/\S*|-) status (\d{3})( [a-z_]+)? id ([\w.-]{1,64}) client 127\.0\.0\.1 bytes (\d+)( prompt_tokens \d+ completion_tokens \d+)? response_time (\d+\.\d{6})")
MS_RDONLY, CLONE_NEWNS, MS_REC, MS_PRIVATE = 1, 0x20000, 16384, 1 << 18


class Logs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name) / "logs"

    def service(self, *flags, **options):
        return harness.Service(harness.needs_demo(), "--threads", 1, "--log-file", self.folder / "service.log", *flags, **options)

    def read(self, name, folder=None):
        return ((folder or self.folder) / name).read_text(encoding="utf-8")

    def wait_for(self, check, what):
        end = time.monotonic() + 30 * harness.PATIENCE
        while not check():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def metric(self, service, name, **labels):
        return metrics_text.Metrics(service.get("/metrics").text).value(name, **labels)

    def fire(self, service, count, path="/v1/models"):
        """That many requests over one connection."""
        connection = service.connection()
        for _ in range(count):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, 200)
        connection.close()


class Guide(Logs):
    def test_its_commands_give_what_they_promise(self):
        document = harness.SHARED.parent / "spec" / "deployment-guide.zh.md"
        if document.exists():
            self.assertIn(GUIDE, document.read_text(encoding="utf-8"))
        config = self.folder.parent / "f.yaml"
        config.write_text("logging:\n  level: INFO\n", encoding="utf-8")
        with self.service("--health-check-interval", 1, "--config", config) as service:
            service.post("/generate", {"prompt": "358 + 467 = ?", "max_length": 8})
            service.post("/generate", {"unknown": 1})
            service.get("/nowhere")
            list(service.stream("/generate", {"prompt": "1+1=", "max_length": 8, "stream": True}))
            config.write_text("logging:\n  levle: INFO\n", encoding="utf-8")
            service.process.send_signal(signal.SIGHUP)
            self.wait_for(lambda: "levle" in self.read("error.log"), "an error")
            self.wait_for(lambda: self.read("service.log").count("memory") > 1, "two self-checks")
            self.assertEqual(service.stop(), 0)
        said = [line for line in service.errors if "response_time" in line]
        commands = [line for line in GUIDE.splitlines() if line.startswith("grep")]
        self.assertEqual(len(commands), 3)
        errors, times, memory = [
            subprocess.run(["bash", "-c", command.replace("/app/logs", str(self.folder))], capture_output=True, text=True, encoding="utf-8",
                           check=True).stdout.splitlines() for command in commands]
        self.assertEqual(len(errors), 1)
        self.assertIn(" - ERROR - SIGHUP: the configuration stays as it is", errors[0])
        self.assertEqual(errors, self.read("error.log").splitlines())
        lines = self.read("access.log").splitlines()
        self.assertEqual(len(times), len(lines))
        self.assertEqual([line + "\n" for line in lines], said, "standard error has them, too")
        self.assertEqual(list(map(float, times)), sorted(map(float, times)))
        self.assertGreater(float(times[-1]), float(times[0]))
        self.assertGreaterEqual(len(memory), 2)
        for line in memory:
            self.assertRegex(line, r" - INFO - self-check: healthy, memory \d+\.\d % used")
        requests = [ACCESS.fullmatch(LINE.fullmatch(line).group(2)).groups() for line in lines]
        for wanted in [("POST", "/generate", "200", None), ("POST", "/generate", "400", " invalid_value"), ("GET", "-", "404", " not_found")]:
            self.assertTrue(any(request[:3] == wanted[:3] for request in requests), wanted)
        self.assertEqual(sum(request[6] is not None for request in requests), 2, "of both that generated")
        service_log = self.read("service.log")
        for words in ("listening on http://", "ready: demo", "draining"):
            self.assertIn(words, service_log)
        for line in service_log.splitlines():
            self.assertRegex(line, LINE)

    def test_pythons_format_string_and_json(self):
        with self.service("--log-format", "%(levelname)-8s|%(name)s|%(message)s") as service:
            service.get("/livez")
            self.assertEqual(service.stop(), 0)
        self.assertRegex(self.read("access.log").splitlines()[-1], r"^INFO    \|qwen-thinking\|GET /\w+ status 200 id ")
        shutil.rmtree(self.folder)
        with self.service(env=harness.environment(LOG_FORMAT="json")) as service:
            service.post("/generate", {"prompt": "1+1=", "max_length": 2})
            self.assertEqual(service.stop(), 0)
        for name in ("service.log", "access.log"):
            for line in self.read(name).splitlines():
                record = json.loads(line)
                self.assertRegex(record["ts"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
                self.assertIn((record["level"], record["name"]), (("INFO", "qwen-thinking"), ("WARNING", "qwen-thinking")))
        request = [json.loads(line) for line in self.read("access.log").splitlines() if "generate" in line][0]
        self.assertEqual((request["msg"], request["method"], request["route"], request["status"]), ("access", "POST", "/generate", 200))
        self.assertGreater(request["response_time"], 0)

    def test_wrong_settings_name_what_was_meant(self):
        for flags, words in {("--log-format", "%(levelnam)s %(message)s"): "did you mean levelname?", ("--log-file", "/dev/stdout"): "standard error",
                             ("--log-file", "/x/error.log"): "the path of the service log", ("--log-max-bytes", "10"): "at least 4096"}.items():
            result = harness.run("serve", "--check-config", *flags)
            self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1), result.stderr)
            self.assertIn(words, result.stderr)


class Rotation(Logs):
    def all_lines(self, name="access.log"):
        return [line for path in self.folder.iterdir() if path.name.startswith(name) for line in path.read_text(encoding="utf-8").splitlines()]

    def test_by_size_no_line_is_lost(self):
        with self.service("--log-max-bytes", 4096, "--log-backup-count", 100) as service:
            self.fire(service, 300)
            self.assertEqual(service.stop(), 0)
        for path in self.folder.glob("access.log*"):
            self.assertLessEqual(path.stat().st_size, 4096)
        lines = [line for line in self.all_lines() if "/v1/models" in line]
        self.assertEqual(len(lines), 300)
        self.assertEqual(len({re.search(r" id (\S+)", line).group(1) for line in lines}), 300)

    def test_the_oldest_are_removed(self):
        with self.service("--log-max-bytes", 4096, "--log-backup-count", 2) as service:
            self.fire(service, 200)
            self.assertEqual(service.stop(), 0)
        self.assertEqual(sorted(path.name for path in self.folder.glob("access.log*")), ["access.log", "access.log.1", "access.log.2"])

    def test_on_sigusr1(self):
        with self.service() as service:
            self.fire(service, 20)
            self.wait_for(lambda: self.read("access.log").count("/v1/models") == 20, "twenty lines")
            for name in ("service.log", "access.log", "error.log"):
                (self.folder / name).rename(self.folder / f"{name}.old")
            service.process.send_signal(signal.SIGUSR1)
            self.wait_for(lambda: (self.folder / "error.log").exists(), "files that are opened anew")
            self.fire(service, 20)
            self.assertEqual(service.stop(), 0)
        self.assertEqual(self.read("access.log").count("/v1/models"), 20)
        self.assertEqual(self.read("access.log.old").count("/v1/models"), 20)

    @unittest.skipIf(shutil.which("logrotate") is None, "logrotate is absent (Debian package logrotate)")
    def test_by_logrotate(self):
        text = (harness.SOURCE / "packaging" / "logrotate" / "qwen-thinking").read_text(encoding="utf-8")
        with self.service() as service:
            self.fire(service, 10)
            text, count = re.subn(r"^\s+systemctl .*$", f"kill -USR1 {service.process.pid}", text, flags=re.MULTILINE)
            self.assertEqual(count, 1)
            config = self.folder.parent / "rotate.conf"
            config.write_text(text.replace("/var/log/qwen-thinking", str(self.folder)), encoding="utf-8")
            os.chmod(config, 0o644)
            self.wait_for(lambda: self.read("access.log").count("/v1/models") == 10, "ten lines")
            rotated = subprocess.run(["logrotate", "--force", "--state", self.folder.parent / "state", config], capture_output=True, text=True, check=False)
            self.assertEqual((rotated.returncode, rotated.stderr), (0, ""))
            self.wait_for(lambda: (self.folder / "access.log").exists(), "a new file")
            self.fire(service, 10)
            self.assertEqual(service.stop(), 0)
        self.assertEqual(self.read("access.log").count("/v1/models"), 10)
        self.assertEqual(len([line for line in self.all_lines() if "/v1/models" in line]), 20)


class Clients(Logs):
    def send(self, service, data):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", service.port), 10) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    def test_nothing_that_they_send_makes_a_line(self):
        evil = b"x\r\n2026-01-01 00:00:00,000 - qwen-thinking - ERROR - forged"
        with self.service() as service:
            for head in [b"GET /" + evil.replace(b"\r\n", b"%0d%0a") + b" HTTP/1.1", b"GET /\x1b[31m HTTP/1.1", b"G\x1bT / HTTP/1.1", b"GET /a\nb HTTP/1.1",
                         b"GET /%e2%80%a8%c2%85%00 HTTP/1.1", "GET /\u2028\u202e HTTP/1.1".encode(), b"\xff\xfe\r\n", b"G" * 100_000, b"GET /" + b"a" * 100_000,
                         evil]:
                for field in (b"", b"X-Request-Id: " + evil.replace(b"\r\n", b"\x1b"), "X-Request-Id: \u2028\u202e".encode(), b"User-Agent: \x1b[2J"):
                    self.send(service, head + b"\r\nHost: a\r\n" + field + b"\r\n\r\n")
            self.assertEqual(service.stop(), 0)
        for name in ("service.log", "access.log"):
            for line in (self.folder / name).read_bytes().split(b"\n")[:-1]:
                text = line.decode("utf-8")
                self.assertTrue(text.isprintable(), text)
                said = LINE.fullmatch(text)
                self.assertTrue(said, text)
                self.assertNotIn("forged", said.group(2))
                if name == "access.log":
                    self.assertRegex(said.group(2), ACCESS)
        self.assertGreaterEqual(len(self.read("access.log").splitlines()), 40)

    def test_no_prompt_and_no_key_is_logged_unless_asked_for(self):
        marker, key = "der-geheime-Satz", "sk-very-secret"
        for flags in ([], ["--log-prompts", "true"]):
            shutil.rmtree(self.folder, ignore_errors=True)
            with self.service("--log-level", "DEBUG", *flags) as service:
                for path, body in {"/generate": {"prompt": marker}, "/v1/chat/completions": {"messages": [{"role": "user", "content": marker}], "max_tokens": 4},
                                   "/tokenize": {"prompt": marker, "wrong": marker}, f"/{marker}": {"prompt": marker}}.items():
                    service.request("POST", path, body, {"Authorization": f"Bearer {key}", "Cookie": marker, "User-Agent": marker})
                service.get(f"/v1/models?key={marker}")
                metrics = service.get("/metrics").text
                self.assertEqual(service.stop(), 0)
            text = "".join(self.read(name) for name in ("service.log", "access.log", "error.log")) + "".join(service.errors)
            self.assertNotIn(key, text + metrics)
            self.assertNotIn(marker, metrics + self.read("access.log"))
            self.assertEqual(marker in text, bool(flags))
            self.assertEqual("puts what clients ask into the log" in text, bool(flags))


class Failures(Logs):
    def mounted(self, options, flags=0):
        """A preexec function that gives the service, and nobody else, a small disk at self.folder."""
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root, for a disk of its own")
        self.folder.mkdir()
        libc, target = ctypes.CDLL(None, use_errno=True), str(self.folder).encode()
        probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
        if probe.returncode != 0:
            raise unittest.SkipTest("no mount namespaces here")

        def prepare():
            if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0 or \
                    libc.mount(b"none", target, b"tmpfs", flags, options) != 0:
                os._exit(99)
        return prepare

    def inside(self, service):
        return pathlib.Path(f"/proc/{service.process.pid}/root{self.folder}")

    def test_a_full_disk_never_stops_serving(self):
        with self.service(preexec=self.mounted(b"size=1m")) as service:
            disk = self.inside(service)
            with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as filler:
                while filler.write(b"x" * 4096):
                    pass
            self.fire(service, 200)
            self.wait_for(lambda: self.metric(service, "qwen_log_writable", log="access") == 0, "the metric")
            said = [line for line in service.errors if re.search(r"access\.log.*: cannot be written: No space left on device", line)]
            self.assertEqual(len(said), 1)
            self.assertEqual(self.metric(service, "qwen_log_disk_free_bytes") // 4096, self.metric(service, "qwen_log_disk_free_bytes") / 4096)
            os.unlink(disk / "filler")
            self.wait_for(lambda: self.metric(service, "qwen_log_writable", log="access") == 1, "that it goes on")
            self.assertEqual(self.metric(service, "qwen_log_dropped_total", log="access"), 0)
            self.wait_for(lambda: self.read("access.log", disk).count("/v1/models") == 200, "what was kept")
            for line in self.read("access.log", disk).splitlines():
                self.assertRegex(line, LINE)
            self.assertEqual(service.stop(), 0)

    def test_a_folder_that_cannot_be_written_never_stops_serving(self):
        with self.service(preexec=self.mounted(b"size=64k", MS_RDONLY)) as service:
            self.fire(service, 10)
            self.wait_for(lambda: any("Read-only file system" in line for line in service.errors), "that it is said")
            self.assertEqual(service.stop(), 0)

    def test_what_is_no_file_never_stops_serving(self):
        self.folder.mkdir()
        os.mkfifo(self.folder / "access.log")
        os.symlink("/dev/full", self.folder / "error.log")
        with self.service() as service:
            self.fire(service, 10)
            self.wait_for(lambda: any("access.log, error.log: is no regular file" in line for line in service.errors), "that it is said")
            shutil.rmtree(self.folder)
            self.fire(service, 10)
            self.wait_for(lambda: (self.folder / "access.log").is_file(), "the folder again")
            self.assertEqual(service.stop(), 0)

    def test_standard_error_that_nobody_reads_holds_nobody_up(self):
        for broken in ("stuck", "closed"):
            with self.subTest(broken):
                shutil.rmtree(self.folder, ignore_errors=True)
                reader, writer = os.pipe()
                try:
                    redirect = "2>&-" if broken == "closed" else f"2>&{writer}"
                    command = f'exec "$0" "$@" {redirect}'
                    process = subprocess.Popen(
                        ["bash", "-c", command, harness.BINARY, "serve", "--model", harness.needs_demo(), "--threads", "1", "--host", "127.0.0.1", "--port", "0",
                         "--log-file", self.folder / "service.log"], stdout=subprocess.PIPE, text=True, env=harness.environment(), pass_fds=[writer])
                    port = re.search(r":(\d+)$", process.stdout.readline().strip())
                    self.assertTrue(port)
                    opened = socket.create_connection(("127.0.0.1", int(port.group(1))), 10)
                    stream = opened.makefile("rwb")
                    for _ in range(800):  # more than the pipe holds
                        stream.write(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
                        stream.flush()
                        self.assertIn(b" 200 ", stream.readline())
                        length = 0
                        while (line := stream.readline()) != b"\r\n":
                            if line.lower().startswith(b"content-length:"):
                                length = int(line.split(b":")[1])
                        stream.read(length)
                    opened.close()
                    self.wait_for(lambda: self.read("access.log").count("/livez") == 800, "the file")
                    process.send_signal(signal.SIGTERM)
                    self.assertEqual(process.wait(20 * harness.PATIENCE), 0)
                    process.stdout.close()
                finally:
                    if process.poll() is None:
                        process.kill()
                    os.close(reader)
                    os.close(writer)

    def test_why_it_ended_stands_in_the_error_log(self):
        with self.service(preexec=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))) as service:
            self.fire(service, 50)
            self.assertEqual(service.stop(signal.SIGABRT), -signal.SIGABRT)
        self.assertIn(" - ERROR - fatal signal 6", self.read("error.log"))
        self.assertEqual(self.read("access.log").count("/v1/models"), 50)
        shutil.rmtree(self.folder)
        with tempfile.TemporaryDirectory() as empty:
            result = harness.run("serve", "--model", empty, "--host", "127.0.0.1", "--port", 0, "--log-file", self.folder / "service.log")
        self.assertEqual(result.returncode, 66, result.stderr)
        self.assertEqual(sum("config.json" in line for line in result.stderr.splitlines()), 1, result.stderr)
        self.assertIn(" - ERROR - the service ends: ", self.read("error.log"))


if __name__ == "__main__":
    harness.main()
