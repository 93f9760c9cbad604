"""The commands of the deployment guide, as typed: in a root of its own (mount, network and user namespaces), where /app is a copy of what the
image holds and port 8000 is free, one service is started with all of the guide's variables and the lines run one after the other."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import harness

ENVIRONMENT = """\
# 模型配置
MODEL_PATH=/app/models/qwen3-4b-thinking
QUANTIZATION_FORMAT=int8
LOG_LEVEL=INFO

# 服务配置
HOST=0.0.0.0
PORT=8000
MAX_WORKERS=1

# GPU配置
CUDA_VISIBLE_DEVICES=0

# 推理配置
DEFAULT_MAX_LENGTH=512
DEFAULT_TEMPERATURE=0.7
DEFAULT_TOP_P=0.9
"""

EXPORTS = """\
export MODEL_PATH="./models/qwen3-4b-thinking"
export QUANTIZATION_FORMAT="int8"
export CUDA_MEMORY_FRACTION=0.8
export ENABLE_MIXED_PRECISION=true
export CUDA_LAUNCH_BLOCKING=0
export BATCH_SIZE=1
export ENABLE_CPU_OFFLOAD=true
export MAX_LENGTH=256
export TEMPERATURE=0.5
"""

GENERATE = '''curl -X POST "http://localhost:8000/generate" \\
  -H "Content-Type: application/json" \\
  -d '{
    "prompt": "什么是AES加密算法？",
    "max_length": 200,
    "temperature": 0.7
  }'
'''

BEFORE = ["mkdir -p ./models/qwen3-4b-thinking"]
COMMANDS = [
    "curl http://localhost:8000/health", "curl http://localhost:8000/model_info", GENERATE, "ls -la /app/models/qwen3-4b-thinking/",
    "chmod -R 755 /app/models/", "df -h", "curl -v http://localhost:8000/health",
    'grep "ERROR" /app/logs/service.log | tail -20',
    """grep "response_time" /app/logs/access.log | awk '{print $NF}' | sort -n""",
    'grep "memory" /app/logs/service.log | tail -10',
    "./scripts/daily_check.sh", "./scripts/weekly_maintenance.sh", "./scripts/monthly_report.sh",
    "tar -czf models_backup_$(date +%Y%m%d).tar.gz ./models/", "tar -czf configs_backup_$(date +%Y%m%d).tar.gz ./configs/",
    "tar -czf logs_archive_$(date +%Y%m%d).tar.gz ./logs/",
]

# What is not run here: of Docker (tests/ops/compose.sh), of Python, of the host, or no command at all.
ELSEWHERE = re.compile(r"docker|uv |pip |git clone|cd qwen-thinking-service|nvidia-smi|htop|ping localhost|http://localhost:(3000|9090)|CACHE_CONFIG = \{|"
                       r'    "(enable|ttl|max_size)": |\}$')

# Runs as root of its own namespaces: $1 the new root, $2 the binary's folder. Everything that the host has but /app, /tmp and /home.
ENTER_ROOT = r"""
set -eu
root=$1
ip link set lo up
for folder in bin etc lib lib32 lib64 proc sbin sys usr dev; do
  [ -e "/$folder" ] || continue
  if [ -L "/$folder" ]; then cp -a "/$folder" "$root/$folder"; continue; fi
  mkdir -p "$root/$folder"
  mount --rbind "/$folder" "$root/$folder"
done
mkdir -p "$root/tmp"
exec chroot "$root" /bin/bash /app/.test/run.sh
"""

RUN = r"""
cd /app
export HOME=/app PATH=/app/bin:/usr/local/bin:/usr/bin:/bin LC_ALL=C.UTF-8 no_proxy=localhost,127.0.0.1
bash -e .test/before || exit 1
set -a
. ./.env
. .test/exports
set +a
HEALTH_CHECK_INTERVAL=1 METRICS_PORT=0 qwen-thinking serve >.test/service 2>&1 &
service=$!
for _ in $(seq 600); do
  qwen-thinking healthcheck --url http://127.0.0.1:8000/readyz 2>/dev/null && break
  kill -0 $service 2>/dev/null || exit 1
  sleep 0.2
done
sleep 1.5
for command in .test/commands/*; do
  bash "$command" >".test/out.${command##*/}" 2>".test/err.${command##*/}"
  echo $? >".test/status.${command##*/}"
done
kill -TERM $service
wait $service
echo $? >.test/ended
"""


def unshare():
    """How to get into namespaces of one's own here, or None."""
    for flags in (["-m", "-n"], ["-r", "-m", "-n"]):
        if shutil.which("unshare") and shutil.which("ip") and subprocess.run(
                ["unshare", *flags, "sh", "-c", "ip link set lo up && mount -t tmpfs none /mnt"], capture_output=True).returncode == 0:
            return ["unshare", *flags]
    return None


class GuideCommands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        model, enter = harness.needs_demo(), unshare()
        if enter is None or shutil.which("curl") is None:
            raise unittest.SkipTest("no namespaces for this user (unshare, ip), or no curl")
        scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        cls.addClassCleanup(scratch.cleanup)
        cls.app = pathlib.Path(scratch.name) / "app"
        (cls.app / ".test/commands").mkdir(parents=True)
        for name in ("configs", "scripts"):
            shutil.copytree(harness.SOURCE / name, cls.app / name)
        (cls.app / "logs").mkdir()
        shutil.copytree(model, cls.app / "models/qwen3-4b-thinking")
        (cls.app / "bin").mkdir()
        shutil.copy(harness.BINARY, cls.app / "bin/qwen-thinking")
        (cls.app / ".env").write_text(ENVIRONMENT, encoding="utf-8")
        (cls.app / ".test/exports").write_text(EXPORTS)
        (cls.app / ".test/before").write_text("\n".join(BEFORE))
        (cls.app / ".test/run.sh").write_text(RUN)
        for number, command in enumerate(COMMANDS):
            (cls.app / f".test/commands/{number:02}").write_text(command, encoding="utf-8")
        env = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        inside = subprocess.run([*enter, "bash", "-c", ENTER_ROOT, "enter", scratch.name], env=env, capture_output=True, text=True,
                                 timeout=240 * harness.PATIENCE)
        log = cls.app / ".test/service"
        if not (cls.app / ".test/ended").exists():
            raise AssertionError(f"{inside.stdout}{inside.stderr}{log.read_text() if log.exists() else ''}")

    def outcome(self, command, expected=(0,)):
        number = f"{COMMANDS.index(command):02}"
        said, errors = ((self.app / f".test/{kind}.{number}").read_text(encoding="utf-8") for kind in ("out", "err"))
        self.assertIn(int((self.app / f".test/status.{number}").read_text()), expected, f"{command}: {said}{errors}")
        return said

    def has_log_files(self):
        return (self.app / "logs/access.log").exists()

    def test_the_service_started_with_every_variable_and_ended_well(self):
        self.assertEqual((self.app / ".test/ended").read_text().strip(), "0", (self.app / ".test/service").read_text())

    def test_curl(self):
        for command in COMMANDS[:2] + [GENERATE, "curl -v http://localhost:8000/health"]:
            with self.subTest(command=command):
                self.assertIsInstance(json.loads(self.outcome(command)), dict)

    def test_files_and_disk(self):
        self.assertIn("config.json", self.outcome("ls -la /app/models/qwen3-4b-thinking/"))
        self.outcome("chmod -R 755 /app/models/")
        self.assertIn("%", self.outcome("df -h"))

    def test_log_analysis(self):
        if not self.has_log_files():
            self.skipTest("this version writes no log files")
        self.outcome(COMMANDS[7])
        times = self.outcome(COMMANDS[8]).split()
        self.assertGreaterEqual(len(times), 4)
        self.assertEqual(times, sorted(times, key=float), "numbers, and nothing else")
        lines = self.outcome(COMMANDS[9]).splitlines()
        self.assertTrue(lines)
        self.assertRegex(lines[-1], r"memory .*%")

    def test_maintenance(self):
        daily = self.outcome("./scripts/daily_check.sh")
        self.assertIn("OK    ready", daily)
        self.assertIn("OK    generate", daily)
        weekly = self.outcome("./scripts/weekly_maintenance.sh")
        self.assertRegex(weekly, r"configs_backup_\S+\.tar\.gz: good")
        self.assertTrue(list((self.app / "backups").glob("logs_archive_*.tar.gz")))
        monthly = self.outcome("./scripts/monthly_report.sh", (0,) if self.has_log_files() else (66,))
        if self.has_log_files():
            report = next((self.app / "logs/reports").glob("report-*.md"))
            self.assertIn(report.name, monthly)
            self.assertRegex(report.read_text(), r"\| POST /generate \| \d+ ")

    def test_backups(self):
        for folder, prefix, expected in (("models", "models_backup", (0,)), ("configs", "configs_backup", (0,)), ("logs", "logs_archive", (0, 1))):
            with self.subTest(folder=folder):
                command = f"tar -czf {prefix}_$(date +%Y%m%d).tar.gz ./{folder}/"
                self.outcome(command, expected)  # 1: a line was logged meanwhile
                archive = next(self.app.glob(f"{prefix}_*.tar.gz"))
                listed = subprocess.run(["tar", "-tzf", archive], capture_output=True, text=True)
                self.assertEqual(listed.returncode, 0, listed.stderr)
                self.assertIn(f"./{folder}/", listed.stdout)


class TheGuideItself(unittest.TestCase):
    def test_every_command_of_the_guide_is_here(self):
        path = harness.SHARED.parent / "spec" / "deployment-guide.zh.md"
        if not path.exists():
            self.skipTest(f"{path} is absent")
        guide = path.read_text(encoding="utf-8")
        known = "\n".join([ENVIRONMENT, EXPORTS, *BEFORE, *COMMANDS]).splitlines()
        for block in re.findall(r"^```bash\n(.*?)^```", guide, re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                if line.strip() and not line.lstrip().startswith("#") and not ELSEWHERE.match(line):
                    self.assertIn(line, known)


if __name__ == "__main__":
    harness.main()
