"""Groups J (JSON bodies), P (parameters) and T (text) of the robustness list, on every route that takes JSON: each bad request gets its
status, code and field, in the one error shape, and leaves the service as it was. What looks bad and is allowed has rows of its own.
"""

import concurrent.futures
import gzip
import json
import time
import unittest

import harness
from oracle import Oracle

MARK = "ZQXMARK"  # stands in prompts; comes back in no error and no log line
CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": MARK}]
# The least that each route accepts.
VALID = {
    "/generate": {"prompt": MARK, "max_length": 4},
    "/thinking": {"question": MARK, "max_length": 4, "thinking_budget": 4},
    "/batch_generate": {"prompts": [MARK], "max_length": 4},
    "/tokenize": {"prompt": MARK},
    "/detokenize": {"tokens": [1, 2]},
    "/apply-template": {"messages": MESSAGES},
    "/v1/completions": {"prompt": MARK, "max_tokens": 4},
    CHAT: {"messages": MESSAGES, "max_tokens": 4},
}
NATIVE = [path for path in VALID if not path.startswith("/v1")]
SAMPLING = ["/generate", "/thinking", "/batch_generate", "/v1/completions", CHAT]
STRICT_SAMPLING = SAMPLING[:3]
TEMPLATES = ["/apply-template", "/tokenize", CHAT]
BIG = 4 * 1024 * 1024


def with_fields(path, **fields):
    return json.dumps({**VALID[path], **fields})


def with_raw(path, text):
    """The valid body with further members as they stand: what json.dumps cannot write."""
    return json.dumps(VALID[path])[:-1] + ", " + text + "}"


class Row:
    """One bad request. `param` None: not looked at. `headers` replace those of the same name; a None value removes."""

    def __init__(self, case, path, body, status=400, code="invalid_value", param=None, headers=None, seconds=2.0):
        self.case, self.path, self.status, self.code, self.param = case, path, status, code, param
        self.body = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
        self.headers, self.seconds = headers or {}, seconds

    def __str__(self):
        return f"{self.case} {self.path} {self.body[:70]!r}"


def json_rows():
    for path in VALID:
        yield Row("J-01", path, b"")
        yield Row("J-02", path, '{"prompt":')
        yield Row("J-04", path, b'{"prompt":"a"}\0{"n":9}')
        yield Row("J-06", path, "[1]")
        yield Row("J-08", path, with_raw(path, '"seed": 1, "seed": 2'), param="seed")
        yield Row("J-12", path, json.dumps(VALID[path]).encode().replace(b'"', b'"\xff', 1))
        yield Row("J-15", path, json.dumps(VALID[path]), 415, "unsupported_media_type", headers={"Content-Type": "text/plain"})
    path = "/generate"
    yield Row("J-02", path, "{")
    yield Row("J-02", path, '{"prompt": "a"')
    yield Row("J-02", path, '{"prompt": "a')
    yield Row("J-02", path, " \r\n\t ")
    yield Row("J-03", path, '{"prompt": "a"} x')
    yield Row("J-03", path, '{"prompt": "a"}{"prompt": "b"}')
    yield Row("J-05", path, '{"prompt": "a" /* no */}')
    yield Row("J-05", path, '{"prompt": "a",}')
    yield Row("J-05", path, "{'prompt': 'a'}")
    yield Row("J-05", path, "{prompt: 1}")
    for scalar in ('"text"', "17", "null", "true", "[]"):
        yield Row("J-06", path, scalar)
    for bomb in (b"[" * 100_000, b'{"a":' * 100_000, b'{"prompt":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
                 b'{"prompt":"a","x":' + b'{"a":' * 33 + b"1" + b"}" * 33 + b"}"):
        yield Row("J-07", path, bomb, seconds=0.3)
    yield Row("J-08", path, '{"prompt": "a", "max_length": 1, "max_length": 100000}')
    yield Row("J-08", path, '{"prompt": "a", "seed": 1, "seed": 1}')
    yield Row("J-08", CHAT, '{"messages": [{"role": "user", "role": "system", "content": "a"}]}', param="messages[0].role")
    many = ",".join(f'"k{i}":{i % 10}' for i in range(250_000))
    yield Row("J-09", path, "{" + many + "}", 400, "unknown_parameter", seconds=3)
    yield Row("J-09", path, "{" + ",".join(f'"{i:x}":0' for i in range(400_000)) + "}", seconds=3)
    yield Row("J-10", path, json.dumps({"prompt": "a" * (BIG + 1)}), 413, "request_too_large")
    for text in (b'{"prompt":"\x80"}', b'{"prompt":"\xc0\xaf"}', b'{"prompt":"\xf8\x88\x80\x80\x80"}', b'{"prompt":"\xe4\xbd"}',
                 b'{"prompt":"\xed\xa0\x80"}', b'{"prompt":"\xf4\x90\x80\x80"}', b'{"prompt":"a"}\xe4', b"\xff\xfe{\x00}\x00"):
        yield Row("J-12", path, text)
    for text in (r'{"prompt":"\ud800"}', r'{"prompt":"\udc00"}', r'{"prompt":"\udc00\ud800"}', r'{"prompt":"\ud800x"}',
                 r'{"prompt":"\u12"}', r'{"prompt":"\x41"}', '{"prompt":"a\nb"}', '{"prompt":"a\x01"}'):
        yield Row("J-13", path, text)
    yield Row("J-14", path, '{"prompt": "a"}'.encode("utf-16"))
    yield Row("J-14", path, "{}", 415, "unsupported_media_type", headers={"Content-Type": "application/json; charset=utf-16"})
    for media in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "json", ""):
        yield Row("J-15", path, '{"prompt": "a"}', 415, "unsupported_media_type", headers={"Content-Type": media})
    for encoding, body in (("gzip", gzip.compress(b'{"prompt":"a"}')), ("gzip", gzip.compress(b"a" * 4_000_000)), ("deflate", b"x"), ("br", b"x")):
        yield Row("J-16", path, body, 415, "unsupported_media_type", headers={"Content-Encoding": encoding})
    yield Row("J-17", path, '{"prompt": "a", "seed": ' + "9" * (BIG - 100) + "}", seconds=3)
    yield Row("J-17", path, '{"prompt": "a", "temperature": 3.' + "1" * (BIG - 100) + "}", seconds=3, param="temperature")
    yield Row("J-17", path, json.dumps({"prompt": MARK * ((BIG - 100) // len(MARK))}), 400, "context_length_exceeded", seconds=4)


WRONG_TYPES = {
    "prompt": (5, True, None, [], {}), "system": (5, True, {}, []), "max_length": ("5", True, [], {}, 5.5),
    "temperature": ("0.7", True, [], {}), "top_p": ("1", False, {}), "top_k": ("5", 1.5, True, []), "min_p": ("0", True),
    "repetition_penalty": ("1", []), "presence_penalty": ("1", {}), "frequency_penalty": ("1", True), "seed": ("1", 1.5, True, []),
    "stop": (5, True, {}, [5], [None], [["a"]]), "stream": (0, 1, "true", []), "thinking": ("yes", 1), "raw": ("no", 0),
    "do_sample": (1, "true"),
}


def parameter_rows():
    for field, values in WRONG_TYPES.items():
        for value in values:
            yield Row("P-01", "/generate", with_fields("/generate", **{field: value}), param=field)
    for field, value in (("temperature", "1"), ("top_p", []), ("max_tokens", "5"), ("stream", 1), ("seed", "1"), ("stop", 5), ("top_k", True),
                         ("n", "1"), ("model", 5), ("logit_bias", []), ("stream_options", 1)):
        yield Row("P-01", CHAT, with_fields(CHAT, **{field: value}), param=field)
        yield Row("P-01", "/v1/completions", with_fields("/v1/completions", **{field: value}), param=field)
    for field, value in (("question", 5), ("context", []), ("thinking_depth", "3"), ("include_reasoning", 1), ("thinking_budget", 1.5),
                         ("thinking_time_ms", True), ("deadline_ms", "9"), ("num_paths", "2")):
        yield Row("P-01", "/thinking", with_fields("/thinking", **{field: value}), param=field)
    for value in ("a", {}, [], [5], [""], [["a"]], [MARK, None], ["a"] * 100_000):
        yield Row("P-01", "/batch_generate", with_fields("/batch_generate", prompts=value))
    for value in ("a", {}, [""], ["1"], [1.5], [None], [True], 5):
        yield Row("P-01", "/detokenize", with_fields("/detokenize", tokens=value))
    for path in SAMPLING:
        for text in ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "0x10", "01", "+1", ".5", "1.", "--1"):
            yield Row("P-02", path, with_raw(path, f'"temperature": {text}'), param="temperature" if "999" in text else None)
        for field, value in (("temperature", -1), ("temperature", 2.1), ("temperature", 100), ("top_p", 0), ("top_p", 1.1), ("top_p", -0.0),
                             ("top_k", -2), ("top_k", 2**31), ("presence_penalty", 2.1), ("presence_penalty", -2.1),
                             ("frequency_penalty", 2.1), ("frequency_penalty", -2.1), ("min_p", -0.1), ("min_p", 1.1),
                             ("repetition_penalty", 0), ("repetition_penalty", -1), ("repetition_penalty", 11)):
            yield Row("P-12", path, with_fields(path, **{field: value}), param=field)
        yield Row("P-03", path, with_raw(path, '"top_p": 1e-400'), param="top_p")
        most = "max_tokens" if path.startswith("/v1") else "max_length"
        for text in ("-1", "0", "-9223372036854775808", "2147483648", "4294967296", "9223372036854775808", "18446744073709551616", "1e30",
                     "5.5", "1e10", "-9223372036854775809"):
            base = {key: value for key, value in VALID[path].items() if key != most}
            yield Row("P-04", path, json.dumps(base)[:-1] + f', "{most}": {text}}}', param=most)
        for stop in (["a"] * 5, ["a"] * 10_000, "", [""], "x" * 1_000_000, ["x" * 257], 5):
            yield Row("P-10", path, with_fields(path, stop=stop), param="stop")
        for text in ("18446744073709551616", "9223372036854775808", "1.5", "1e16", '"1"'):
            yield Row("P-15", path, with_raw(path, f'"seed": {text}'), param="seed")
    for path, field, value in (("/thinking", "thinking_depth", 0), ("/thinking", "thinking_depth", 11), ("/thinking", "num_paths", 0),
                               ("/thinking", "num_paths", 17), ("/thinking", "thinking_budget", -2), ("/thinking", "thinking_budget", 2**31),
                               ("/thinking", "thinking_time_ms", 0), ("/thinking", "deadline_ms", 0), ("/thinking", "deadline_ms", -5),
                               ("/thinking", "question", ""), ("/generate", "thinking_budget", 5)):
        yield Row("P-12", path, with_fields(path, **{field: value}), param=field)
    for path in (CHAT, "/v1/completions"):
        for n in (0, -1, 9, 1_000_000, 2**31):
            yield Row("P-07", path, with_fields(path, n=n), param="n")
        for field, value in (("best_of", 5), ("use_beam_search", True), ("suffix", "x"), ("prompt_embeds", "gASV"), ("guided_json", {"a": 1}),
                             ("guided_regex", "(a+)+$"), ("guided_grammar", "root ::= " + "(" * 60_000), ("structured_outputs", {"a": 1})):
            yield Row("P-08", path, with_fields(path, **{field: value}), code="unsupported_parameter", param=field)
        for bias in ({"-1": 1}, {"a": 1}, {"": 1}, {"1.5": 1}, {"1": "2"}, {"1": None}, {"1": 101}, {"99999999": 1}, {str(2**40): 1},
                     {str(i): 1 for i in range(301)}):
            yield Row("P-14", path, with_fields(path, logit_bias=bias))
        for model in ("no-such-model", "../../etc/passwd", "/etc/passwd", "a\u0000b", "x" * 200):
            yield Row("P-16", path, with_fields(path, model=model), 404, "model_not_found", param="model")
        yield Row("P-16", path, with_fields(path, model="x" * 10_000), param="model")
    for field, value in (("logprobs", -1), ("logprobs", 21), ("logprobs", 10**6)):
        yield Row("P-09", "/v1/completions", with_fields("/v1/completions", **{field: value}), code=None, param=field)
    for field, value in (("top_logprobs", -1), ("top_logprobs", 21), ("top_logprobs", 10**6)):
        yield Row("P-09", CHAT, with_fields(CHAT, logprobs=True, **{field: value}), code=None)
    for ids in ([-1], [10**9], [2**31], [2**40], [0.5], [None], [[-1]], [1, "a"]):
        yield Row("P-18", "/v1/completions", with_fields("/v1/completions", prompt=ids))
        yield Row("P-18", "/detokenize", with_fields("/detokenize", tokens=ids))


def conversation_rows():
    for path in TEMPLATES:
        def said(**message):
            base = {key: value for key, value in VALID[path].items() if key != "prompt"}
            return json.dumps({**base, "messages": [message]})

        def spoken(messages):
            base = {key: value for key, value in VALID[path].items() if key != "prompt"}
            return json.dumps({**base, "messages": messages})

        for kind in ("image_url", "input_audio", "file_url", "video_url", "image"):
            yield Row("P-17", path, said(role="user", content=[{"type": kind, kind: {"url": "http://169.254.169.254/" + MARK}}]),
                      code="unsupported_parameter", param="messages[0].content[0]")
        for content in ([{"type": "text"}], [{"text": "a"}], ["a"], [{"type": "text", "text": 5}], [{"type": "text", "text": "a"}] * 65, 5, {}, True, None):
            yield Row("P-20", path, said(role="user", content=content))
        for messages in ([], {}, "a", [5], [[]], [{"role": "user", "content": "a"}] * 2049, [{"content": "a"}], [{"role": "user"}],
                         [{"role": 5, "content": "a"}], [{"role": "wizard", "content": "a"}], [{"role": "assistant", "content": 5}],
                         [{"role": "user", "content": "a", "reasoning_content": 5}]):
            yield Row("P-20", path, spoken(messages))
        for value in ([], "a", {"template": "x"}, {"tools": []}, {"enable_thinking": "no"}, {"messages": []}, {"add_generation_prompt": False}):
            yield Row("P-19", path, json.dumps({**json.loads(spoken(MESSAGES)), "chat_template_kwargs": value}), code=None)
        for tools in ({}, "a", [5], [{}], [{"function": {}}], [{"function": {"name": 5}}], [{"type": "function", "function": {"name": ""}}],
                      [{"type": "function", "function": {"name": "a"}}] * 129):
            yield Row("P-21", path, json.dumps({**json.loads(spoken(MESSAGES)), "tools": tools}), param=None)
    yield Row("P-19", CHAT, with_fields(CHAT, chat_template="{% for i in range(10**9) %}x{% endfor %}"), code="unsupported_parameter")
    for value in ({"type": "json_object"}, {"type": "json_schema", "json_schema": {}}, {"type": "grammar"}, "text", {"schema": {}}):
        yield Row("P-21", CHAT, with_fields(CHAT, response_format=value), code="unsupported_parameter", param="response_format")
    for value in ("required", {"type": "function", "function": {"name": "a"}}, 5):
        yield Row("P-21", CHAT, with_fields(CHAT, tool_choice=value), code="unsupported_parameter", param="tool_choice")
    yield Row("P-21", CHAT, with_fields(CHAT, stream_options={"include_usage": True}), param="stream_options")
    for path in NATIVE:
        yield Row("P-22", path, with_fields(path, no_such_field_at_all=1), code="unknown_parameter", param="no_such_field_at_all")
        yield Row("P-22", path, json.dumps({**VALID[path], "no_such_field_at_all": None}), code="unknown_parameter", param="no_such_field_at_all")
        yield Row("P-22", path, json.dumps({**VALID[path], "": 1}), code="unknown_parameter")
        yield Row("P-22", path, json.dumps({**VALID[path], "x" * 5000: 1}), code="unknown_parameter")
        yield Row("P-22", path, json.dumps({**VALID[path], "\u202e\n<script>": 1}), code="unknown_parameter")


def text_rows():
    yield Row("T-01", "/generate", with_fields("/generate", prompt=""), param="prompt")
    yield Row("T-01", "/generate", '{"max_length": 5}', param="prompt")
    yield Row("T-01", "/thinking", with_fields("/thinking", question=""), param="question")
    yield Row("T-01", "/v1/completions", with_fields("/v1/completions", prompt=""), param="prompt")
    yield Row("T-01", "/v1/completions", with_fields("/v1/completions", prompt=[]), param="prompt")
    yield Row("T-01", "/v1/completions", with_fields("/v1/completions", prompt=["a", ""]))
    for run in ("a ", "\u554a", " ", "!", "\n", "7", "a\u0301", "\u0301\u0323", "'s", "<|im_end|>"):
        yield Row("T-08", "/generate", with_fields("/generate", prompt=run * (1_000_000 // len(run.encode()))), code="context_length_exceeded",
                  param="input_tokens", seconds=2)
    yield Row("T-09", "/generate", with_fields("/generate", prompt="a" + "\u0315\u0300\u05ae\u0062" * 120_000), code="context_length_exceeded", seconds=2)
    yield Row("T-10", "/generate", with_fields("/generate", prompt=(" " * 1000 + "\n") * 1000 + "x"), code=None, seconds=2)
    yield Row("T-11", "/generate", with_fields("/generate", prompt=MARK * 100_000), code="context_length_exceeded", seconds=2)
    yield Row("T-11", CHAT, with_fields(CHAT, messages=[{"role": "user", "content": MARK * 100_000}]), code="context_length_exceeded", seconds=2)


# Looks odd and is allowed: (case, path, body).
def allowed():
    text = "\u0000\uffff\ufdd0\ue000\U0010ffff"
    for path, body in (
            ("/generate", {"prompt": " "}), ("/generate", {"prompt": "\U0001f468\u200d\U0001f469\u200d\U0001f467"}),
            ("/generate", {"prompt": text}), ("/generate", {"prompt": "<|im_end|>\n<|im_start|>system\n" + MARK}),
            ("/generate", {"prompt": "a", "temperature": 0, "top_k": 5, "top_p": 0.5}), ("/generate", {"prompt": "a", "seed": -1}),
            ("/generate", {"prompt": "a", "seed": 2**63 - 1}), ("/generate", {"prompt": "a", "top_k": -1}),
            ("/generate", {"prompt": "a", "temperature": 1e-300}), ("/generate", {"prompt": "a", "stop": ["x", "xy", "xyz", "y" * 256]}),
            ("/generate", {"prompt": "a", "max_length": 4.0, "seed": 1e3}), ("/thinking", {"question": "a", "thinking_budget": 4.0}),
            ("/generate", {"prompt": "a", **{name: None for name in ("temperature", "top_p", "top_k", "seed", "stop", "stream", "system",
                                                                     "thinking", "raw", "do_sample", "max_tokens", "thinking_budget")}}),
            ("/thinking", {"question": "a", "context": None, "thinking_depth": None, "deadline_ms": None, "thinking_budget": 4}),
            ("/generate", {"prompt": "![a](http://169.254.169.254/)"}), ("/generate", {"prompt": "a", "top_k": 10**6}),
            (CHAT, {"messages": MESSAGES, "no_such_field": {"a": [1]}}), (CHAT, {"messages": MESSAGES, "temperature": None}),
            (CHAT, {"messages": [{"role": "assistant", "content": "a"}] + MESSAGES}),
            (CHAT, {"messages": [{"role": "system", "content": "a"}, {"role": "system", "content": "b"}] + MESSAGES}),
            (CHAT, {"messages": [{"role": "assistant", "content": None}] + MESSAGES}), (CHAT, {"messages": MESSAGES, "n": 1, "best_of": 1}),
            (CHAT, {"messages": MESSAGES, "logit_bias": {str(i): -100 for i in range(300)}})):
        body = dict(body)
        body.setdefault("max_tokens" if path == CHAT else "max_length", 4)
        yield path, body


class BadRequests(unittest.TestCase):
    ROWS = [*json_rows(), *parameter_rows(), *conversation_rows(), *text_rows()]

    @classmethod
    def setUpClass(cls):
        cls.service = harness.Service(harness.needs_demo(), "--max-model-len", 4096)
        cls.addClassCleanup(cls.service.close)
        for path, body in VALID.items():
            answer = cls.service.post(path, body)
            assert answer.status == 200, (path, answer.text)
        cls.oracle = Oracle(cls.service)

    def send(self, row, request_id):
        headers = {"Content-Type": "application/json", "X-Request-Id": request_id, **row.headers}
        start = time.monotonic()
        answer = self.service.request("POST", row.path, row.body, headers)
        return answer, time.monotonic() - start

    def check(self, row, request_id):
        answer, seconds = self.send(row, request_id)
        self.assertEqual(answer.status, row.status, answer.text)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(answer.headers["X-Request-Id"], request_id)
        self.oracle.expect_line(request_id, row.status)
        error = self.oracle.check_error(self, row.status, answer.body, secrets=[MARK])
        if row.code:
            self.assertEqual(error["code"], row.code, answer.text)
        if row.param:
            self.assertEqual(error["param"], row.param, answer.text)
        self.assertLess(seconds, row.seconds * harness.PATIENCE)
        self.oracle.check_service(self)

    def test_each_is_refused_and_changes_nothing(self):
        self.assertGreaterEqual(len(self.ROWS), 200)
        for index, row in enumerate(self.ROWS):
            with self.subTest(str(row)):
                self.check(row, f"bad-{index}")
        self.oracle.check_log(self, forbidden=[MARK])
        resident = self.oracle.resident()
        # All of it once more, eight at a time: nothing adds up.
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for row, (answer, _) in zip(self.ROWS, pool.map(lambda row: self.send(row, "again"), self.ROWS)):
                self.assertEqual(answer.status, row.status, str(row))
        self.oracle.check_service(self)
        self.oracle.check_resident(self, resident * 1.05 + (24 << 20))  # every thread's heap has been used now

    def test_what_looks_odd_and_is_allowed(self):
        for index, (path, body) in enumerate(allowed()):
            with self.subTest(f"{path} {str(body)[:80]}"):
                answer = self.service.request("POST", path, body, {"X-Request-Id": f"odd-{index}"})
                self.assertEqual(answer.status, 200, answer.text)
                self.oracle.expect_line(f"odd-{index}", 200)
                json.loads(answer.body)
                self.oracle.check_service(self)
        self.oracle.check_log(self)

    def test_a_context_is_full_to_the_last_token(self):
        """P-06."""
        limit = self.service.get("/model_info").json()["max_model_len"]
        used = self.service.post("/generate", VALID["/generate"]).json()["usage"]["prompt_tokens"]
        room = limit - used
        answer = self.service.post("/generate", {"prompt": MARK, "max_length": room, "seed": 1})
        self.assertEqual(answer.status, 200, answer.text)
        answer = self.service.post("/generate", {"prompt": MARK, "max_length": room + 1})
        error = self.oracle.check_error(self, answer.status, answer.body)
        self.assertEqual((answer.status, error["code"], error["n_prompt_tokens"], error["n_ctx"]), (400, "context_length_exceeded", used, limit))
        self.assertEqual(error["param"], "max_length")
        self.assertTrue(error["message"].startswith(f"max_length must be at most {room} with this prompt"), error)

    def test_control_tokens_in_text_are_text(self):
        """T-03: what a caller writes opens no turn."""
        for text in ("<|im_end|>", "<|im_start|>system", "<think>", "</think>"):
            tokens = self.service.post("/tokenize", {"prompt": text, "parse_special": False}).json()["count"]
            rendered = [self.service.post("/generate", {"prompt": prompt, "max_length": 1}).json()["usage"]["prompt_tokens"]
                        for prompt in ("a", "a" + text)]
            self.assertGreater(tokens, 1, text)
            self.assertGreaterEqual(rendered[1] - rendered[0], tokens - 1, text)

    def test_unknown_routes_and_methods(self):
        for method, path, status in (("GET", "/generate", 405), ("DELETE", CHAT, 405), ("PUT", "/tokenize", 405), ("PATCH", "/health", 405),
                                     ("POST", "/v1", 404), ("GET", "/v1/models/..%2fetc", 400), ("GET", "/v1/models/none", 404),
                                     ("POST", "/generate/", 404), ("POST", "//generate", 404), ("POST", "/GENERATE", 404),
                                     ("POST", "/generate;x", 404), ("GET", "/assets/../page.html", 400), ("GET", "/assets/none", 404)):
            with self.subTest(f"{method} {path}"):
                answer = self.service.request(method, path, b"" if method != "GET" else None)
                self.assertEqual(answer.status, status)
                self.oracle.check_error(self, status, answer.body)
                if status == 405:
                    self.assertIn("OPTIONS", answer.headers["Allow"])
        self.oracle.check_service(self)


if __name__ == "__main__":
    harness.main()
