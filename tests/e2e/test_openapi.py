"""GET /openapi.json beside the answers of the running service: every example, every stream, every way of failing that can be had here."""

import json
import unittest

import harness
import json_schema
from test_control import Thinker

METHODS = ("get", "post")
KEYS = "app:a-key-to-generate-with"


class OpenApiTest(unittest.TestCase):
    flags, variables = (), {}

    @classmethod
    def setUpClass(cls):
        cls.service = harness.Service(harness.needs_demo(), *cls.flags, env=harness.environment(**cls.variables))
        cls.addClassCleanup(cls.service.close)
        answer = cls.service.get("/openapi.json")
        cls.document = answer.json() if answer.status == 200 else None

    def operations(self):
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                self.assertIn(method, METHODS)
                yield path, method, operation

    def address(self, path, operation):
        for parameter in operation["parameters"]:
            if parameter.get("in") == "path":
                path = path.replace("{" + parameter["name"] + "}", parameter["example"])
        return path

    def example(self, operation):
        return operation["requestBody"]["content"]["application/json"]["example"] if "requestBody" in operation else None

    def check(self, operation, answer):
        """The answer has a status, headers, a type and a body that the operation documents."""
        self.assertIn(str(answer.status), operation["responses"], answer.body)
        described = json_schema.resolve(self.document, operation["responses"][str(answer.status)])
        for name, header in described["headers"].items():
            header = json_schema.resolve(self.document, header)
            if header.get("required"):
                self.assertIn(name, answer.headers)
            if name in answer.headers and "enum" in header["schema"]:
                self.assertIn(answer.headers[name], header["schema"]["enum"])
            if name in answer.headers and header["schema"].get("type") == "integer":
                self.assertEqual(json_schema.faults(self.document, header["schema"], int(answer.headers[name])), [])
        media = answer.headers["Content-Type"].split(";")[0]
        self.assertIn(media, described["content"])
        if media == "application/json":
            self.assertEqual(json_schema.faults(self.document, described["content"][media]["schema"], answer.json()), [])

    def send(self, path, method, operation, body=None, headers=None):
        return self.service.request(method.upper(), self.address(path, operation), body, headers)


class Answers(OpenApiTest):
    flags, variables = ("--max-model-len", "1024"), {"CACHE_ENABLE": "true"}

    def test_every_example_is_answered_as_described(self):
        for path, method, operation in self.operations():
            with self.subTest(f"{method} {path}"):
                answer = self.send(path, method, operation, self.example(operation))
                self.assertEqual(answer.status, 404 if "control" in operation["tags"] else 200, answer.body)  # none runs
                self.check(operation, answer)

    def test_every_stream_is_as_described(self):
        streams = 0
        for path, method, operation in self.operations():
            events = operation["responses"]["200"].get("content", {}).get("text/event-stream")
            if not events:
                continue
            body = {**self.example(operation), "stream": True, "seed": 1}
            if path.startswith("/v1/"):
                body["stream_options"] = {"include_usage": True}
            with self.subTest(path):
                *pieces, last = self.service.stream(self.address(path, operation), body)
                self.assertEqual(last, "[DONE]")
                self.assertGreater(len(pieces), 1)
                for piece in pieces:
                    self.assertEqual(json_schema.faults(self.document, events["x-event-schema"], json.loads(piece)), [], piece)
                streams += 1
        self.assertEqual(streams, 5)

    def test_answers_that_say_more(self):
        """What only some requests have in their answers."""
        long_prompt = {"prompts": ["1+1=", "a " * 2000], "max_length": 5}
        for path, body in (("/generate", {"prompt": "47 + 85 = ?", "thinking": True, "max_length": 200}),
                           ("/generate", {"prompt": "a", "deadline_ms": 20, "raw": True, "max_length": 1000}),
                           ("/batch_generate", long_prompt),
                           ("/thinking", {"question": "47 + 85 = ?", "thinking_budget": 3}),
                           ("/v1/chat/completions", {"messages": [{"role": "user", "content": "47 + 85 = ?"}], "n": 2, "stop": "5"}),
                           ("/v1/completions", {"prompt": ["a", "b"], "n": 2, "echo": True, "max_tokens": 3}),
                           ("/tokenize", {"messages": [{"role": "user", "content": "a"}]})):
            with self.subTest(path=path, body=str(body)[:80]):
                operation = self.document["paths"][path]["post"]
                self.check(operation, self.send(path, "post", operation, body))
        events = list(self.service.stream("/batch_generate", {**long_prompt, "stream": True}))
        schema = self.document["paths"]["/batch_generate"]["post"]["responses"]["200"]["content"]["text/event-stream"]["x-event-schema"]
        for event in events[:-1]:
            self.assertEqual(json_schema.faults(self.document, schema, json.loads(event)), [], event)

    def test_failures_are_as_described(self):
        for path, method, operation in self.operations():
            with self.subTest(f"{method} {path}"):
                self.check(operation, self.send(path, method, operation, b"{" * 20_000_000 if method == "post" else None,
                                                {"X-Long": "a" * 100_000} if method == "get" else None))
                if "requestBody" not in operation:
                    continue
                statuses = {}
                for body, headers in ((b"{", {}), ({"model": "another", **self.example(operation)}, {}), ({}, {}), ([], {}), (b"x", {"Content-Type": "text/plain"})):
                    answer = self.send(path, method, operation, body, headers)
                    self.check(operation, answer)
                    statuses[answer.status] = answer
                self.assertLessEqual({400, 415}, set(statuses))
                self.assertEqual("404" in operation["responses"], 404 in statuses)
        answer = self.service.post("/generate", {"prompt": "a " * 2000})
        self.assertEqual(answer.json()["error"]["code"], "context_length_exceeded")
        self.check(self.document["paths"]["/generate"]["post"], answer)

    def test_the_values_are_those_of_this_service(self):
        self.assertEqual(self.document["info"]["version"], self.service.get("/health").json()["version"])


class Controlled(OpenApiTest):
    def test_words_on_a_running_request(self):
        def say(method, path, expected):
            operation = self.document["paths"]["/requests/{id}" + path][method]
            answer = self.service.request(method.upper(), f"/requests/{request.id}{path}")
            self.assertEqual(answer.status, expected, answer.body)
            self.check(operation, answer)

        for last in ("/finish_thinking", "/cancel"):
            request = Thinker(self.service)
            say("get", "", 200)
            say("post", last, 200)
            request.thread.join()
            chunk = self.document["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]["text/event-stream"]["x-event-schema"]
            for line in request.text.splitlines():
                if line.startswith("data: {"):
                    self.assertEqual(json_schema.faults(self.document, chunk, json.loads(line[6:])), [], line)
            request.end()


class Configured(OpenApiTest):
    flags = ("--max-batch-prompts", "2", "--default-temperature", "0.25", "--max-body", "5MiB")

    def test_bounds_and_defaults_follow_the_configuration(self):
        schemas = self.document["components"]["schemas"]
        self.assertEqual(schemas["BatchGenerateRequest"]["properties"]["prompts"]["maxItems"], 2)
        self.assertEqual(schemas["GenerateRequest"]["properties"]["temperature"]["default"], 0.25)
        self.assertEqual(self.document["paths"]["/generate"]["post"]["x-max-body"], 5 << 20)
        self.assertEqual(self.service.post("/batch_generate", {"prompts": ["a"] * 3}).status, 400)


class Keys(OpenApiTest):
    variables = {"API_KEYS": '{"app": {"key": "a-key-to-generate-with", "requests_per_minute": 1}, "watch": {"key": "a-key-of-another-scope", "scopes": "metrics"}}'}

    def test_documentation_needs_no_key(self):
        self.assertEqual(self.service.get("/docs").status, 200)
        self.assertIsNotNone(self.document)

    def test_refusals_are_as_described(self):
        for path, method, operation in self.operations():
            with self.subTest(f"{method} {path}"):
                answer = self.send(path, method, operation, self.example(operation))
                self.check(operation, answer)
                self.assertEqual(answer.status == 401, "x-scope" in operation)
                if operation.get("x-scope") == "generate":
                    for scheme in ({"Authorization": "Bearer a-key-of-another-scope"}, {"X-API-Key": "a-key-of-another-scope"}):
                        refused = self.send(path, method, operation, self.example(operation), scheme)
                        self.assertEqual(refused.status, 403)
                        self.check(operation, refused)
        operation = self.document["paths"]["/v1/models"]["get"]
        statuses = []
        for _ in range(3):
            answer = self.send("/v1/models", "get", operation, headers={"X-API-Key": "a-key-to-generate-with"})
            self.check(operation, answer)
            self.assertIn("x-ratelimit-limit-requests", answer.headers)
            statuses.append(answer.status)
        self.assertEqual(statuses[-1], 429)


class Closed(OpenApiTest):
    variables = {"API_KEYS": KEYS, "OPEN_ROUTES": "none"}

    def test_documentation_is_closed_with_the_page(self):
        for path in ("/docs", "/openapi.json", "/"):
            self.assertEqual(self.service.get(path).status, 401, path)


class Loading(OpenApiTest):
    @classmethod
    def setUpClass(cls):
        cls.service = None

    def test_probes_of_a_service_that_is_not_ready(self):
        """Nobody is ready at once: what the probes say until then is described, too."""
        with harness.Service(harness.needs_demo(), wait_ready=False) as service:
            answers = [(path, service.get(path)) for _ in range(20) for path in ("/health", "/readyz", "/livez")]
            type(self).service, type(self).document = service, service.get("/openapi.json").json()
            for path, answer in answers:
                self.check(self.document["paths"][path]["get"], answer)


if __name__ == "__main__":
    harness.main()
