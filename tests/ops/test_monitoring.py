"""monitoring/ as a whole: a Prometheus with its rules scrapes a live service, and every expression of the dashboard, every metric of an
alert and every name of vLLM is there. promtool runs the alerts' own tests."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import certificates  # noqa: E402
import harness  # noqa: E402
from test_nginx import free_port  # noqa: E402

MONITORING = harness.SOURCE / "monitoring"
DASHBOARD = MONITORING / "grafana" / "dashboards" / "qwen.json"
VARIABLES = {"$__rate_interval": "10s", "$job": ".*", "$instance": ".*"}
METRIC = re.compile(r"\b(?:(?:qwen|http|memory|cpu|process)_\w+|(?:qwen|vllm):[\w:]+|up)\b")
ROWS = ["Overview", "Latency", "Load", "Memory and processor", "Edges"]


def panels():
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]


def dashboard_expressions():
    for panel in panels():
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


def rules(file):
    """(kind, name, expression) of every rule; the files are flat enough for this to be all of YAML that is needed."""
    text = re.sub(r">-\n\s+", "", (MONITORING / file).read_text(encoding="utf-8"))
    return re.findall(r"- (alert|record): (\S+)\n\s+expr: (.*?)(?=\n\s+(?:- |for:|- name)|\n\n|\Z)", text, re.S)


def metrics_of(expression):
    without_labels = re.sub(r'\{[^}]*\}|"[^"]*"|\b(?:by|on|group_left) \([^)]*\)', "", expression)
    return set(METRIC.findall(without_labels))


@unittest.skipIf(shutil.which("promtool") is None, "promtool is absent (Debian package prometheus)")
class Files(unittest.TestCase):
    def promtool(self, *arguments):
        result = subprocess.run(["promtool", *arguments], cwd=MONITORING, capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_promtool_accepts_them(self):
        self.promtool("check", "config", "--syntax-only", "prometheus.yml")  # the key's file is made when the container starts
        self.promtool("check", "rules", "alerts.yml", "recording_rules.yml")

    def test_the_alerts_do_what_their_tests_say(self):
        self.promtool("test", "rules", "alerts_test.yml")

    def test_every_alert_is_tested_both_ways(self):
        tests = (MONITORING / "alerts_test.yml").read_text(encoding="utf-8")
        for _, name, _ in (rule for rule in rules("alerts.yml") if rule[0] == "alert"):
            with self.subTest(name):
                self.assertRegex(tests, rf"alertname: {name}\n\s+exp_alerts:\n")
                self.assertRegex(tests, rf"alertname: {name}\n\s+exp_alerts: \[\]")

    def test_the_guides_two_alerts_are_the_guides(self):
        found = {name: expression.strip() for _, name, expression in rules("alerts.yml")}
        self.assertEqual(found["HighErrorRate"], 'rate(http_requests_total{status=~"5.."}[5m]) > 0.1')
        self.assertEqual(found["HighMemoryUsage"], "memory_usage_percent > 90")


class Dashboard(unittest.TestCase):
    def test_it_is_well_formed(self):
        ids = [panel["id"] for panel in panels()]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual([panel["title"] for panel in panels() if panel["type"] == "row"], ROWS)
        self.assertEqual(set(re.findall(r'"uid": "([^"]*)"', DASHBOARD.read_text(encoding="utf-8"))), {"${datasource}", "qwen-thinking"})
        places = [tuple(panel["gridPos"].values()) for panel in panels()]
        self.assertEqual(len(places), len(set(places)))


@unittest.skipIf(shutil.which("prometheus") is None, "prometheus is absent (Debian package prometheus)")
class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        metrics_port, cls.port = free_port(), free_port()
        cls.folder = tempfile.TemporaryDirectory()
        root = pathlib.Path(cls.folder.name)
        authority = certificates.Authority(root)
        certificate, key = authority.issue("qwen.example.com", days=60)
        keys = {"app": "the-key-of-the-app", "prometheus": {"key": "the-key-of-prometheus", "scopes": "metrics"}}
        cls.service = harness.Service(harness.needs_demo(), "--metrics-port", metrics_port, "--threads", 1, "--ssl-certfile", certificate,
                                      "--ssl-keyfile", key, "--log-file", root / "service.log",
                                      env=harness.environment(API_KEYS=json.dumps(keys)), tls=authority.client(), key="the-key-of-the-app")
        (root / "metrics_api_key").write_text("the-key-of-prometheus", encoding="utf-8")
        for file in ("alerts.yml", "recording_rules.yml"):
            shutil.copy(MONITORING / file, root)
        text = (MONITORING / "prometheus.yml").read_text(encoding="utf-8").replace("15s", "1s")
        text, count = re.subn(r"dns_sd_configs:\n.*?(?=\n\n)", f"static_configs:\n      - targets: ['127.0.0.1:{metrics_port}']", text, flags=re.S)
        assert count == 1
        # As its comments say for a service with SSL_CONFIG; the test's certificate is of an address.
        text = re.sub(r"# (scheme: https|tls_config:|  ca_file: ca.pem|  server_name: )(qwen.example.com)?", lambda found: found[1] + ("localhost" if found[2] else ""), text)
        text = text.replace("/tmp/metrics_api_key", str(root / "metrics_api_key"))
        (root / "prometheus.yml").write_text(text.replace("localhost:9090", f"127.0.0.1:{cls.port}"), encoding="utf-8")
        cls.prometheus = subprocess.Popen(
            ["prometheus", f"--config.file={root}/prometheus.yml", f"--storage.tsdb.path={root}/data", f"--web.listen-address=127.0.0.1:{cls.port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            cls.fill()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.prometheus.terminate()
        cls.prometheus.wait(20)
        cls.folder.cleanup()
        cls.service.close()

    @classmethod
    def ask(cls, path, **query):
        url = f"http://127.0.0.1:{cls.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=10) as answer:
            return json.load(answer)["data"]

    @classmethod
    def fill(cls):
        """Requests of every kind, until a scrape has met one that runs."""
        end = time.monotonic() + 60 * harness.PATIENCE
        while time.monotonic() < end:
            cls.service.post("/generate", {"prompt": "358 + 467 = ?", "thinking": True})
            cls.service.post("/generate", {"unknown": 1})
            for _ in cls.service.stream("/generate", {"prompt": "什么是AES加密算法？", "max_length": 512, "stream": True, "raw": True}):
                pass
            try:
                if cls.ask("query", query="qwen:generated_tokens_per_running:rate5m")["result"]:
                    return
            except OSError:
                time.sleep(0.2)  # it starts
        raise AssertionError("Prometheus has no figures of a running request")

    def test_every_expression_of_the_dashboard_has_an_answer(self):
        for title, expression in dashboard_expressions():
            with self.subTest(title, expression=expression):
                self.assertTrue(self.ask("query", query=expression)["result"])

    def test_every_metric_of_rules_and_dashboard_exists(self):
        there = set(self.ask("label/__name__/values"))
        expressions = [expression for file in ("alerts.yml", "recording_rules.yml") for _, _, expression in rules(file)]
        expressions += [expression for _, expression in dashboard_expressions()]
        named = set().union(*map(metrics_of, expressions))
        self.assertGreater(len(named), 40)
        self.assertLessEqual(named - {name for name in named if re.fullmatch(r"qwen:http_errors:ratio_rate(30m|1h|6h)", name)}, there)

    def test_every_rule_is_evaluated_without_error(self):
        evaluated = [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]
        self.assertEqual([rule["name"] for rule in evaluated if rule["health"] != "ok"], [])
        self.assertEqual(len(evaluated), len(rules("alerts.yml")) + len(rules("recording_rules.yml")))

    def test_a_healthy_service_raises_no_alert(self):
        self.assertEqual([alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"], [])

    def test_vllms_names_have_its_label(self):
        for name in {name for _, name, _ in rules("recording_rules.yml") if name.startswith("vllm:")}:
            with self.subTest(name):
                self.assertTrue(self.ask("query", query=f'{name}{{model_name="demo"}}')["result"])


if __name__ == "__main__":
    harness.main()
