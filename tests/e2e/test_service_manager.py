"""What a service manager is told (sd_notify), over a real socket; and that an engine that hangs is not kept alive."""

import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import tempfile
import threading
import time
import unittest

import connection_cases as cases
import harness
from test_workers import children, eventually

PTRACE_ATTACH, PTRACE_DETACH, WALL = 16, 17, 0x40000000


class Manager:
    """The receiving side: datagrams with their times."""

    def __init__(self, watchdog_seconds=None):
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(pathlib.Path(self.folder.name) / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.lines = []
        self.watchdog = watchdog_seconds
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with contextlib.suppress(OSError):
            while True:
                for line in self.socket.recv(4096).decode().splitlines():
                    self.lines.append((time.monotonic(), line))

    def environment(self):
        extra = {"NOTIFY_SOCKET": self.path}
        if self.watchdog:
            extra["WATCHDOG_USEC"] = str(int(self.watchdog * 1e6))
        return harness.environment(**extra)

    def said(self, text):
        return [when for when, line in self.lines if line == text or line.startswith(text)]

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()
        self.folder.cleanup()


@contextlib.contextmanager
def stopped_engine(pid):
    """The engine's thread of that process stands still; all others go on."""
    libc = ctypes.CDLL(None, use_errno=True)
    thread = next(int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir() if (task / "comm").read_text().strip() == "engine")
    if libc.ptrace(PTRACE_ATTACH, thread, None, None) != 0:
        raise unittest.SkipTest(f"ptrace is not allowed: {os.strerror(ctypes.get_errno())}")
    os.waitpid(thread, WALL)
    try:
        yield
    finally:
        if libc.ptrace(PTRACE_DETACH, thread, None, None) != 0:  # killed meanwhile; nobody else may bury it before
            os.waitpid(thread, WALL)


class Notifications(unittest.TestCase):
    def test_the_life_of_a_service(self):
        for flags in ([], ["--workers", 2]):
            with self.subTest(flags), Manager() as manager:
                with harness.Service(harness.needs_demo(), *flags, env=manager.environment()) as service:
                    self.assertTrue(eventually(lambda: manager.said("READY=1")))
                    self.assertTrue(manager.said("EXTEND_TIMEOUT_USEC="))
                    self.assertLess(manager.said("STATUS=loading")[0], manager.said("READY=1")[0])
                    service.process.send_signal(signal.SIGHUP)
                    self.assertTrue(eventually(lambda: len(manager.said("READY=1")) == 2))
                    order = [line.split("=")[0] for _, line in manager.lines if line.startswith(("READY", "RELOADING", "MONOTONIC"))]
                    self.assertEqual(order, ["READY", "RELOADING", "MONOTONIC_USEC", "READY"])
                    self.assertFalse(manager.said("WATCHDOG=1"))  # nobody asked
                    self.assertEqual(service.stop(), 0)
                self.assertEqual(len(manager.said("STOPPING=1")), 1)

    def test_the_watchdog_is_not_fed_while_the_engine_hangs(self):
        with Manager(watchdog_seconds=1) as manager:
            with harness.Service(harness.needs_demo(), "--engine-watchdog", 1, env=manager.environment()) as service:
                self.assertTrue(eventually(lambda: len(manager.said("WATCHDOG=1")) >= 3))
                with stopped_engine(service.process.pid):
                    self.assertTrue(eventually(lambda: service.get("/livez").status == 503))
                    time.sleep(0.5)
                    fed = len(manager.said("WATCHDOG=1"))
                    time.sleep(1)
                    self.assertEqual(len(manager.said("WATCHDOG=1")), fed)
                    self.assertTrue(manager.said("STATUS=the engine hangs"))
                self.assertTrue(eventually(lambda: len(manager.said("WATCHDOG=1")) > fed))
                self.assertEqual(service.get("/livez").status, 200)

    def test_a_worker_whose_engine_hangs_is_replaced(self):
        with cases.endless_model() as model, Manager(watchdog_seconds=1) as manager:
            flags = ["--workers", 2, "--threads", 1, "--engine-watchdog", 2]
            with harness.Service(model, *flags, env=manager.environment()) as service:
                self.assertTrue(eventually(lambda: manager.said("STATUS=2 of 2 workers ready")))
                before = children(service.process.pid)
                with stopped_engine(before[1]):
                    self.assertTrue(eventually(lambda: any("engine of worker 1 hangs" in line for line in service.errors)))
                self.assertTrue(eventually(lambda: len(children(service.process.pid)) == 2 and children(service.process.pid)[1] != before[1]))
                self.assertEqual(children(service.process.pid)[0], before[0])
                self.assertTrue(eventually(lambda: service.get("/health").json()["workers"]["ready"] == 2))
                last = manager.said("WATCHDOG=1")
                self.assertTrue(eventually(lambda: len(manager.said("WATCHDOG=1")) > len(last)))  # the supervisor itself was well


if __name__ == "__main__":
    harness.main()
