"""Group C of the robustness list in any size: what the fast and the load tests of connections share."""

import contextlib
import json
import socket
import threading
import time

import harness
import load_client
from oracle import Oracle
from raw_http import RawClient

PROMPTS = ["47+85=?", "什么是AES加密算法？", "Sort 9 3 7 1", "What is a hash function?", "100 - 37", "Count the letters of q r s t"]


@contextlib.contextmanager
def endless_model():
    """The demo whose end token is one that no text has, which is never sampled: an answer is as long as it was asked to be."""
    never = lambda config: config.update(eos_token_id=2047)
    with harness.changed_model(harness.needs_demo(), generation_config=never, config=never) as model:
        yield model


def endless(length=20000, **fields):
    return {"prompt": "a", "max_length": length, "temperature": 1.0, "seed": 5, "stream": True, **fields}


@contextlib.contextmanager
def watched(model, *flags, **options):
    with harness.Service(model, *flags, **options) as service:
        yield service, Oracle(service)


class Crowd:
    """Connections that somebody else holds open: each sends `first`, then every `pause` seconds `drip`, and takes `take` bytes."""

    def __init__(self, port, count, first, drip=b"", pause=0.5, receive_buffer=None, take=0):
        self.sockets, self.stopped = [], threading.Event()
        for _ in range(count):
            client = socket.socket()
            if receive_buffer:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            client.settimeout(10 * harness.PATIENCE)
            client.connect(("127.0.0.1", port))
            client.setblocking(False)
            with contextlib.suppress(OSError):
                client.send(first)
            self.sockets.append(client)
        self.drip, self.pause, self.take = drip, pause, take
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while (self.drip or self.take) and not self.stopped.wait(self.pause):
            for client in self.sockets:
                with contextlib.suppress(OSError):
                    if self.drip:
                        client.send(self.drip)
                    if self.take:
                        client.recv(self.take)

    def statuses(self):
        """What each connection was answered so far: a status, 0 for an end without an answer, None for nothing yet."""
        result = []
        for client in self.sockets:
            try:
                data = client.recv(4096, socket.MSG_PEEK)
                result.append(int(data[9:12]) if data else 0)
            except BlockingIOError:
                result.append(None)
            except OSError:
                result.append(0)
        return result

    def close(self):
        self.stopped.set()
        self.thread.join()
        for client in self.sockets:
            client.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def crowd_of(service, count, tokens=40):
    """That many streaming requests, of which a few dozen differ."""
    bodies = [{"prompt": PROMPTS[i % len(PROMPTS)], "seed": i, "max_length": tokens, "thinking": i % 2 == 0, "stream": True, "temperature": 0.9}
              for i in range(min(count, 36))]
    alone = [service.post("/generate", {**body, "stream": False}).json() for body in bodies]
    return [(bodies[i % len(bodies)], alone[i % len(bodies)]) for i in range(count)]


def check_streams(test, service, oracle, count, rounds=3, **options):
    """All finish, each says what the same request says alone, and memory stays what it was after the first round."""
    load_client.allow_descriptors(2 * count + 200)
    wanted = crowd_of(service, count)
    requests = [load_client.post("/generate", body) for body, _ in wanted]
    keep = lambda answer: (answer["generated_text"], answer.get("reasoning"), answer["finish_reason"], answer["usage"])
    resident, rates = [], []
    for _ in range(rounds):
        start, cpu = time.monotonic(), load_client.cpu_seconds(oracle.pid)
        exchanges = load_client.run_all(service.port, requests, **options)
        seconds, cpu = time.monotonic() - start, load_client.cpu_seconds(oracle.pid) - cpu
        tokens = 0
        for exchange, (_, alone) in zip(exchanges, wanted):
            test.assertEqual(exchange.status, 200, bytes(exchange.received[:300]))
            events = exchange.events()
            test.assertEqual(events[-1], "[DONE]")
            final = json.loads(events[-2])
            test.assertEqual(keep(final), keep(alone))
            deltas = [json.loads(event) for event in events[:-2]]
            test.assertEqual("".join(delta.get("text", "") for delta in deltas), alone["generated_text"])
            tokens += final["token_count"]
        resident.append(oracle.resident())
        rates.append(tokens / seconds)
        print(f"{count} streams: {tokens} tokens in {seconds:.1f} s, {tokens / seconds:.0f}/s, server {1e6 * cpu / tokens:.0f} us per token, "
              f"resident {resident[-1] / 2**20:.1f} MiB", flush=True)
        oracle.check_service(test)
    # The first round makes the buffers that all later ones use.
    oracle.check_resident(test, resident[0] * 1.05 + (2 << 20))


def check_killed_mid_stream(test, service, oracle, count, kill):
    """C-01, C-02: of `count` endless streams `kill` clients vanish; then the others do. The gauges follow within a second."""
    load_client.allow_descriptors(2 * count + 200)
    clients = [RawClient(service.port) for _ in range(count)]
    test.addCleanup(lambda: [client.close() for client in clients])
    for i, client in enumerate(clients):
        client.send(load_client.post("/generate", endless(30_000, seed=i), f"X-Request-Id: kill-{i}\r\n"))
    for client in clients:
        test.assertTrue(client.fill())
    test.assertTrue(eventually_gauge(oracle, "qwen_streams_open", count))
    start = time.monotonic()
    for i, client in enumerate(clients[:kill]):
        client.reset() if i % 2 else client.close()
    test.assertTrue(eventually_gauge(oracle, "qwen_streams_open", count - kill, 1.0 + time.monotonic() - start))
    for client in clients[kill:]:
        client.close()
    start = time.monotonic()
    oracle.check_gauges(test, 1.0)
    print(f"{count} clients killed: every gauge back within {time.monotonic() - start:.2f} s", flush=True)
    for i in range(count):
        oracle.expect_line(f"kill-{i}", 499)
    oracle.check_log(test)
    oracle.check_service(test)


def eventually_gauge(oracle, name, value, seconds=10.0):
    end = time.monotonic() + seconds * harness.PATIENCE
    while oracle.gauges()[name] != value:
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def check_abort_storm(test, service, oracle, seconds, per_second):
    """C-15: connections that come and go in every state."""
    request = load_client.post("/generate", endless())
    resident, end, count = None, time.monotonic() + seconds, 0
    while time.monotonic() < end:
        begun = time.monotonic()
        for _ in range(per_second // 20):
            client = RawClient(service.port)
            client.send((b"", b"GET /he", request, request[:-5])[count % 4])
            client.reset() if count % 3 else client.close()
            count += 1
        time.sleep(max(0.0, 0.05 - (time.monotonic() - begun)))
        resident = resident or (oracle.resident() if time.monotonic() > end - seconds * 0.7 else None)
    oracle.check_service(test)
    print(f"{count} connections aborted", flush=True)
    oracle.check_resident(test, resident * 1.05 + (2 << 20))


def canary_seconds(oracle, count=40):
    """Latencies of the canary, sorted."""
    result = []
    for _ in range(count):
        start = time.monotonic()
        oracle.ask_canary()
        result.append(time.monotonic() - start)
    return sorted(result)


def check_slow_headers(test, service, oracle, count, timeout):
    """C-08: a crowd that never ends its headers is answered 408 in time and delays nobody."""
    load_client.allow_descriptors(2 * count + 200)
    before = canary_seconds(oracle)
    with Crowd(service.port, count, b"GET /health HTTP/1.1\r\nHost: a\r\n", b"X: 1\r\n", timeout / 10) as crowd:
        began = time.monotonic()
        during = canary_seconds(oracle)
        test.assertLess(during[-2], 2 * before[-2] + 0.05 * harness.PATIENCE)
        while None in crowd.statuses() and time.monotonic() - began < 3 * timeout + 10:
            time.sleep(0.1)
        test.assertEqual(set(crowd.statuses()), {408})
        test.assertLess(time.monotonic() - began, timeout + 3 * harness.PATIENCE)
    oracle.check_service(test)


def check_idle_crowd(test, service, oracle, count, bound):
    """C-10: more idle connections than there are places; whoever asks for something is served, and the bound holds."""
    load_client.allow_descriptors(2 * count + 200)
    with Crowd(service.port, bound - 20, b""):
        time.sleep(1.2)  # idle for long enough to give way
        with Crowd(service.port, count - bound + 20, b""):
            time.sleep(1.2)
            for _ in range(30):
                test.assertEqual(oracle.ask_canary(), oracle.canary)
            test.assertLessEqual(oracle.gauges()["qwen_connections_open"], bound)
            test.assertGreater(oracle.gauges()["qwen_connections_open"], bound // 2)
    oracle.check_service(test)
