"""What the end-to-end tests share: where things are, running the binary, a service as a context manager, HTTP by the standard library.

Environment, set by tests/e2e/CMakeLists.txt: QWEN_BINARY, QWEN_SOURCE_DIR, QWEN_SHARED_DATA. Run one file by hand with
`QWEN_BINARY=build/qwen-thinking python3 tests/e2e/test_serve.py`.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SOURCE = pathlib.Path(os.environ.get("QWEN_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
BINARY = os.environ.get("QWEN_BINARY", str(SOURCE / "build" / "qwen-thinking"))
SHARED = pathlib.Path(os.environ.get("QWEN_SHARED_DATA", SOURCE.parent / "shared" / "data"))
DEMO = SOURCE / "models" / "demo"
# Sanitized builds are several times slower; every limit on waiting is multiplied by this.
PATIENCE = float(os.environ.get("QWEN_TEST_PATIENCE", "1"))
SKIPPED_STATUS = 77  # ctest's SKIP_RETURN_CODE

CONFIG_VARIABLES = re.compile(r"^(MODEL_PATH|HOST|PORT|KERNELS|THREADS|MAX_\w+|DEFAULT_\w+|TEMPERATURE|TOP_P|QUANTIZATION_FORMAT|HEAD_FORMAT|LOG_LEVEL|"
                              r"BATCH_SIZE|API_KEYS|CACHE_\w+|REDIS_\w+|WEIGHTS|CHAT_TEMPLATE|DEMO|\w+_TIMEOUT|METRICS_PORT|ENABLE_\w+|CONFIG_FILES?|CUDA_\w+|GPU_ID|"
                              r"BATCH_CONFIG|SSL_\w+|\w+_PER_MINUTE|OPEN_ROUTES|CORS_ORIGINS|TRUSTED_PROXIES|DRAIN_GRACE|LISTEN_WHILE_LOADING|ENGINE_WATCHDOG|NOTIFY_SOCKET|WATCHDOG_\w+|LOG_\w+|HEALTH_CHECK_INTERVAL|STOP_GRACE_PERIOD|GRADIENT_CHECKPOINTING)$")

SLOW_LIMITS = {"REQUEST_TIMEOUT": 300, "MAX_WAIT": 60, "WRITE_STALL_TIMEOUT": 30}  # the defaults


def environment(**extra):
    """The test's own environment and folder decide nothing: configuration variables are removed, and no file is read."""
    kept = {key: value for key, value in os.environ.items() if not CONFIG_VARIABLES.match(key)}
    if PATIENCE > 1:  # a service that is slow on purpose has more time, too
        kept.update({key: str(int(seconds * PATIENCE)) for key, seconds in SLOW_LIMITS.items()})
    kept["CONFIG_FILES"] = "none"
    kept["DRAIN_GRACE"] = "0"  # no balancer has to learn that a service ends
    kept.update(extra)
    return kept


def run(*arguments, stdin="", timeout=120, env=None, cwd=None):
    return subprocess.run([BINARY, *map(str, arguments)], input=stdin, capture_output=True, text=True, encoding="utf-8",
                          timeout=timeout * PATIENCE, env=env or environment(), cwd=cwd)


def run_jsonl(*arguments, lines, timeout=300):
    """Feeds objects to a --jsonl command and returns its answers, one for each."""
    result = run(*arguments, "--jsonl", stdin="".join(json.dumps(line) + "\n" for line in lines), timeout=timeout)
    if result.returncode != 0:
        raise AssertionError(f"exit {result.returncode}: {result.stderr}")
    answers = [json.loads(line) for line in result.stdout.split("\n") if line]
    if len(answers) != len(lines):
        raise AssertionError(f"{len(lines)} lines in, {len(answers)} out")
    return answers


def read_jsonl(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def needs_shared(*parts):
    """The path below the shared golden data; the test is skipped, visibly, where it is absent."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        raise unittest.SkipTest(f"{path} is absent (set QWEN_SHARED_DATA)")
    return path


def needs_demo():
    if not (DEMO / "model.safetensors").exists():
        raise unittest.SkipTest(f"{DEMO} holds no weights")
    return DEMO


@contextlib.contextmanager
def changed_model(source, **changes):
    """A copy of a model folder. changes: file name without suffix dots → function of the parsed JSON (mutates it)."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / pathlib.Path(source).name
        copy.mkdir()
        for item in pathlib.Path(source).iterdir():
            if item.suffix in (".json", ".txt", ".jinja"):
                shutil.copy(item, copy / item.name)
            elif item.is_file():
                (copy / item.name).symlink_to(item.resolve())
        for stem, change in changes.items():
            path = copy / f"{stem}.json"
            value = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            change(value)
            path.write_text(json.dumps(value), encoding="utf-8")
        yield copy


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return json.loads(self.body)


class Service:
    """`qwen-thinking serve` on a port of the loopback interface (0: a free one). Waits until it is ready unless told not to. `tls`: an
    ssl.SSLContext of clients, where it speaks HTTPS; `key`: the API key that requests carry."""

    tls = key = None

    def __init__(self, model, *flags, port=0, wait_ready=True, env=None, cwd=None, preexec=None, tls=None, key=None):
        self.tls, self.key = tls, key
        self.process = subprocess.Popen([BINARY, "serve", "--model", str(model), "--host", "127.0.0.1", "--port", str(port), *map(str, flags)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
                                        env=env or environment(), cwd=cwd, preexec_fn=preexec)
        self.output, self.errors = [], []
        self._listening = threading.Event()
        self.port = None
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                         for pair in ((self.process.stdout, self.output), (self.process.stderr, self.errors))]
        for reader in self._readers:
            reader.start()
        try:
            self._wait_listening(30 * PATIENCE)
            if wait_ready:
                self.wait_ready()
        except BaseException:
            self.close()
            raise

    def _read(self, pipe, lines):
        for line in pipe:
            lines.append(line)
            match = re.search(r"listening on https?://127\.0\.0\.1:(\d+)", line)
            if match:
                self.port = int(match.group(1))
                self._listening.set()
        self._listening.set()

    def _wait_listening(self, seconds):
        self._listening.wait(seconds)
        if self.port is None:
            self.process.kill()
            raise AssertionError(f"the service does not listen; exit {self.process.wait()}: {''.join(self.errors)}")

    def wait_ready(self, seconds=120):
        end = time.monotonic() + seconds * PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the service ended, exit {self.process.returncode}: {''.join(self.errors)}")
            if self.get("/readyz").status == 200:
                return
            time.sleep(0.05)
        raise AssertionError("the service did not become ready")

    def connection(self, timeout=300):
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout * PATIENCE, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout * PATIENCE)

    def headers(self):
        return {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.key}"} if self.key else {})}

    def request(self, method, path, body=None, headers=None):
        connection = self.connection()
        try:
            payload = None if body is None else body if isinstance(body, (bytes, str)) else json.dumps(body).encode()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # an answer may come before the body was read
                connection.request(method, path, payload, {**self.headers(), **(headers or {})})
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.request("GET", path, headers=headers)

    def post(self, path, body):
        return self.request("POST", path, body)

    def stream(self, path, body):
        """The `data:` payloads of a server-sent event stream, "[DONE]" included."""
        connection = self.connection()
        try:
            connection.request("POST", path, json.dumps(body).encode(), self.headers())
            response = connection.getresponse()
            if response.status != 200:
                raise AssertionError(f"HTTP {response.status}: {response.read().decode()}")
            if not response.headers["Content-Type"].startswith("text/event-stream"):
                raise AssertionError(f"Content-Type {response.headers['Content-Type']}")
            for line in response:
                if line.startswith(b"data:"):
                    yield line[5:].strip().decode("utf-8")
        finally:
            connection.close()

    def stop(self, number=signal.SIGTERM, timeout=60):
        """Sends the signal and returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout * PATIENCE)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def main():
    """Runs the calling file's tests; status 77 where every one of them was skipped, so that ctest shows it."""
    program = unittest.main(module="__main__", verbosity=2, exit=False)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED_STATUS if result.testsRun > 0 and len(result.skipped) >= result.testsRun else 0)
