"""HTTP byte for byte: what http.client refuses to send, and every answer on the connection."""

import contextlib
import re
import socket
import time

import harness

SECONDS = 10


class RawAnswer:
    def __init__(self, head, body):
        self.status = int(head[9:12])
        self.head = head.decode("latin-1")
        self.body = body

    def header(self, name):
        match = re.search(rf"(?im)^{re.escape(name)}: *([^\r\n]*)", self.head)
        return match.group(1) if match else None


class RawClient:
    def __init__(self, port, receive_buffer=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(SECONDS * harness.PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.buffer = b""
        self.ended = False

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes so that the other side sees a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, data):
        """False where the server has closed its side already."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def half_close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def fill(self, seconds=None):
        """Takes what comes next; False at the end of the connection or of the time."""
        if self.ended:
            return False
        self.socket.settimeout(seconds or SECONDS * harness.PATIENCE)
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            return False
        except ConnectionResetError:
            data = b""
        self.ended = not data
        self.buffer += data
        return bool(data)

    def answer(self, to_head=False):
        """The next answer, or None where the connection ends (or stays silent) before it."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.fill():
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        answer = RawAnswer(head, b"")
        if to_head or answer.status in (100, 204, 304):
            return answer
        if (length := answer.header("Content-Length")) is not None:
            answer.body = self.take(int(length))
        elif answer.header("Transfer-Encoding") == "chunked":
            answer.body = self.take_chunks()
        else:
            while self.fill():
                pass
            answer.body, self.buffer = self.buffer, b""
        return answer

    def take(self, size):
        while len(self.buffer) < size and self.fill():
            pass
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def take_line(self):
        while b"\r\n" not in self.buffer and self.fill():
            pass
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def take_chunks(self):
        body = b""
        while True:
            line = self.take_line()
            size = int(line, 16) if line else 0
            body += self.take(size)
            self.take(2)
            if size == 0:
                return body

    def closed(self, seconds=None):
        """The server closes, and says nothing more."""
        end = time.monotonic() + (seconds or SECONDS * harness.PATIENCE)
        while self.fill(max(0.01, end - time.monotonic())):
            pass
        return self.ended and not self.buffer


def post(path, body, headers=""):
    payload = body if isinstance(body, bytes) else body.encode()
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}"
            f"Content-Length: {len(payload)}\r\n\r\n").encode() + payload


def get(path, headers=""):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()
