"""Generation over HTTP: the guide's curl line, streams, sixteen requests at once, a client that goes away, bad requests."""

import concurrent.futures
import json
import shutil
import socket
import subprocess
import time
import unittest

import harness

GUIDE_BODY = '{\n    "prompt": "什么是AES加密算法？",\n    "max_length": 200,\n    "temperature": 0.7\n  }'


class WithService(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = harness.Service(harness.needs_demo())
        cls.addClassCleanup(cls.service.close)


class Generate(WithService):
    def check_guide_answer(self, answer):
        self.assertEqual(answer["prompt"], "什么是AES加密算法？")
        self.assertTrue(answer["generated_text"].strip())
        self.assertNotIn("<think>", answer["generated_text"])
        self.assertGreater(answer["generation_time"], 0)
        self.assertTrue(0 < answer["token_count"] <= 200)
        self.assertEqual(set(answer["model_info"]) & {"model_type", "quantization"}, {"model_type", "quantization"})
        self.assertIn(answer["finish_reason"], ("stop", "length"))
        self.assertEqual(answer["usage"]["completion_tokens"], answer["token_count"])

    def test_the_guides_curl_line(self):
        url = f"http://localhost:{self.service.port}/generate"
        if shutil.which("curl") is None:
            self.skipTest("curl is absent")
        result = subprocess.run(["curl", "-sS", "-X", "POST", url, "-H", "Content-Type: application/json", "-d", GUIDE_BODY],
                                capture_output=True, timeout=120 * harness.PATIENCE)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.check_guide_answer(json.loads(result.stdout))

    def test_the_answer_is_chinese_and_about_the_question(self):
        text = self.service.post("/generate", {"prompt": "什么是AES加密算法？", "max_length": 200, "seed": 1}).json()["generated_text"]
        self.assertIn("AES", text)
        self.assertTrue(any("\u4e00" <= character <= "\u9fff" for character in text), text)

    def test_stream_joins_to_the_answer(self):
        most_pieces = 0  # a busy machine may send a short answer whole, but not each time
        for seed in range(10):
            body = {"prompt": "什么是AES加密算法？", "max_length": 200, "seed": seed}
            whole = self.service.post("/generate", body).json()
            events = list(self.service.stream("/generate", {**body, "stream": True}))
            self.assertEqual(events[-1], "[DONE]")
            final = json.loads(events[-2])
            self.assertEqual(final["generated_text"], whole["generated_text"])
            self.assertEqual(final["usage"], whole["usage"])
            pieces = [json.loads(event) for event in events[:-2]]
            self.assertEqual("".join(piece.get("text", "") for piece in pieces), whole["generated_text"])
            most_pieces = max(most_pieces, len(pieces))
        self.assertGreater(most_pieces, 1)

    def test_greedy_ignores_the_seed(self):
        texts = {self.service.post("/generate", {"prompt": "2+2=", "temperature": 0, "seed": seed}).json()["generated_text"]
                 for seed in range(3)}
        self.assertEqual(len(texts), 1)

    def test_max_length_is_the_most_new_tokens(self):
        answer = self.service.post("/generate", {"prompt": "什么是AES加密算法？", "max_length": 3, "seed": 1}).json()
        self.assertEqual((answer["token_count"], answer["finish_reason"]), (3, "length"))

    def test_a_stop_string_ends_the_text_before_it(self):
        body = {"prompt": "什么是AES加密算法？", "max_length": 200, "seed": 3}
        text = self.service.post("/generate", body).json()["generated_text"]
        stop = text[len(text) // 2: len(text) // 2 + 2]
        answer = self.service.post("/generate", {**body, "stop": [stop]}).json()
        self.assertEqual(answer["generated_text"], text[: text.index(stop)])
        self.assertEqual(answer["finish_reason"], "stop")


class BadRequests(WithService):
    def check(self, path, body, status, param=None, code=None):
        answer = self.service.post(path, body)
        self.assertEqual(answer.status, status, answer.text)
        error = answer.json()["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        if param:
            self.assertEqual(error["param"], param)
        if code:
            self.assertEqual(error["code"], code)
        return error

    def test_values_and_fields_are_named(self):
        self.check("/generate", {"max_length": 5}, 400, "prompt")
        self.check("/generate", {"prompt": "a", "temperature": -1}, 400, "temperature")
        self.check("/generate", {"prompt": "a", "top_p": 0}, 400, "top_p")
        self.check("/generate", {"prompt": "a", "max_length": 0}, 400, "max_length")
        error = self.check("/generate", {"prompt": "a", "temprature": 1}, 400, "temprature")
        self.assertIn("temperature", error["message"])
        self.check("/generate", "{not json", 400)
        self.check("/v1/chat/completions", {"messages": []}, 400)

    def test_a_prompt_that_is_too_long_is_never_cut(self):
        with harness.Service(harness.needs_demo(), "--max-model-len", 256) as service:
            answer = service.post("/generate", {"prompt": "word " * 5000})
            self.assertEqual(answer.status, 400)
            self.assertEqual(answer.json()["error"]["code"], "context_length_exceeded")

    def test_routes(self):
        self.assertEqual(self.service.get("/nothing").status, 404)
        wrong_method = self.service.get("/generate")
        self.assertEqual(wrong_method.status, 405)
        self.assertIn("POST", wrong_method.headers["Allow"])
        self.assertTrue(self.service.get("/health").headers["X-Request-Id"])


class Together(unittest.TestCase):
    REQUESTS = [{"prompt": prompt, "seed": seed, "max_length": 120, "thinking": seed % 2 == 0, "temperature": 0.9}
                for seed, prompt in enumerate(["什么是AES加密算法？", "47+85=?", "Sort 9 3 7 1", "What is a hash function?",
                                               "12 × 34", "请解释RSA加密算法的工作原理", "100 - 37", "Count the letters of q r s t"] * 2)]

    def test_sixteen_at_once_are_each_what_they_are_alone(self):
        with harness.Service(harness.needs_demo()) as service:
            ask = lambda body: service.post("/generate", body).json()
            keep = lambda answer: (answer["generated_text"], answer.get("reasoning"), answer["finish_reason"], answer["token_count"])
            alone = [keep(ask(body)) for body in self.REQUESTS]
            for _ in range(3):
                with concurrent.futures.ThreadPoolExecutor(16) as pool:
                    together = [keep(answer) for answer in pool.map(ask, self.REQUESTS)]
                self.assertEqual(together, alone)
        # Nor does the number of threads, the size of the batch or the cutting of prompts matter.
        with harness.Service(harness.needs_demo(), "--threads", 1, "--max-num-seqs", 3, "--max-num-batched-tokens", 16) as service:
            ask = lambda body: service.post("/generate", body).json()
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                self.assertEqual([keep(answer) for answer in pool.map(ask, self.REQUESTS)], alone)


class Disconnect(unittest.TestCase):
    def test_a_client_that_goes_away_frees_its_sequence(self):
        never = lambda config: config.update(eos_token_id=0)  # so that the long answer does not end by itself
        with harness.changed_model(harness.needs_demo(), generation_config=never, config=never) as model:
            with harness.Service(model, "--max-num-seqs", 1) as service:
                body = json.dumps({"prompt": "a", "max_length": 20000, "temperature": 1.0, "stream": True}).encode()
                with socket.create_connection(("127.0.0.1", service.port)) as client:
                    client.sendall(b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                                   b"Content-Length: %d\r\n\r\n" % len(body) + body)
                    self.assertIn(b"200", client.recv(4096).split(b"\r\n")[0])
                    client.recv(4096)  # generating
                # One sequence at a time: the next request runs only when the engine let the first go.
                start = time.monotonic()
                answer = service.post("/generate", {"prompt": "b", "max_length": 4})
                self.assertEqual(answer.status, 200)
                self.assertLess(time.monotonic() - start, 5 * harness.PATIENCE)


if __name__ == "__main__":
    harness.main()
