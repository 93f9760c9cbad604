"""Configuration as its users meet it: files, variables and flags, --check-config, SIGHUP and --reload."""

import json
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

import harness

GUIDE_MODEL = """
model:
  name: "Qwen3-4B-Thinking"
  path: "/app/models/qwen3-4b-thinking"
  quantization:
    format: "int8"
    enable: true

inference:
  max_length: 2048
  temperature: 0.7
  top_p: 0.9
  batch_size: 4

memory:
  enable_optimization: true
  gradient_checkpointing: true
  cpu_offload: false
"""
GUIDE_SERVICE = """
server:
  host: "0.0.0.0"
  port: 8000
  workers: 1
  timeout: 300

logging:
  level: "INFO"
  format: "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
  file: "/app/logs/service.log"

monitoring:
  enable_metrics: true
  metrics_port: 9090
  health_check_interval: 30
"""
GUIDE_VARIABLES = {
    "MODEL_PATH": "/app/models/qwen3-4b-thinking", "QUANTIZATION_FORMAT": "int8", "LOG_LEVEL": "INFO", "HOST": "0.0.0.0", "PORT": "8000",
    "MAX_WORKERS": "1", "CUDA_VISIBLE_DEVICES": "0", "DEFAULT_MAX_LENGTH": "512", "DEFAULT_TEMPERATURE": "0.7", "DEFAULT_TOP_P": "0.9",
    "CUDA_MEMORY_FRACTION": "0.8", "ENABLE_MIXED_PRECISION": "true", "CUDA_LAUNCH_BLOCKING": "0", "BATCH_SIZE": "1", "ENABLE_CPU_OFFLOAD": "true",
    "MAX_LENGTH": "256", "TEMPERATURE": "0.5", "GPU_ID": "0",
    "BATCH_CONFIG": '{\n    "max_batch_size": 8,\n    "batch_timeout": 100,  # ms\n    "enable_dynamic_batching": True\n}',
    "CACHE_CONFIG": '{\n    "enable": True,\n    "ttl": 3600,  # 1小时\n    "max_size": "1GB"\n}',
}


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def check(self, *flags, status=0, **variables):
        """The lines of --check-config: name → (value, origin); and what stands on stderr."""
        env = harness.environment(**variables)
        if "CONFIG_FILES" not in variables:
            del env["CONFIG_FILES"]
        result = harness.run("serve", "--check-config", *flags, env=env, cwd=self.folder)
        self.assertEqual(result.returncode, status, result.stderr)
        self.output = result.stdout
        table = {}
        for line in result.stdout.splitlines():
            if not line.startswith("#"):
                name, value, origin = re.split(r"\s+", line, maxsplit=1)[0], *re.split(r"\s{1,}(?=\S+$)", line.split(None, 1)[1], maxsplit=1)
                table[name] = (value.strip(), origin)
        return table, result.stderr


class CheckConfig(Files):
    def test_each_value_says_where_it_came_from(self):
        self.write("configs/model_config.yaml", GUIDE_MODEL)
        self.write("configs/service_config.yaml", GUIDE_SERVICE)
        table, errors = self.check("--port", "8001", DEFAULT_TOP_P="0.5")
        self.assertEqual(table["server.port"], ("8001", "--port"))
        self.assertEqual(table["inference.top_p"], ("0.5", "DEFAULT_TOP_P"))
        self.assertEqual(table["inference.max_length"], ("2048", "configs/model_config.yaml:10"))
        self.assertEqual(table["engine.max_num_seqs"], ("4", "configs/model_config.yaml:13"))
        self.assertEqual(table["engine.max_waiting"], ("1024", "default"))
        self.assertEqual(table["logging.file"], ("/app/logs/service.log", "configs/service_config.yaml:11"))
        self.assertIn("memory.gradient_checkpointing (true) has no effect", self.output)
        self.assertIn("takes up to 65 s", self.output)
        self.assertEqual(errors, "")

    def test_every_variable_of_the_guide_is_known(self):
        table, _ = self.check(**GUIDE_VARIABLES)
        origins = {origin for _, origin in table.values()}
        shadowed = {"TEMPERATURE", "GPU_ID", "BATCH_CONFIG", "CACHE_CONFIG"}  # behind another variable; dictionaries name a line
        self.assertEqual(set(GUIDE_VARIABLES) - shadowed - origins, set())
        self.assertEqual(table["cache_config.enable"], ("true", "CACHE_CONFIG:2"))
        self.assertEqual(table["batch_config.batch_timeout"], ("100", "BATCH_CONFIG:3"))
        self.assertEqual(table["engine.max_num_seqs"], ("1", "BATCH_SIZE"))
        for words in ("CUDA_VISIBLE_DEVICES (0) has no effect", "ENABLE_CPU_OFFLOAD (true) has no effect"):
            self.assertIn(words, self.output)

    def test_env_example_names_every_variable(self):
        text = (harness.SOURCE / ".env.example").read_text(encoding="utf-8")
        named = set(re.findall(r"^#?([A-Z][A-Z_]+)=", text, re.MULTILINE))
        help_text = harness.run("serve", "--help").stdout
        in_help = {name for names in re.findall(r"\[([A-Z_,\s]+)\]", help_text.replace("[OPTIONS]", "")) for name in re.split(r"[,\s]+", names) if name}
        self.assertEqual(in_help - named, set())
        self.assertEqual(set(GUIDE_VARIABLES) - named, set())
        for name in named - set(GUIDE_VARIABLES):  # each is one of the service's
            if name in ("API_KEYS", "SSL_CERTFILE", "SSL_KEYFILE", "SSL_CONFIG", "CONFIG_FILE", "CONFIG_FILES", "CHAT_TEMPLATE", "METRICS_API_KEY"):
                continue
            value = re.search(rf"^#?{name}=(.*)$", text, re.MULTILINE).group(1).strip("'") or "x"
            table, _ = self.check(**{name: value})
            self.assertTrue(any(origin.split(":")[0].startswith(name) for _, origin in table.values()), name)

    def test_env_example_is_read_by_a_shell(self):
        text = (harness.SOURCE / ".env.example").read_text(encoding="utf-8")
        self.write("all.env", re.sub(r"^#([A-Z][A-Z_]+=)", r"\1", text, flags=re.MULTILINE))
        shell = subprocess.run(["sh", "-ec", "set -a; . ./all.env; printf '%s|%s' \"$LOG_FORMAT\" \"$BATCH_CONFIG\""], cwd=self.folder,
                               env=harness.environment(), capture_output=True, text=True, check=True)
        log_format, batch = shell.stdout.split("|")
        self.assertEqual(log_format, "%(asctime)s - %(name)s - %(levelname)s - %(message)s")
        self.assertEqual(json.loads(batch)["max_batch_size"], 8)

    def test_wrong_files_are_78_with_file_and_line(self):
        for text, words in {
            "server:\n  prot: 1\n": ["f.yaml:2:", "server.prot", "did you mean server.port?"],
            "server:\n  port: 99999\n": ["f.yaml:2: server.port", "65535"],
            "model: {quantization: {format: int3}}": ["f.yaml:1:", "int4-g64"],
            "server: {": ["f.yaml", "YAML"],
            "server: [8000]": ["f.yaml:1: server must be one value"],
            "server:\n  port: 1\n  port: 2\n": ["f.yaml:3:", "twice"],
            "api_keys:\n  me: {key: hidden-key, scope: all}\n": ["f.yaml:2:", "api_keys.me.scope"],
            "server: {workers: 0}": ["f.yaml:1: server.workers"],
        }.items():
            path = self.write("f.yaml", text)
            for flags in (["--check-config"], []):
                result = harness.run("serve", "--config", path, *flags, cwd=self.folder)
                self.assertEqual(result.returncode, 78, (text, result.stderr))
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
                for word in words:
                    self.assertIn(word, result.stderr)
                self.assertNotIn("hidden-key", result.stdout + result.stderr)
        self.assertEqual(harness.run("serve", "--config", self.folder / "absent.yaml").returncode, 78)
        self.assertEqual(harness.run("serve", "--check-config", "--port", "x", cwd=self.folder).returncode, 2)

    def test_a_check_says_every_fault_at_once(self):
        """The one exception to "one line of error": the list is what --check-config is for. The service itself still says one."""
        model = self.write("model.yaml", "model:\n  quantization: {format: int3}\ninference: [1, 2]\n")
        service = self.write("service.yaml", "server:\n  prot: 1\n  port: 99999\n  port: 8000\nlogging:\n  level: LOUD\napi_keys:\n  me: {scope: all}\n  you: hidden-key\n")
        flags = ["--config", model, "--config", service, "--io-threads", "many"]
        variables = {"DRAIN_TIMEOUT": "60", "STOP_GRACE_PERIOD": "30", "SSL_CERTFILE": "absent.pem", "CACHE_CONFIG": '{"tll": 1}'}
        table, errors = self.check(*flags, status=78, **variables)
        self.assertEqual(table, {})
        for words in (f"{model}:2: model.quantization.format is \"int3\"", f"{model}:3: inference must be one value, not a list",
                      f"{service}:2: there is no key \"server.prot\"; did you mean server.port?", f"{service}:3: server.port is \"99999\"",
                      f"{service}:4: server.port is set twice", f"{service}:6: logging.level is \"LOUD\"", f"{service}:8: \"api_keys.me.scope\"",
                      "--io-threads is \"many\"", "CACHE_CONFIG:1: there is no key \"CACHE_CONFIG.tll\"; did you mean cache_config.ttl?",
                      "STOP_GRACE_PERIOD is 30 s but", "SSL_CERTFILE needs its private key"):
            self.assertEqual(sum(words in line for line in errors.splitlines()), 1, f"{words}: {errors}")
        self.assertEqual(errors.count("\n"), 11, errors)
        self.assertTrue(all(line.startswith("qwen-thinking: ") for line in errors.splitlines()))
        self.assertNotIn("hidden-key", errors)
        result = harness.run("serve", *flags, env=harness.environment(**variables), cwd=self.folder)
        self.assertEqual((result.returncode, result.stderr.count("\n")), (78, 1), result.stderr)

    def test_a_fault_makes_no_others(self):
        """What depends on a wrong value, or on a file that cannot be read to its end, is not looked at."""
        for text, count in (("server: {port: x}\nmonitoring: {metrics_port: 8000}\n", 1),
                            ("ssl_config: {cert_file: c.pem, key_file: \"\"}\n", 1),
                            ("ssl_config:\n  cert_file: c.pem\n  key_file: \"k.pem\n", 1),
                            ("server: {drain_timeout: 60, stop_grace_period: 30}\nlogging: {level: LOUD}\n", 2),
                            ("api_keys:\n  me: {scopes: everything}\n", 1)):
            path = self.write("f.yaml", text)
            _, errors = self.check("--config", path, status=78)
            self.assertEqual(errors.count("\n"), count, errors)
        _, errors = self.check("--port", "x", "--io-threads", "y", status=2)
        self.assertEqual(errors.count("\n"), 2, errors)
        _, errors = self.check("--config", self.folder / "absent.yaml", "--port", "x", status=78)
        self.assertEqual(errors.count("\n"), 2, errors)
        self.write("many.yaml", "".join(f"key{i}: 1\n" for i in range(2000)))
        _, errors = self.check("--config", self.folder / "many.yaml", status=78)
        self.assertLess(errors.count("\n"), 600)

    def test_a_key_is_shown_nowhere(self):
        for variables in ({"API_KEYS": "me:hidden-key"}, {"API_KEYS": '{"me": "hidden-key"}'}):
            table, errors = self.check(**variables)
            self.assertEqual(table["api_keys"], ("me:****", "API_KEYS"))
            self.assertNotIn("hidden-key", self.output + errors)
        _, errors = self.check(status=78, API_KEYS="hidden-key")
        self.assertIn("API_KEYS", errors)
        self.assertNotIn("hidden-key", self.output + errors)

    def test_what_does_not_go_together_is_78(self):
        self.check(status=78, SSL_CONFIG='{"cert_file": "c.pem"}')
        self.check(status=78, DRAIN_TIMEOUT="60", STOP_GRACE_PERIOD="30")

    def test_healthcheck_reads_the_port_from_the_files(self):
        path = self.write("service_config.yaml", "server: {port: 1}")
        result = harness.run("healthcheck", env=harness.environment(CONFIG_FILES=str(path)))
        self.assertEqual(result.returncode, 1)
        self.assertIn("127.0.0.1:1", result.stderr)
        self.write("service_config.yaml", "server: {prot: 1}")  # edited while the service runs on what it said before
        result = harness.run("healthcheck", env=harness.environment(CONFIG_FILES=str(path), PORT="2"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("127.0.0.1:2", result.stderr)


class Serving(Files):
    def service(self, *flags, config, **variables):
        return harness.Service(harness.needs_demo(), "--config", config, *flags, cwd=self.folder, env=harness.environment(**variables))

    def wait_for(self, service, words, count=1):
        end = time.monotonic() + 30 * harness.PATIENCE
        while sum(words in line for line in service.errors) < count:
            self.assertIsNone(service.process.poll(), "".join(service.errors))
            self.assertLess(time.monotonic(), end, f"{words}: {service.errors}")
            time.sleep(0.02)

    def test_the_guides_files_serve(self):
        self.write("configs/model_config.yaml", GUIDE_MODEL)
        self.write("configs/service_config.yaml", GUIDE_SERVICE)
        with self.service("--metrics-port", "0", config="configs") as service:
            self.assertEqual(service.get("/model_info").json()["model_type"], "demo", "the name is of another folder")
            answer = service.post("/generate", {"prompt": "1+1=", "max_length": 5, "seed": 1}).json()
            self.assertLessEqual(answer["token_count"], 5)
            log = "".join(service.errors)
            self.assertEqual(log.count("memory.gradient_checkpointing"), 1)
            self.assertIn("configuration: configs/model_config.yaml", log)

    def test_keys_of_a_file_have_their_effect(self):
        path = self.write("f.yaml", "inference:\n  default_max_length: 3\nmonitoring:\n  health_check_interval: 1\n")
        with self.service(config=path) as service:
            self.assertEqual(service.post("/generate", {"prompt": "什么是AES加密算法？", "seed": 1}).json()["token_count"], 3)
            self.wait_for(service, "self-check: healthy, memory ")
            line = next(line for line in service.errors if "self-check" in line)
            self.assertRegex(line, r"INFO - self-check: \w+, memory \d+\.\d % used \(\d+\.\d of \d+\.\d GiB\), process \d+\.\d GiB")
        with self.service(config=path, MAX_LENGTH="2") as service:
            self.assertEqual(service.post("/generate", {"prompt": "什么是AES加密算法？", "seed": 1}).json()["token_count"], 2)

    def test_hangup_reads_the_log_level_again(self):
        path = self.write("f.yaml", "logging:\n  level: INFO\n")
        with self.service(config=path) as service:
            path.write_text("logging:\n  level: DEBUG\nserver:\n  timeout: 100\n", encoding="utf-8")
            service.process.send_signal(signal.SIGHUP)
            self.wait_for(service, "changed: logging.level from INFO to DEBUG")
            self.wait_for(service, "needs a restart: server.timeout from 300 to 100")
            path.write_text("logging:\n  levle: INFO\n", encoding="utf-8")
            service.process.send_signal(signal.SIGHUP)
            self.wait_for(service, "did you mean logging.level?")
            self.assertEqual(service.get("/readyz").status, 200)
            self.assertEqual(service.stop(), 0)

    def test_reload_starts_anew_when_a_file_changes(self):
        path = self.write("f.yaml", "inference:\n  default_max_length: 3\n")
        with harness.changed_model(harness.needs_demo()) as model:
            with harness.Service(model, "--config", path, "--reload", cwd=self.folder) as service:
                def token_count():
                    return service.post("/generate", {"prompt": "什么是AES加密算法？", "seed": 1}).json()["token_count"]

                def restarts(action):
                    pid, lines = service.process.pid, len([line for line in service.output if "ready:" in line])
                    action()
                    end = time.monotonic() + 60 * harness.PATIENCE
                    while len([line for line in service.output if "ready:" in line]) == lines:
                        self.assertLess(time.monotonic(), end, service.errors)
                        self.assertIsNone(service.process.poll(), service.errors)
                        time.sleep(0.05)
                    self.assertEqual(service.process.pid, pid)

                self.assertEqual(token_count(), 3)
                path.write_text("inference:\n  default_max_lenght: 4\n", encoding="utf-8")
                self.wait_for(service, "not restarted")
                self.assertEqual(token_count(), 3)
                restarts(lambda: path.write_text("inference:\n  default_max_length: 4\n", encoding="utf-8"))
                self.assertEqual(token_count(), 4)
                config = (model / "config.json").read_bytes()
                (model / "config.json").write_text("{", encoding="utf-8")
                self.wait_for(service, "could not be loaded, waiting for a change")
                restarts(lambda: (model / "config.json").write_bytes(config))
                self.assertEqual(token_count(), 4)
                self.assertEqual(service.stop(), 0)


if __name__ == "__main__":
    harness.main()
