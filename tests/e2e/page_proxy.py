"""A server between the browser and the service that makes the service slow, absent or hostile, as a test asks.

Everything is passed on, one piece of a stream every `pace` seconds. `script` holds answers that stand in for the next ones of
/v1/chat/completions: ("events", [delta, …]) a made-up stream, ("cut", n) the connection lost after n events, ("status", code, body,
headers) an error; `health` stands in for /health while it is set. Streams have the id REQUEST_ID; `controls` holds the paths of words on it,
each of which is answered as the next of `control_script` says: a status.
"""

import http.server
import json
import threading
import time

CHAT = "/v1/chat/completions"
REQUEST_ID = "page-1"


class PageProxy:
    def __init__(self, service):
        self.service = service
        self.pace = 0
        self.script = []
        self.health = None
        self.requests = []  # bodies that the page sent to CHAT
        self.authorization = None  # of the last of them
        self.controls, self.control_script = [], []
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if self.path == "/health" and proxy.health is not None:
                    return self.reply(503, json.dumps(proxy.health).encode(), {"Content-Type": "application/json"})
                answer = proxy.service.request("GET", self.path)
                self.reply(answer.status, answer.body, passed_on(answer.headers))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                if self.path.startswith("/requests/"):
                    proxy.controls.append(self.path)
                    status = proxy.control_script.pop(0) if proxy.control_script else 200
                    return self.reply(status, b'{"error":{"code":"x","message":""}}', {"Content-Type": "application/json"})
                if self.path == CHAT:
                    proxy.requests.append(json.loads(body))
                    proxy.authorization = self.headers["Authorization"]
                step = proxy.script.pop(0) if proxy.script and self.path == CHAT else ("pass",)
                if step[0] == "status":
                    return self.reply(step[1], json.dumps(step[2]).encode(), {"Content-Type": "application/json", **step[3]})
                if step[0] == "events":
                    return self.stream([chunk(delta) for delta in step[1]] + ['{"choices":[{"delta":{},"finish_reason":"stop"}]}', "[DONE]"])
                payloads = proxy.service.stream(self.path, json.loads(body))
                self.stream(payloads, step[1] if step[0] == "cut" else None)

            def stream(self, payloads, most=None):
                self.close_connection = True
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.send_header("X-Request-Id", REQUEST_ID)
                self.end_headers()
                for i, payload in enumerate(payloads):
                    if i == most:
                        return
                    for piece in pieces(payload):
                        try:
                            self.wfile.write(f"data: {piece}\n\n".encode())
                            self.wfile.flush()
                        except OSError:
                            return  # the page has stopped it
                        time.sleep(proxy.pace)

            def reply(self, status, body, headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *unused):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/"

    def reset(self):
        self.pace, self.script, self.health, self.authorization = 0, [], None, None
        self.requests.clear()
        self.controls.clear()
        self.control_script.clear()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def passed_on(headers):
    return {name: value for name, value in headers.items() if name not in ("Date", "Connection", "Content-Length", "Transfer-Encoding")}


def chunk(delta):
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})


def pieces(payload):
    """A fast service puts many tokens into one event; here every few characters come alone."""
    if payload == "[DONE]":
        return [payload]
    event = json.loads(payload)
    for choice in event.get("choices", []):
        for field in ("reasoning_content", "content"):
            text = choice["delta"].get(field) or ""
            if len(text) > 4:
                return [chunk({field: text[i:i + 4]}) for i in range(0, len(text), 4)]
    return [payload]
