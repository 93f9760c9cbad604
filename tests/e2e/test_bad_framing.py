"""Group H of the robustness list over raw sockets: bytes that are no HTTP request, or more than one at a time depending on who reads them.
Every one is answered with its status (or closed), ends the connection, runs nothing that hides behind it, and leaves the service as it was.
"""

import json
import time
import unittest

import harness
from oracle import Oracle
from raw_http import RawClient, get, post

BODY = b'{"prompt":"a","max_length":2,"temperature":0}'
HIDDEN = post("/generate", BODY, "X-Request-Id: smuggled\r\n")  # comes after a bad request and must not run
JSON_TYPE = b"Content-Type: application/json\r\n"


def head(fields=b"", line=b"POST /generate HTTP/1.1", host=b"Host: a\r\n"):
    return line + b"\r\n" + host + JSON_TYPE + fields + b"\r\n"


def length(value):
    return head(b"Content-Length: " + value + b"\r\n")


def chunked(body, fields=b""):
    return head(b"Transfer-Encoding: chunked\r\n" + fields) + body


def chunks(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


# (case, bytes, status): answered with one error, then closed. The hidden request is sent behind each.
REFUSED = [
    ("H-01 garbage", b"\x00\x01\x02\x03\r\n\r\n", 400),
    ("H-01 text", b"hello\r\n\r\n", 400),
    ("H-01 TLS ClientHello", bytes.fromhex("16030100c8010000c40303") + bytes(100), 400),
    ("H-01 HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("H-01 SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
    ("H-02 0.9", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    ("H-02 0.9 without version", b"GET /\r\n\r\n", 400),
    ("H-02 2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("H-02 1.9", b"GET / HTTP/1.9\r\nHost: a\r\n\r\n", 505),
    ("H-02 1.10", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
    ("H-02 lower case", b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    ("H-02 no slash", b"GET / HTTP1.1\r\nHost: a\r\n\r\n", 400),
    ("H-02 trailing space", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    ("H-03 long method", b"A" * 10_000 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("H-03 method of no token", b"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("H-03 CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("H-04 8 KB target", head(line=b"GET /" + b"a" * 8192 + b" HTTP/1.1"), 414),
    ("H-04 64 KB target", head(line=b"GET /" + b"a" * 65536 + b" HTTP/1.1"), 414),
    ("H-04 %00", head(line=b"GET /a%00b HTTP/1.1"), 400),
    ("H-04 %2e%2e", head(line=b"GET /%2e%2e/etc/passwd HTTP/1.1"), 400),
    ("H-04 ..", head(line=b"GET /assets/../../etc/passwd HTTP/1.1"), 400),
    ("H-04 %2f", head(line=b"GET /v1%2fmodels HTTP/1.1"), 400),
    ("H-04 %5c", head(line=b"GET /a%5cb HTTP/1.1"), 400),
    ("H-04 backslash", head(line=b"GET /a\\b HTTP/1.1"), 400),
    ("H-04 absolute-form", head(line=b"GET http://a/health HTTP/1.1"), 400),
    ("H-04 broken escape", head(line=b"GET /%zz HTTP/1.1"), 400),
    ("H-04 escape cut", head(line=b"GET /%2 HTTP/1.1"), 400),
    ("H-04 no UTF-8", head(line=b"GET /%ff%fe HTTP/1.1"), 400),
    ("H-04 raw UTF-8", head(line="GET /你 HTTP/1.1".encode()), 400),
    ("H-04 asterisk", head(line=b"GET * HTTP/1.1"), 400),
    ("H-04 fragment", head(line=b"GET /health#x HTTP/1.1"), 400),
    ("H-04 two spaces", head(line=b"GET  /health HTTP/1.1"), 400),
    ("H-04 empty target", head(line=b"GET  HTTP/1.1"), 400),
    ("H-04 tab", head(line=b"GET\t/health\tHTTP/1.1"), 400),
    ("H-05 64 KB value", head(b"X: " + b"a" * 65536 + b"\r\n"), 431),
    ("H-05 64 KB name", head(b"a" * 65536 + b": 1\r\n"), 431),
    ("H-06 10,000 headers", head(b"".join(b"X%d: 1\r\n" % i for i in range(10_000))), 431),
    ("H-06 101 headers", head(b"".join(b"X%d: 1\r\n" % i for i in range(101))), 431),
    ("H-07 space before colon", head(b"Content-Length : 5\r\n"), 400),
    ("H-07 NUL in name", head(b"X\x00Y: 1\r\n"), 400),
    ("H-07 NUL in value", head(b"X: a\x00b\r\n"), 400),
    ("H-07 non-ASCII name", head("Ä: 1\r\n".encode()), 400),
    ("H-07 empty name", head(b": 1\r\n"), 400),
    ("H-07 no colon", head(b"nothing\r\n"), 400),
    ("H-07 control in value", head(b"X: a\x07b\r\n"), 400),
    ("H-07 underscore twin", head(b"Content_Length: 5\r\n"), 400),
    ("H-07 underscore identity", head(b"X_Request_Id: a\r\n"), 400),
    ("H-08 obs-fold", head(b"X: 1\r\n folded\r\n"), 400),
    ("H-08 obs-fold with tab", head(b"X: 1\r\n\tfolded\r\n"), 400),
    ("H-08 fold at first", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    ("H-09 no Host", head(host=b""), 400),
    ("H-09 two Hosts", head(host=b"Host: a\r\nHost: b\r\n"), 400),
    ("H-09 equal Hosts", head(host=b"Host: a\r\nHost: a\r\n"), 400),
    ("H-09 path in Host", head(host=b"Host: a/health?x=\r\n"), 400),
    ("H-09 userinfo", head(host=b"Host: a@b\r\n"), 400),
    ("H-09 empty Host", head(host=b"Host:\r\n"), 400),
    ("H-09 port of letters", head(host=b"Host: a:b\r\n"), 400),
    ("H-10 -2", chunked(b"-2\r\nab\r\n0\r\n\r\n"), 400),
    ("H-10 +5", chunked(b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    ("H-10 0x5", chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    ("H-10 space before", chunked(b" 5\r\nhello\r\n0\r\n\r\n"), 400),
    ("H-10 17 digits", chunked(b"10000000000000000\r\nhello\r\n"), 400),
    ("H-10 16 f", chunked(b"ffffffffffffffff\r\nhello\r\n"), 413),
    ("H-10 empty size", chunked(b"\r\nhello\r\n0\r\n\r\n"), 400),
    ("H-10 letters", chunked(b"xyz\r\nhello\r\n"), 400),
    ("H-12 1 MB extension", chunked(b"5;" + b"x" * 1_000_000), 400),
    ("H-12 extension with bare LF", chunked(b"5;a\nb\r\nhello\r\n"), 400),
    ("H-12 bad quotes", chunked(b'5;a="b\r\nhello\r\n0\r\n\r\n'), 400),
    ("H-13 data longer", chunked(b"2\r\nhello\r\n0\r\n\r\n"), 400),
    ("H-13 data shorter", chunked(b"5\r\nhi\r\n0\r\n\r\n"), 400),
    ("H-13 no CRLF", chunked(b"5\r\nhello0\r\n\r\n"), 400),
    ("H-13 LF after size", chunked(b"5\nhello\r\n0\r\n\r\n"), 400),
    ("H-14 100 KB of trailers", chunked(b"0\r\n" + b"X: " + b"a" * 100_000), 400),
    ("H-14 endless trailer names", chunked(b"0\r\n" + b"X: 1\r\n" * 20_000), 400),
    ("H-14 length in the trailers", chunked(chunks(BODY)[:-2] + b"Content-Length: 5\r\n\r\n"), 400),
    ("H-16 TE then CL", head(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + b"0\r\n\r\n", 400),
    ("H-16 CL then TE", head(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n", 400),
    ("H-16 CL 0 and TE", head(b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n", 400),
    ("H-17 gzip", head(b"Transfer-Encoding: gzip\r\n"), 501),
    ("H-17 identity", head(b"Transfer-Encoding: identity\r\n"), 501),
    ("H-17 gzip and CL", head(b"Transfer-Encoding: gzip\r\nContent-Length: %d\r\n" % len(HIDDEN)), 400),
    ("H-18 chunked, gzip", head(b"Transfer-Encoding: chunked, gzip\r\n"), 400),
    ("H-18 gzip, chunked", head(b"Transfer-Encoding: gzip, chunked\r\n"), 400),
    ("H-18 xchunked", head(b"Transfer-Encoding: xchunked\r\n"), 501),
    ("H-18 twice", head(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400),
    ("H-18 tab", head(b"Transfer-Encoding:\tchunked\r\n"), 400),
    ("H-18 VT", head(b"Transfer-Encoding: \x0bchunked\r\n"), 400),
    ("H-18 empty", head(b"Transfer-Encoding:\r\n"), 400),
    ("H-18 quoted", head(b'Transfer-Encoding: "chunked"\r\n'), 400),
    ("H-19 1.0 chunked", b"POST /generate HTTP/1.0\r\n" + JSON_TYPE + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(BODY), 400),
    ("H-20 two lengths", head(b"Content-Length: 5\r\nContent-Length: 6\r\n"), 400),
    ("H-20 equal lengths", head(b"Content-Length: 5\r\nContent-Length: 5\r\n"), 400),
    ("H-20 list", length(b"5, 5"), 400),
    ("H-20 +5", length(b"+5"), 400),
    ("H-20 05", length(b"05"), 400),
    ("H-20 5 5", length(b"5 5"), 400),
    ("H-20 -1", length(b"-1"), 400),
    ("H-20 0x5", length(b"0x5"), 400),
    ("H-20 empty", length(b""), 400),
    ("H-20 2^64", length(b"18446744073709551616"), 413),
    ("H-20 2^63", length(b"9223372036854775807"), 413),
    ("H-20 4 GiB", length(b"4294967296"), 413),
    ("H-21 bare LF", b"GET /health HTTP/1.1\nHost: a\n\n", 400),
    ("H-21 bare LF inside", head(b"X: a\nY: b\r\n"), 400),
    ("H-21 bare CR", head(b"X: a\rb\r\n"), 400),
    ("H-21 CR CR LF", head(b"X: a\r\r\n"), 400),
    ("H-21 two blank lines", b"\r\n\r\n" + get("/health"), 400),
    ("H-25 unknown expectation", head(b"Expect: 200-ok\r\nContent-Length: 2\r\n"), 417),
    ("H-25 too large", head(b"Expect: 100-continue\r\nContent-Length: 99999999\r\n"), 413),
    ("S-02 two Authorization", head(b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"), 400),
]

# (case, bytes, statuses): legal, if unusual; answered in order, and the connection goes on.
SERVED = [
    ("H-03 TRACE", b"TRACE /health HTTP/1.1\r\nHost: a\r\n\r\n", [405]),
    ("H-03 unknown method", b"BREW /generate HTTP/1.1\r\nHost: a\r\n\r\n", [405]),
    ("H-04 double slash", get("//health"), [404]),
    ("H-04 case", get("/HEALTH"), [404]),
    ("H-04 escaped letters", get("/%68ealth"), [200]),
    ("H-04 query", get("/health?a=%00&b=../.."), [200]),
    ("H-06 many headers", get("/health", "".join(f"X{i}: 1\r\n" for i in range(90))), [200]),
    ("H-11 one-byte chunks", chunked(chunks(*(bytes([byte]) for byte in BODY))), [200]),
    ("H-11 extensions", chunked(b"%x;name=value\r\n%s\r\n0;last\r\n\r\n" % (len(BODY), BODY)), [200]),
    ("H-14 trailers", chunked(chunks(BODY)[:-2] + b"Authorization: Bearer x\r\nX-Request-Id: evil\r\n\r\n"), [200]),
    ("H-21 one blank line", b"\r\n" + get("/health"), [200]),
    ("H-22 GET with body", get("/health", "Content-Length: 5\r\n") + b"hello" + get("/livez"), [200, 200]),
    ("H-22 body like a request", get("/health", f"Content-Length: {len(HIDDEN)}\r\n") + HIDDEN + get("/livez"), [200, 200]),
    ("H-23 three at once", post("/generate", BODY) + get("/health") + post("/generate", BODY), [200, 200, 200]),
    ("H-23 errors between", post("/generate", "{") + get("/nothing") + get("/health"), [400, 404, 200]),
    ("H-27 OPTIONS", b"OPTIONS /generate HTTP/1.1\r\nHost: a\r\nOrigin: http://evil\r\nAccess-Control-Request-Method: POST\r\n\r\n", [204]),
    ("H-27 OPTIONS *", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", [204]),
    ("H-28 conditions", get("/health", "Range: bytes=0-1\r\nIf-None-Match: *\r\nIf-Modified-Since: x\r\n"), [200]),
    ("H-28 websocket", get("/health", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n"), [200]),
    ("H-28 h2c", get("/health", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n"), [200]),
    ("IPv6 Host", b"GET /health HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", [200]),
]

# (case, bytes, status): the client then shuts its side down.
CUT = [
    ("H-15 body shorter, FIN", length(b"100") + b'{"prompt"', 400),
    ("H-15 no body at all", length(b"100"), 400),
    ("H-13 no last chunk", chunked(b"5\r\nhello\r\n"), 400),
    ("H-13 chunk cut", chunked(b"5\r\nhe"), 400),
    ("head cut in the line", b"GET /hea", 400),
    ("head cut after a field", b"GET /health HTTP/1.1\r\nHost: a\r\n", 400),
    ("S-11 only a CR", b"\r", 400),
]


class BadFraming(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = harness.Service(harness.needs_demo(), "--header-timeout", harness.PATIENCE, "--body-timeout", harness.PATIENCE)
        cls.addClassCleanup(cls.service.close)
        cls.oracle = Oracle(cls.service)

    def connect(self):
        return RawClient(self.service.port)

    def expect_refusal(self, client, status):
        answer = client.answer()
        self.assertIsNotNone(answer, "no answer")
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.header("Connection"), "close")
        self.oracle.check_error(self, status, answer.body, secrets=["smuggled"])
        self.assertTrue(client.closed(), "the connection goes on")
        self.oracle.expect_line(answer.header("X-Request-Id"), status)

    def test_count(self):
        self.assertGreaterEqual(len(REFUSED) + len(CUT), 100)

    def test_refused_and_closed(self):
        for case, data, status in REFUSED:
            with self.subTest(case), self.connect() as client:
                client.send(data + HIDDEN)
                self.expect_refusal(client, status)
            with self.subTest(case + ", byte by byte at the seams"), self.connect() as client:
                for i in range(0, min(len(data), 40)):
                    client.send(data[i:i + 1])
                client.send(data[40:] + HIDDEN)
                self.expect_refusal(client, status)
            self.oracle.check_service(self)
        self.oracle.check_log(self, forbidden=["status 200 id smuggled"])

    def test_served_and_kept(self):
        for case, data, statuses in SERVED:
            with self.subTest(case), self.connect() as client:
                client.send(data)
                for status in statuses:
                    answer = client.answer()
                    self.assertEqual(answer.status, status, answer.body)
                    self.assertIsNone(answer.header("Connection"))
                    self.assertIsNone(answer.header("Access-Control-Allow-Origin"))
                    self.oracle.expect_line(answer.header("X-Request-Id"), status)
                client.send(get("/livez"))  # the next request is the next request
                self.assertEqual(client.answer().status, 200)
            self.oracle.check_service(self)
        self.oracle.check_log(self, forbidden=["evil"])

    def test_cut_off(self):
        for case, data, status in CUT:
            with self.subTest(case), self.connect() as client:
                client.send(data)
                client.half_close()
                self.expect_refusal(client, status)
            with self.subTest(case + ", reset"):
                client = self.connect()
                client.send(data)
                client.reset()
            self.oracle.check_service(self)
        self.oracle.check_log(self)

    def test_slow_ones_time_out(self):
        """H-06, H-13, C-09."""
        for case, start, more in (("a header a moment", b"GET /health HTTP/1.1\r\nHost: a\r\n", b"X: 1\r\n"), ("one letter a moment", b"G", b"E"),
                                  ("a byte of body a moment", length(b"1000"), b" "), ("no last chunk", chunked(b"5\r\nhello\r\n"), b""),
                                  ("a chunk a moment", chunked(b""), b"1\r\n \r\n")):
            with self.subTest(case), self.connect() as client:
                client.send(start)
                began = time.monotonic()
                while not client.fill(0.05) and time.monotonic() - began < 4 * harness.PATIENCE:
                    client.send(more)
                self.assertGreater(time.monotonic() - began, 0.8 * harness.PATIENCE)
                self.assertLess(time.monotonic() - began, 2 * harness.PATIENCE)
                self.expect_refusal(client, 408)
        self.oracle.check_service(self)
        self.oracle.check_log(self)

    def test_many_tiny_chunks_take_no_memory(self):
        """H-11: 500,000 chunks of one byte, 3 MB of framing."""
        resident = self.oracle.resident()
        with self.connect() as client:
            client.send(chunked(b"1\r\n \r\n" * 500_000) + b"0\r\n\r\n")
            answer = client.answer()
            self.assertEqual(answer.status, 400)  # a body of white space
            self.oracle.expect_line(answer.header("X-Request-Id"), 400)
        self.oracle.check_service(self)
        self.oracle.check_resident(self, resident + (16 << 20))
        with self.connect() as client:  # J-11: 10 MB without a length
            for _ in range(100):
                if not client.send(b"" if client.buffer else (chunked(b"") if _ == 0 else b"") + b"19000\r\n" + b" " * 0x19000 + b"\r\n"):
                    break
            self.expect_refusal(client, 413)
        self.oracle.check_service(self)

    def test_expect_continue(self):
        """H-25."""
        with self.connect() as client:
            client.send(head(b"Expect: 100-continue\r\nContent-Length: %d\r\n" % len(BODY)))
            self.assertEqual(client.answer().status, 100)
            client.send(BODY)
            self.assertEqual(client.answer().status, 200)
        for line, status in ((b"POST /nothing HTTP/1.1", 404), (b"GET /generate HTTP/1.1", 405)):
            with self.connect() as client:
                client.send(head(b"Expect: 100-continue\r\nContent-Length: 10\r\n", line=line))
                self.expect_refusal(client, status)
        self.oracle.check_service(self)

    def test_pipelining_into_a_stream(self):
        """H-24: what comes during a stream waits for its end, up to a bound."""
        stream = post("/generate", json.dumps({"prompt": "47+85=?", "max_length": 30, "stream": True, "seed": 1}))
        with self.connect() as client:
            client.send(stream + get("/health") + stream)
            self.assertTrue(client.answer().body.endswith(b"data: [DONE]\n\n"))
            self.assertEqual(json.loads(client.answer().body)["status"], "healthy")
            self.assertTrue(client.answer().body.endswith(b"data: [DONE]\n\n"))
        with self.connect() as client:
            client.send(post("/generate", json.dumps({"prompt": "a", "max_length": 500, "raw": True, "stream": True, "temperature": 2, "seed": 2})))
            for _ in range(160):
                if not client.send(b"x" * 65536):
                    break
            self.assertTrue(client.fill() or client.ended)
        self.oracle.check_service(self)

    def test_lifetimes(self):
        """H-26: reuse, close, HTTP/1.0."""
        resident = self.oracle.resident()
        with self.connect() as client:
            for _ in range(2000):
                client.send(get("/livez"))
                self.assertEqual(client.answer().status, 200)
        self.oracle.check_resident(self, resident + (4 << 20))
        with self.connect() as client:
            client.send(get("/livez", "Connection: close\r\n") + HIDDEN)
            self.assertEqual(client.answer().header("Connection"), "close")
            self.assertTrue(client.closed())
        with self.connect() as client:
            client.send(b"GET /livez HTTP/1.0\r\n\r\n")
            self.assertEqual(client.answer().header("Connection"), "close")
            self.assertTrue(client.closed())
        with self.connect() as client:
            for _ in range(3):
                client.send(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                self.assertEqual(client.answer().header("Connection"), "keep-alive")
        self.oracle.check_service(self)

    def test_head_and_options_on_every_route(self):
        """H-27."""
        for path in ("/health", "/livez", "/readyz", "/v1/models", "/model_info", "/stats", "/metrics", "/"):
            with self.subTest(path), self.connect() as client:
                client.send(f"HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() + get("/livez"))
                answer = client.answer(to_head=True)
                self.assertEqual(answer.status, 200)
                self.assertGreater(int(answer.header("Content-Length")), 0)
                self.assertEqual(json.loads(client.answer().body)["status"], "alive")  # no body came before it
        for path in ("/generate", "/thinking", "/batch_generate", "/tokenize", "/detokenize", "/apply-template", "/v1/completions",
                     "/v1/chat/completions"):
            with self.subTest(path), self.connect() as client:
                client.send(f"HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\nOPTIONS {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                self.assertEqual(client.answer(to_head=True).status, 405)
                options = client.answer()
                self.assertEqual((options.status, options.header("Allow")), (204, "POST, OPTIONS"))
        self.oracle.check_service(self)

    def test_request_ids(self):
        """S-11: a caller's id comes back only where it is harmless in every place that it appears."""
        for value in ("a b", '"quoted"', "\u4f60", "x" * 65, "a;b", "<script>", "../x", ""):
            with self.subTest(value), self.connect() as client:
                client.send(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Request-Id: " + value.encode() + b"\r\n\r\n")
                self.assertRegex(client.answer().header("X-Request-Id"), r"^req-[0-9a-f]{24}$")
        with self.connect() as client:
            client.send(get("/livez", "X-Request-Id: ok-1.2_3\r\nX-Injected: yes\r\n"))
            answer = client.answer()
            self.assertEqual(answer.header("X-Request-Id"), "ok-1.2_3")
            self.assertIsNone(answer.header("X-Injected"))
        self.oracle.check_service(self)


if __name__ == "__main__":
    harness.main()
