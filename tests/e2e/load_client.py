"""Thousands of HTTP requests at once from one process: asyncio protocols that collect bytes and look at them only at the end, so that the
measured machine is the server's and not the client's.
"""

import asyncio
import json
import math
import os
import resource
import selectors
import socket
import time

import harness


def allow_descriptors(count):
    """A connection is a descriptor; the usual soft limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard) if hard != resource.RLIM_INFINITY else count, hard))


def post(path, body, headers=""):
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}"
            f"Content-Length: {len(payload)}\r\n\r\n").encode() + payload


class Exchange(asyncio.Protocol):
    """One request on a connection of its own; `done` is set once the answer is complete or the connection is lost."""

    def __init__(self, request, stop_after=None):
        self.request, self.stop_after = request, stop_after
        self.done = asyncio.get_running_loop().create_future()
        self.received = bytearray()
        self.first_byte = None
        self.length = None  # of the whole answer, once its head is there; infinite where chunks tell the end
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data):
        if self.first_byte is None:
            self.first_byte = time.monotonic()
        self.received += data
        if self.received.endswith(b"\r\n0\r\n\r\n") or self._whole():
            self.finish()
        elif self.stop_after and len(self.received) >= self.stop_after:
            self.transport.abort()  # a reset, as from a client that was killed
            self.finish()

    def _whole(self):
        if self.length is None:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = bytes(self.received[:end]).lower()
            at = head.find(b"content-length:")
            self.length = end + 4 + int(head[at + 15:].split(b"\r\n")[0]) if at >= 0 else math.inf
        return len(self.received) >= self.length

    def connection_lost(self, error):
        self.finish()

    def finish(self):
        if not self.done.done():
            self.done.set_result(None)
        self.transport.close()

    @property
    def status(self):
        return int(self.received[9:12]) if len(self.received) > 12 else 0

    def body(self):
        head, _, rest = bytes(self.received).partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" not in head.lower():
            return rest
        pieces = []
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            if length == 0:
                break
            pieces.append(rest[:length])
            rest = rest[length + 2:]
        return b"".join(pieces)

    def events(self):
        """The payloads of the stream, "[DONE]" included; comments are left out."""
        return [event[6:].decode() for event in self.body().split(b"\n\n") if event.startswith(b"data: ")]


async def exchange_all(port, requests, stop_after=None, timeout=300):
    """All requests at once. stop_after: bytes after which a client aborts, or None; one value or one for each."""
    loop = asyncio.get_running_loop()
    limits = stop_after if isinstance(stop_after, list) else [stop_after] * len(requests)

    async def one(request, limit):
        for attempt in range(20):  # the backlog of the listening socket is finite
            try:
                _, exchange = await loop.create_connection(lambda: Exchange(request, limit), "127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0.05 * (attempt + 1))
        await asyncio.wait_for(exchange.done, timeout * harness.PATIENCE)
        return exchange

    return await asyncio.gather(*(one(request, limit) for request, limit in zip(requests, limits)))


def run_all(port, requests, **options):
    return asyncio.run(exchange_all(port, requests, **options))


def stream_all(port, requests, timeout=300):
    """The same for a steady load: all requests at once, the whole answers as bytes. The kernel collects each and wakes this process at its
    end, so that the measured server has the processor to itself. Each request has to ask for "Connection: close"."""
    answers = {}
    with selectors.DefaultSelector() as selector:
        for request in requests:
            client = socket.create_connection(("127.0.0.1", port))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 << 20)
            client.sendall(request)
            answers[client] = bytearray()
            selector.register(client, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(timeout * harness.PATIENCE)
            assert ready, "no answer in time"
            for key, _ in ready:
                data = key.fileobj.recv(1 << 20)
                answers[key.fileobj] += data
                if not data:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
    return list(answers.values())


# --- what the server used ---------------------------------------------------------------------------------------------


def cpu_seconds(pid, name=None):
    """Processor time of the process, or of its threads whose name begins with `name`."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/stat", encoding="utf-8") as file:
                text = file.read()
        except OSError:
            continue  # a thread that has just ended
        comm, rest = text[text.index("(") + 1: text.rindex(")")], text[text.rindex(")") + 2:].split()
        if name is None or comm.startswith(name):
            total += int(rest[11]) + int(rest[12])
    return total / ticks


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="utf-8") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
