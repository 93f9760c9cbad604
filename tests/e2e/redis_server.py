"""A real redis-server on a port or socket of its own, to be stopped, killed and filled; and a peer that only looks like one."""

import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from test_metrics import free_port


def needs_redis():
    if shutil.which("redis-server") is None or shutil.which("redis-cli") is None:
        raise unittest.SkipTest("redis-server is absent (apt-get install redis-server)")


class Redis:
    def __init__(self, *options, password=None):
        needs_redis()
        self.folder = tempfile.TemporaryDirectory()
        self.port, self.password = free_port(), password
        self.socket = pathlib.Path(self.folder.name) / "redis.sock"
        self.options = [*options, *(["--requirepass", password] if password else [])]
        self.process = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no",
             "--dir", self.folder.name, *self.options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while self.cli("PING") != "PONG":
            if time.monotonic() > end:
                raise AssertionError("redis-server does not start")
            time.sleep(0.02)
        return self

    def cli(self, *words, stdin=None):
        login = ["-a", self.password, "--no-auth-warning"] if self.password else []
        result = subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), *login, *words], capture_output=True, input=stdin, check=False)
        return result.stdout.decode("utf-8", "replace").strip()

    def keys(self):
        return [key for key in self.cli("--raw", "KEYS", "*").split("\n") if key]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        self.folder.cleanup()

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.close()


class Impostor:
    """Answers PING as Redis does, and every other command that holds `only` by `answer(connection)`; the rest is OK."""

    def __init__(self, answer, only=b""):
        self.answer, self.only = answer, only
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}"
        self.asked = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                while command := connection.recv(1 << 21):
                    if b"PING" in command:
                        connection.sendall(b"+PONG\r\n")
                        continue
                    if self.only not in command:
                        connection.sendall(b"+OK\r\n")
                        continue
                    self.asked += 1
                    if self.answer(connection) is False:
                        return
            except OSError:
                return

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.listener.close()
