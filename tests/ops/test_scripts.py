"""scripts/ beside a live service, and against each other: what is backed up comes back, what does not become ready is taken back, a report says
what the logs hold. Docker and systemd are stood in for where a script calls them; everything else is the real thing."""

import datetime
import gzip
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402

SCRIPTS = harness.SOURCE / "scripts"
NAMES = ["backup", "daily_check", "download_model", "monthly_report", "restore", "update", "weekly_maintenance"]


def access_line(moment, status=200, code="", path="/generate", seconds=0.5, method="POST"):
    stamp = moment.strftime("%Y-%m-%d %H:%M:%S,000")
    return (f"{stamp} - qwen-thinking - INFO - {method} {path} status {status}{' ' + code if code else ''} id req-1 client 127.0.0.1 bytes 100 "
            f"prompt_tokens 10 completion_tokens 20 response_time {seconds}\n")


class Scripts(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.home = pathlib.Path(scratch.name) / "a folder"  # with a space
        for folder in ("configs", "models/tiny", "logs", "elsewhere"):
            (self.home / folder).mkdir(parents=True)
        (self.home / "configs/service_config.yaml").write_text("server:\n  port: 8000\n")
        (self.home / ".env").write_text("PORT=1\n")
        (self.home / "models/tiny/config.json").write_text("{}")
        (self.home / "models/tiny/model.safetensors").write_bytes(os.urandom(100_000))

    def script(self, name, *arguments, env=None, timeout=120):
        return subprocess.run([str(SCRIPTS / f"{name}.sh"), *map(str, arguments)], cwd=self.home / "elsewhere", capture_output=True, text=True,
                              timeout=timeout * harness.PATIENCE, env=harness.environment(QWEN_HOME=str(self.home), **(env or {})))

    def passes(self, *arguments, **options):
        result = self.script(*arguments, **options)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def fails(self, status, *arguments, **options):
        result = self.script(*arguments, **options)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def snapshot(self):
        return {str(path.relative_to(self.home)): path.read_bytes() if path.is_file() else None for path in self.home.rglob("*")}


class EveryScript(Scripts):
    def test_help_and_usage(self):
        for name in NAMES:
            with self.subTest(name=name):
                said = self.passes(name, "--help")
                self.assertIn(f"Usage: scripts/{name}.sh", said)
                self.assertIn("Exit status:", said)
                if name != "download_model":  # its options are those of pull
                    mode = ["compose"] if name == "update" else []
                    self.assertIn("--help", self.fails(2, name, *mode, "--no-such-option", "x"))
                    self.assertIn("--no-such-option", self.fails(2, name, *mode, "--no-such-option"))
        self.assertIn("unknown option --bogus", self.fails(2, "daily_check", "--bogus"))
        self.assertIn("--url needs a value", self.fails(2, "daily_check", "--url"))
        self.assertIn("unknown kind bogus", self.fails(2, "backup", "bogus"))
        for name in ("install_deps", "run_demo"):
            self.assertIn(f"Usage: scripts/{name}.sh", self.passes(name, "--help"))
        self.assertIn("/nowhere cannot be read", self.fails(66, "daily_check", "--api-key-file", "/nowhere"))

    def test_they_speak_https_where_the_settings_do(self):
        self.assertIn("would ask http://127.0.0.1:1 ", self.passes("daily_check", "--dry-run"))
        (self.home / ".env").write_text("PORT=2\nSSL_CONFIG={\"cert_file\": \"a\"}\n")
        self.assertIn("would ask https://127.0.0.1:2 ", self.passes("daily_check", "--dry-run"))
        (self.home / ".env").write_text("PORT='3'\nSSL_CONFIG=''\n")
        self.assertIn("would ask http://127.0.0.1:3 ", self.passes("daily_check", "--dry-run"))

    def test_they_ask_the_port_of_the_settings(self):
        (self.home / ".env").unlink()
        file = self.home / "configs/service_config.yaml"
        file.write_text("model:\n  port: 1\nserver:\n  # port: 2\n  host: x\n  port: '8123'  # ours\nlogging:\n  port: 3\n")
        self.assertIn("would ask http://127.0.0.1:8123 ", self.passes("daily_check", "--dry-run"))
        self.assertIn("would ask http://127.0.0.1:4 ", self.passes("daily_check", "--dry-run", env={"PORT": "4"}))
        file.write_text("server:\n  host: x\nlogging:\n  port: 3\n")
        self.assertIn("would ask http://127.0.0.1:8000 ", self.passes("daily_check", "--dry-run"))

    def test_a_dry_run_changes_nothing(self):
        (self.home / "logs/access.log").write_text(access_line(datetime.datetime.now()))
        (self.home / "logs/access.log.1").write_text(access_line(datetime.datetime.now()))
        before = self.snapshot()
        for name in ("daily_check", "weekly_maintenance", "monthly_report", "backup"):
            with self.subTest(name=name):
                self.assertIn("would", self.passes(name, "--dry-run"))
        self.assertEqual(self.snapshot(), before)


class BackupAndRestore(Scripts):
    def backups(self, pattern="*.tar.gz"):
        return sorted((self.home / "backups").glob(pattern))

    def test_what_was_backed_up_comes_back(self):
        (self.home / "logs/service.log").write_text("a line\n")
        before = self.snapshot()
        self.passes("backup")
        self.assertEqual([path.name.split("_2")[0] for path in self.backups()], ["configs_backup", "logs_archive", "models_backup"])
        shutil.rmtree(self.home / "models")
        (self.home / "configs/service_config.yaml").write_text("broken")
        for archive in self.backups():
            self.assertIn("good", self.passes("restore", "--verify", archive))
        self.passes("restore", self.backups("models*.gz")[0])
        self.assertIn("--force", self.fails(73, "restore", self.backups("configs*.gz")[0]))
        self.passes("restore", "--force", self.backups("configs*.gz")[0])
        now = self.snapshot()
        self.assertEqual({name: now.get(name) for name in before}, before)
        self.assertTrue(list(self.home.glob("configs.before-*")), "what was there is kept aside")
        self.assertEqual(self.backups()[0].stat().st_mode & 0o077, 0, "keys may stand in it")

    def test_links_are_followed(self):
        (self.home / "disk").mkdir()
        (self.home / "models/tiny").rename(self.home / "disk/tiny")
        (self.home / "models/tiny").symlink_to(self.home / "disk/tiny")
        self.passes("backup", "models")
        self.passes("restore", "--to", self.home / "elsewhere", self.backups()[0])
        self.assertTrue((self.home / "elsewhere/models/tiny/config.json").is_file())
        self.assertFalse((self.home / "elsewhere/models/tiny").is_symlink())

    def test_damage_is_seen(self):
        self.passes("backup", "configs")
        archive = self.backups()[0]
        content = bytearray(archive.read_bytes())
        content[len(content) // 2] ^= 1
        archive.write_bytes(content)
        self.assertIn("damaged", self.fails(65, "restore", "--force", archive))
        archive.with_name(archive.name + ".sha256").unlink()
        self.fails(66, "restore", archive)
        self.assertEqual((self.home / "configs/service_config.yaml").read_text(), "server:\n  port: 8000\n")

    def test_only_so_many_are_kept(self):
        (self.home / "backups").mkdir()
        for day in range(1, 6):
            (self.home / f"backups/configs_backup_2026010{day}-000000.tar.gz").write_text("old")
            (self.home / f"backups/configs_backup_2026010{day}-000000.tar.gz.sha256").write_text("old")
        self.passes("backup", "--keep", "3", "configs")
        names = [path.name for path in self.backups()]
        self.assertEqual(len(names), 3)
        self.assertEqual(names[:2], ["configs_backup_20260104-000000.tar.gz", "configs_backup_20260105-000000.tar.gz"])
        self.assertEqual(len(list((self.home / "backups").glob("*.sha256"))), 3)

    def test_an_interrupted_backup_leaves_nothing_under_its_name(self):
        with open(self.home / "models/tiny/large.safetensors", "wb") as file:
            for _ in range(64):
                file.write(os.urandom(1 << 20))
        process = subprocess.Popen([str(SCRIPTS / "backup.sh"), "models"], env=harness.environment(QWEN_HOME=str(self.home)), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        while not list((self.home / "backups").glob("*.partial")):
            self.assertIsNone(process.poll(), "it was done before it could be interrupted")
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGTERM)
        self.assertNotEqual(process.wait(30), 0)
        self.assertEqual(self.backups(), [])
        self.assertEqual(list((self.home / "backups").glob("*.partial*")), [])

    def test_no_folder_and_no_space_are_told(self):
        self.assertIn("is no folder", self.fails(66, "backup", "--models", "/nowhere", "models"))
        self.assertIn("cannot be", self.fails(73, "backup", "--output", "/proc/nowhere", "configs"))


class Report(Scripts):
    def test_it_says_what_the_logs_hold(self):
        day = datetime.datetime(2026, 3, 5, 12)
        lines = [access_line(day, seconds=0.1)] * 90 + [access_line(day + datetime.timedelta(days=1), path="/thinking", seconds=2.0)] * 6
        lines += [access_line(day, 503, "server_overloaded", seconds=0.01)] * 3 + [access_line(day, 499, "client_gone", seconds=9.0)]
        lines += [access_line(day, path="/health", method="GET")] * 7 + [access_line(datetime.datetime(2026, 2, 3), seconds=0.1)] * 50
        lines[0] = lines[0].replace("id req-1 client 127.0.0.1", "id status client ::1 key bytes")
        lines += ["2026-03-05 12:00:00,000 - qwen-thinking - INFO - not a request\n", "garbage response_time\n", "\n"]
        random.Random(1).shuffle(lines)
        (self.home / "logs/access.log").write_text("".join(lines[:60]))
        (self.home / "logs/access.log.1").write_text("".join(lines[60:100]))
        (self.home / "logs/archive").mkdir()
        with gzip.open(self.home / "logs/archive/access-20260301T000000-2.log.gz", "wt") as file:
            file.write("".join(lines[100:]))
        (self.home / "logs/error.log").write_text("2026-03-05 12:00:00,000 - qwen-thinking - ERROR - request 17 failed\n"
                                                  "2026-03-05 12:00:01,000 - qwen-thinking - ERROR - request 18 failed\n")
        said = self.passes("monthly_report", "--month", "2026-03")
        report = (self.home / "logs/reports/report-2026-03.md").read_text()
        for text in ("| requests | 100 | 50 | +100.0 % |", "| tokens (prompts and answers) | 3000 | 1500 |", "| success (2xx, 3xx) | 96 (96.00 %) |",
                     "| server errors (5xx) | 3 (3.00 %) |", "| given up by clients (499) | 1 (1.00 %) |", "| prompt tokens | 1000 |",
                     "not counted above | 7 |", "| 503 | server_overloaded | 3 |", "- 2 × `request N failed`", "longest 9.000", "| POST /thinking | 6 |"):
            self.assertIn(text, report)
        self.assertRegex(report, r"50 % within 0\.(10|09)\d")
        if shutil.which("gnuplot"):
            self.assertIn("report-2026-03.png", said)
            self.assertEqual((self.home / "logs/reports/report-2026-03.png").read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
        self.assertIn("2026-03-05       94 ####", self.passes("monthly_report", "--month", "2026-03", "--stdout"))

    def test_json_lines(self):
        line = ('{"ts":"2026-03-05T12:00:00.000Z","level":"INFO","msg":"access","method":"POST","route":"/generate","status":%d,"request_id":"x","bytes":10,'
                '"prompt_tokens":3,"completion_tokens":4,"response_time":0.25}\n')
        (self.home / "logs/access.log").write_text(line % 200 * 3 + line % 500)
        report = self.passes("monthly_report", "--month", "2026-03", "--stdout")
        self.assertIn("| requests | 4 | 0 | - |", report)
        self.assertIn("| server errors (5xx) | 1 (25.00 %) |", report)
        self.assertIn("| prompt tokens | 12 |", report)

    def test_what_the_response_cache_answered_is_no_generated_token(self):
        generated = access_line(datetime.datetime(2026, 3, 5, 12))
        hit = generated.replace("prompt_tokens 10 completion_tokens 20", "cache hit cache_tokens 30")
        partial = generated.replace("completion_tokens 20", "completion_tokens 20 cache partial cache_tokens 7")
        joined = ('{"ts":"2026-03-05T12:00:00.000Z","level":"INFO","msg":"access","method":"POST","route":"/generate","status":200,"request_id":"x","bytes":10,'
                  '"cache":"joined","cache_tokens":5,"response_time":0.25}\n')
        (self.home / "logs/access.log").write_text(generated + hit * 2 + partial + joined)
        report = self.passes("monthly_report", "--month", "2026-03", "--stdout")
        for text in ("| requests | 5 |", "| prompt tokens | 20 |", "| answered tokens | 40 |", "| answered from the response cache | 3 (60.00 %) |",
                     "| tokens from it, not counted above | 72 |"):
            self.assertIn(text, report)

    def test_nothing_there_and_nowhere_to_write(self):
        self.assertIn("no access.log", self.fails(66, "monthly_report"))
        self.fails(2, "monthly_report", "--month", "March")
        (self.home / "logs/access.log").write_text(access_line(datetime.datetime.now()))
        self.fails(73, "monthly_report", "--output", "/proc/nowhere")

    def test_a_month_without_data(self):
        now = datetime.datetime.now()
        (self.home / "logs/access.log").write_text(access_line(now))
        self.assertIn(f"report-{now:%Y-%m}.md", self.passes("monthly_report", "--dry-run"), "as the run itself would")
        result = self.script("monthly_report", "--month", "2001-01", "--url", "http://127.0.0.1:1")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("no data of 2001-01", result.stderr)
        self.assertNotIn("gnuplot", result.stderr)

    def test_a_million_lines(self):
        chunk = "".join(access_line(datetime.datetime(2026, 3, 1) + datetime.timedelta(seconds=267 * i), seconds=i % 97 / 10) for i in range(10_000))
        with open(self.home / "logs/access.log", "w", encoding="utf-8") as file:
            for _ in range(100):
                file.write(chunk)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.passes("monthly_report", "--month", "2026-03")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Of the processor: another's work beside it does not count.
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"  a million lines: {seconds:.1f} s")
        self.assertIn("| requests | 1000000 |", (self.home / "logs/reports/report-2026-03.md").read_text())
        self.assertLess(seconds, 20 * harness.PATIENCE)


class Weekly(Scripts):
    def test_rotated_logs_are_archived_and_counted_once(self):
        now = datetime.datetime.now()
        for name, count in (("access.log", 1), ("access.log.1", 2), ("access.log.2", 3)):
            (self.home / "logs" / name).write_text(access_line(now) * count)
        old = self.home / "logs/archive/access-20200101T000000-1.log.gz"
        old.parent.mkdir()
        old.write_bytes(b"")
        os.utime(old, (0, 0))
        result = self.script("weekly_maintenance", "--url", "http://127.0.0.1:1")
        self.assertEqual(result.returncode, 1, "the service does not run")
        self.assertIn("FAIL  ready", result.stdout)
        self.assertEqual(sorted(path.name for path in (self.home / "logs").glob("access*")), ["access.log"])
        self.assertEqual(len(list((self.home / "logs/archive").glob("access-*.log.gz"))), 2)
        self.assertFalse(old.exists())
        self.assertIn(": good,", result.stdout)
        self.assertIn("| requests | 6 |", self.passes("monthly_report", "--month", now.strftime("%Y-%m"), "--stdout"))


class BesideAService(Scripts):
    @classmethod
    def setUpClass(cls):
        cls.service = harness.Service(harness.needs_demo())
        cls.addClassCleanup(cls.service.close)

    def test_daily_check(self):
        url = f"http://127.0.0.1:{self.service.port}"
        (self.home / "logs/access.log").write_text(access_line(datetime.datetime.now()) * 10)
        said = self.passes("daily_check", "--url", url)
        for word in ("OK    ready", "OK    generate", "OK    requests     10 in 24 h", "WARN  backup"):
            self.assertIn(word, said)
        self.fails(1, "daily_check", "--url", url, "--strict")
        (self.home / "logs/access.log").write_text(access_line(datetime.datetime.now(), 500, "internal") * 10)
        self.assertIn("FAIL  requests", self.fails(1, "daily_check", "--url", url))
        self.assertIn("FAIL  ready", self.fails(1, "daily_check", "--url", "http://127.0.0.1:1"))
        (self.home / "logs/access.log").unlink()
        now, old = datetime.datetime.now(), datetime.datetime.now() - datetime.timedelta(days=2)
        json_line = '{"ts":"%s","level":"ERROR","name":"qwen-thinking","msg":"it failed"}\n'
        (self.home / "logs/error.log").write_text(json_line % old.isoformat() + f"{old:%Y-%m-%d %H:%M:%S},000 - qwen-thinking - ERROR - old\n")
        (self.home / "logs/service.log").write_text("")
        self.assertIn("0 ERROR lines", self.passes("daily_check", "--url", url))
        (self.home / "logs/error.log").write_text(json_line % now.astimezone(datetime.timezone.utc).isoformat())
        self.assertIn("1 ERROR lines", self.passes("daily_check", "--url", url))

    def test_what_it_cannot_see_is_no_ok(self):
        url = f"http://127.0.0.1:{self.service.port}"
        now = datetime.datetime.now()
        (self.home / "logs/access.log").write_text("POST /generate status 500 internal id a client b bytes 1 response_time 0.5\n" * 3)
        said = self.passes("daily_check", "--url", url)
        self.assertIn("WARN  requests     3 lines", said)
        self.assertIn("LOG_FORMAT", said)
        (self.home / "logs/error.log").write_text("it failed\n")
        self.assertIn("WARN  errors       1 ERROR", self.passes("daily_check", "--url", url))
        (self.home / "logs/access.log").write_text(access_line(now - datetime.timedelta(days=3)) * 3)
        self.passes("daily_check", "--url", url)  # from now on the service has answered
        self.assertIn("the logs in", self.passes("daily_check", "--url", url))
        (self.home / "logs/access.log").write_text("POST /generate status 500 response_time 0.5\n" + access_line(now - datetime.timedelta(days=3))
                                                   + access_line(now))
        said = self.passes("daily_check", "--url", url)
        self.assertIn("OK    requests     1 in 24 h", said)
        self.assertNotIn("WARN  requests", said)

    def test_a_key_that_is_refused(self):
        service = harness.Service(harness.needs_demo(), env=harness.environment(API_KEYS='me:a-"quoted\\\\key-of-some-length'))
        self.addCleanup(service.close)
        url = f"http://127.0.0.1:{service.port}"
        (self.home / "logs/access.log").write_text(access_line(datetime.datetime.now()))
        self.assertIn("WARN  generate     401: the service asks for a key", self.passes("daily_check", "--url", url))
        self.assertIn("FAIL  generate     401: the key is refused", self.fails(1, "daily_check", "--url", url, env={"QWEN_API_KEY": "wrong"}))
        key = self.home / "key"
        key.write_text('a-"quoted\\\\key-of-some-length\r\nanother line\n')
        self.assertIn("OK    generate", self.passes("daily_check", "--url", url, "--api-key-file", key))
        self.assertIn("401: the key is refused", self.passes("monthly_report", "--url", url, "--stdout", env={"QWEN_API_KEY": "wrong"}))

    def test_the_report_tells_the_service(self):
        (self.home / "logs/access.log").write_text(access_line(datetime.datetime.now()))
        report = self.passes("monthly_report", "--url", f"http://127.0.0.1:{self.service.port}", "--stdout")
        self.assertIn("| memory of the process |", report)
        self.assertIn("| preemptions, errors of the engine | 0, 0 |", report)


class UpdateOfAProgram(Scripts):
    """Three instances of a plain program, each on a port of its own, started anew by a line of shell."""

    def setUp(self):
        super().setUp()
        model = harness.needs_demo()
        self.target = self.home / "qwen-thinking"
        self.target.write_text(f'#!/bin/sh\n# old\nexec "{harness.BINARY}" "$@"\n')
        self.target.chmod(0o755)
        self.restart = self.home / "restart.sh"
        self.restart.write_text(f"""#!/bin/bash
cd "{self.home}"
if [ -f $1.pid ]; then kill $(cat $1.pid); while kill -0 $(cat $1.pid) 2>/dev/null; do sleep 0.05; done; fi
setsid ./qwen-thinking serve --model "{model}" --host 127.0.0.1 --port $(cat $1.port) >>$1.out 2>&1 </dev/null &
echo $! >$1.pid
""")
        self.restart.chmod(0o755)
        self.addCleanup(self.stop_all)
        self.instances = []
        for name in ("one", "two"):
            port = self.free_port()
            (self.home / f"{name}.port").write_text(str(port))
            self.instances.append(f"{name}=http://127.0.0.1:{port}")

    @staticmethod
    def free_port():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    def stop_all(self):
        for file in self.home.glob("*.pid"):
            try:
                os.kill(int(file.read_text()), signal.SIGKILL)
            except ProcessLookupError:
                pass

    def update(self, new, *flags):
        (self.home / "tools").mkdir(exist_ok=True)
        self.program("tools/curl", "#!/bin/sh\nexit 127\n")  # which may not be installed
        return self.script("update", "binary", "--binary", new, "--target", self.target, "--restart", f'"{self.restart}" "$1"', *flags, *self.instances,
                           env={"PATH": f"{self.home / 'tools'}:{os.environ['PATH']}"})

    def program(self, name, text):
        path = self.home / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def test_a_good_one_is_kept_and_a_bad_one_taken_back(self):
        new = self.program("new", f'#!/bin/sh\n# new\nexec "{harness.BINARY}" "$@"\n')
        before = self.target.read_text()
        dry = self.update(new, "--dry-run")
        self.assertEqual((dry.returncode, self.target.read_text()), (0, before), dry.stdout + dry.stderr)
        self.assertNotIn("== updated", dry.stdout)
        result = self.update(new, "--timeout", "60")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("# new", self.target.read_text())
        self.assertLess(result.stdout.index("start one anew"), result.stdout.index("start two anew"))
        # It runs, but never becomes ready.
        bad = self.program("bad", f'#!/bin/sh\n[ "$1" = version ] && exec "{harness.BINARY}" version\nexec sleep 1000\n')
        result = self.update(bad, "--timeout", "3")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertIn("the version before is running again", result.stderr)
        self.assertNotIn("start two anew", result.stdout, "the others are left alone")
        self.assertIn("# new", self.target.read_text())
        for instance in self.instances:
            asked = subprocess.run(["curl", "-fsS", "--noproxy", "*", "-o", "/dev/null", instance.split("=", 1)[1] + "/readyz"], timeout=30)
            self.assertEqual(asked.returncode, 0)
        dead = self.program("dead", "#!/bin/sh\nexit 1\n")
        self.assertIn("does not run here", self.update(dead).stderr)
        self.assertIn("# new", self.target.read_text())


class UpdateByCompose(Scripts):
    """docker and docker-compose are scripts that write down how they were called, and fail where the test says."""

    def setUp(self):
        super().setUp()
        tools = self.home / "tools"
        tools.mkdir()
        self.calls = self.home / "calls"
        for name in ("docker", "docker-compose"):
            (tools / name).write_text(f"""#!/bin/bash
echo "{name} $*" >>"{self.calls}"
case "{name} $*" in
  "docker-compose ps --services") printf 'redis\\nqwen-service-1\\nqwen-service-2\\n' ;;
  "docker-compose ps -q "*) echo 1 ;;
  "docker build "*) echo new >"{self.home}/image" ;;
  "docker tag qwen-thinking-service:backup "*) echo old >"{self.home}/image" ;;
  "docker-compose exec -T qwen-service-2 "*) [ "$BREAKS" != yes ] || [ "$(cat "{self.home}/image")" = old ] ;;
esac
""")
            (tools / name).chmod(0o755)
        self.path = f"{tools}:{os.environ['PATH']}"

    def test_the_guides_steps_for_each_instance_that_runs(self):
        self.passes("update", "compose", env={"PATH": self.path})
        calls = [line for line in self.calls.read_text().splitlines() if " ps " not in line and "inspect" not in line]
        self.assertEqual(calls, ["docker tag qwen-thinking-service:latest qwen-thinking-service:backup", "docker build -t qwen-thinking-service:latest .",
                                 "docker-compose up -d --no-deps qwen-service-1", "docker-compose exec -T qwen-service-1 qwen-thinking healthcheck",
                                 "docker-compose up -d --no-deps qwen-service-2", "docker-compose exec -T qwen-service-2 qwen-thinking healthcheck"])

    def test_without_an_engine_a_dry_run_fails_too(self):
        (self.home / "tools/docker").write_text("#!/bin/sh\nexit 1\n")
        result = self.script("update", "compose", "--dry-run", env={"PATH": self.path})
        self.assertEqual((result.returncode, result.stdout, result.stderr.count("\n")), (1, "", 1), result.stderr)

    def test_what_does_not_become_ready_is_taken_back(self):
        self.assertIn("running again", self.fails(1, "update", "compose", "--timeout", "2", env={"PATH": self.path, "BREAKS": "yes"}))
        calls = self.calls.read_text()
        self.assertIn("docker tag qwen-thinking-service:backup qwen-thinking-service:latest", calls)
        self.assertEqual((self.home / "image").read_text(), "old\n")


class UpdateBySystemd(Scripts):
    """systemctl and dpkg are scripts that write down how they were called; the unit's address is a live service's, or nobody's."""

    @classmethod
    def setUpClass(cls):
        cls.service = harness.Service(harness.needs_demo())
        cls.addClassCleanup(cls.service.close)

    def setUp(self):
        super().setUp()
        self.tools, self.calls, self.package = self.home / "tools", self.home / "calls", self.home / "new.deb"
        self.tools.mkdir()
        answers = {"systemctl": "", "dpkg": "", "dpkg-query": "printf 1.0", "dpkg-deb": 'case $3 in Version) echo 2.0 ;; *) echo amd64 ;; esac'}
        answers |= {"qwen-thinking": f'exec "{harness.BINARY}" "$@"', "curl": "exit 127"}  # which may not be installed
        for name, answer in answers.items():
            (self.tools / name).write_text(f'#!/bin/bash\necho "{name} $*" >>"{self.calls}"\n{answer}\n')
            (self.tools / name).chmod(0o755)
        self.package.write_text("new")
        (self.home / "backups").mkdir()
        self.previous = self.home / "backups/qwen-thinking_1.0_amd64.deb"
        self.previous.write_text("old")
        self.env = {"PATH": f"{self.tools}:{os.environ['PATH']}"}

    def done(self):
        return [line for line in self.calls.read_text().splitlines() if line.startswith(("systemctl", "dpkg --install"))]

    def test_a_good_package_is_kept_for_the_next_time(self):
        self.passes("update", "systemd", "--package", self.package, "--url", f"http://127.0.0.1:{self.service.port}", env=self.env)
        self.assertEqual(self.done(), [f"dpkg --install --force-confdef --force-confold {self.package}", "systemctl restart qwen-thinking"])
        self.assertEqual((self.home / "backups/qwen-thinking_2.0_amd64.deb").read_text(), "new")

    def test_what_is_no_package(self):
        (self.tools / "dpkg-deb").write_text("#!/bin/sh\nexit 2\n")
        self.assertIn("is no Debian package", self.fails(66, "update", "systemd", "--package", self.package, "--dry-run", env=self.env))

    def test_a_bad_one_makes_place_for_the_one_before(self):
        said = self.fails(75, "update", "systemd", "--package", self.package, "--url", "http://127.0.0.1:1", "--timeout", "1", env=self.env)
        self.assertIn("is not well with the version before, either", said)  # nobody answers at that address, whatever is installed
        self.assertEqual(self.done()[2:], [f"dpkg --install --force-confold {self.previous}", "systemctl restart qwen-thinking"])
        self.assertFalse((self.home / "backups/qwen-thinking_2.0_amd64.deb").exists())


if __name__ == "__main__":
    harness.main()
