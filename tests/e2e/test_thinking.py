"""Thinking over HTTP with the demonstration model: the guide's request, exact budgets, the same seed alone and in company, time limits."""

import concurrent.futures
import json
import random
import shutil
import subprocess
import time
import unittest

import harness

GUIDE_BODY = """{
  "question": "如何设计一个安全的密码存储系统？",
  "context": "需要考虑哈希算法、盐值和密码策略",
  "thinking_depth": 3,
  "include_reasoning": true
}"""
CLOSING = "\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now.\n</think>\n\n"
QUESTIONS = ["47+85=?", "What is 9032 - 417?", "37 × 42", "Sort 9 31 7 12 88 40", "Reverse q r s t u v", "什么是AES加密算法？",
             "Which is larger, 512 or 498?", "7 ^ 13 mod 19", "请解释RSA加密算法的工作原理", "Hello there", "123456789 " * 8, "\U0001f984 ☃ 思考"]


class WithService(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = harness.Service(harness.needs_demo())
        cls.addClassCleanup(cls.service.close)
        ids = harness.run_jsonl("tokenize", "--model", harness.DEMO, lines=[{"text": CLOSING}])[0]
        cls.closing = len(ids["ids"])

    def think(self, **body):
        answer = self.service.post("/thinking", body)
        self.assertEqual(answer.status, 200, answer.text)
        return answer.json()

    def together(self, bodies, clients=16):
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            return list(pool.map(lambda body: self.think(**body), bodies))


class Guide(WithService):
    def check(self, answer):
        types = {"question": str, "thinking_process": str, "final_answer": str, "reasoning_steps": list, "confidence_score": float,
                 "processing_time": float}
        for name, kind in types.items():
            self.assertIs(type(answer[name]), kind, name)
        self.assertEqual(answer["question"], "如何设计一个安全的密码存储系统？")
        self.assertTrue(answer["thinking_process"] and answer["final_answer"])
        self.assertGreater(len(answer["reasoning_steps"]), 1)
        for step in answer["reasoning_steps"]:
            self.assertIs(type(step), str)
            self.assertNotIn("\n", step)
        self.assertTrue(0 < answer["confidence_score"] <= 1)
        self.assertEqual(set(answer["thinking"]), {"tokens", "budget", "ended_by"})
        self.assertEqual((answer["thinking"]["budget"], answer["thinking"]["ended_by"]), (768, "natural"))

    def test_the_guides_request_as_typed(self):
        if shutil.which("curl") is None:
            self.check(self.service.post("/thinking", GUIDE_BODY).json())
            return
        result = subprocess.run(["curl", "-sS", "-X", "POST", f"http://localhost:{self.service.port}/thinking", "-H",
                                 "Content-Type: application/json", "-d", GUIDE_BODY], capture_output=True, timeout=120 * harness.PATIENCE)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.check(json.loads(result.stdout))

    def test_stream(self):
        body = {"question": "47+85=?", "seed": 4}
        whole = self.think(**body)
        events = list(self.service.stream("/thinking", {**body, "stream": True}))
        self.assertEqual(events[-1], "[DONE]")
        pieces, final = [json.loads(event) for event in events[:-2]], json.loads(events[-2])
        self.assertEqual("".join(piece.get("reasoning", "") for piece in pieces), whole["thinking_process"])
        self.assertEqual("".join(piece.get("text", "") for piece in pieces), whole["final_answer"])
        for answer in (whole, final):
            del answer["processing_time"]
            answer["usage"]["cached_tokens"] = 0
        self.assertEqual(final, whole)

    def test_tokens_per_depth_is_configured(self):
        with harness.Service(harness.DEMO, "--tokens-per-depth", 3) as service:
            answer = service.post("/thinking", {"question": "37 × 42", "thinking_depth": 4, "seed": 1}).json()
            self.assertEqual((answer["thinking"]["budget"], answer["thinking"]["ended_by"]), (12, "budget"))


class Budget(WithService):
    def test_500_requests_never_think_longer_than_they_may_and_always_answer(self):
        chance = random.Random(20260101)
        bodies = [{"question": chance.choice(QUESTIONS), "thinking_budget": chance.randint(0, 200), "seed": chance.randrange(1 << 32),
                   "temperature": chance.choice([0, 0.6, 1.0, 1.6]), "max_length": chance.randint(1, 60),
                   **({"context": "Think hard about it."} if chance.random() < 0.3 else {})} for _ in range(500)]
        ends = set()
        for body, answer in zip(bodies, self.together(bodies, 24)):
            thinking = answer["thinking"]
            self.assertEqual(thinking["budget"], body["thinking_budget"])
            self.assertTrue(answer["final_answer"].strip(), (body, answer))
            ends.add(thinking["ended_by"])
            if thinking["ended_by"] == "natural":
                self.assertLessEqual(thinking["tokens"], body["thinking_budget"], (body, answer))
            elif body["thinking_budget"] == 0:
                self.assertEqual((thinking["tokens"], thinking["ended_by"]), (0, "budget"))
            else:
                self.assertEqual(thinking["ended_by"], "budget", (body, answer))
                self.assertLessEqual(thinking["tokens"], thinking["budget"] + self.closing, (body, answer))
                self.assertGreaterEqual(thinking["tokens"], thinking["budget"], (body, answer))
        self.assertEqual(ends, {"natural", "budget"})

    def test_the_same_seed_thinks_the_same_alone_and_among_sixteen(self):
        bodies = [{"question": QUESTIONS[i % len(QUESTIONS)], "thinking_budget": 11 * i, "seed": i, "temperature": 1.0} for i in range(16)]
        keep = lambda answer: (answer["thinking_process"], answer["final_answer"], answer["thinking"], answer["confidence_score"])
        alone = [keep(self.think(**body)) for body in bodies]
        self.assertEqual([keep(self.think(**body)) for body in bodies], alone)
        for _ in range(2):
            self.assertEqual([keep(answer) for answer in self.together(bodies)], alone)
        with harness.Service(harness.DEMO, "--max-num-seqs", 3, "--max-num-batched-tokens", 16, "--threads", 1) as service:
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                other = list(pool.map(lambda body: keep(service.post("/thinking", body).json()), bodies))
        self.assertEqual(other, alone)

    def test_chat_completions_and_generate_keep_budgets_too(self):
        for budget in (1, 5, 17):
            chat = self.service.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "37 × 42"}], "seed": 3,
                                                              "thinking_budget": budget}).json()
            tokens = chat["usage"]["completion_tokens_details"]["reasoning_tokens"]
            self.assertTrue(budget < tokens <= budget + self.closing, tokens)
            self.assertTrue(chat["choices"][0]["message"]["content"])
            answer = self.service.post("/generate", {"prompt": "37 × 42", "thinking": True, "thinking_budget": budget, "seed": 3}).json()
            self.assertTrue(answer["generated_text"])
            self.assertIn("Considering the limited time", answer["reasoning"])

    def test_no_loop_is_seen_in_honest_scratchpads(self):
        problems = harness.read_jsonl(harness.SOURCE / "tests" / "data" / "demo_problems.jsonl")[:200]
        bodies = [{"question": problem["prompt"], "temperature": 0,
                   "thinking_budget": 1000, "max_length": 40} for problem in problems]
        for answer in self.together(bodies):
            self.assertEqual(answer["thinking"]["ended_by"], "natural", answer)


class Time(WithService):
    def timed(self, path, body):
        start = time.monotonic()
        answer = self.service.post(path, body)
        self.assertEqual(answer.status, 200, answer.text)
        return answer.json(), time.monotonic() - start

    def endless(self, **fields):
        """A model that never closes its thought and never stops by itself: those tokens' logits are pressed down."""
        barred = [harness.run_jsonl("tokenize", "--model", harness.DEMO, lines=[{"text": text}])[0]["ids"][0]
                  for text in ("</think>", "<|im_end|>", "<|endoftext|>")]
        return {"messages": [{"role": "user", "content": "37 × 42"}], "logit_bias": {str(id): -100 for id in barred}, "seed": 1, **fields}

    TRIES = 5  # of which a busy machine lets one through in time

    def test_thinking_time(self):
        body = self.endless(thinking_time_ms=200, max_tokens=6000)
        taken = []
        for _ in range(self.TRIES):
            answer, seconds = self.timed("/v1/chat/completions", body)
            usage = answer["usage"]
            self.assertIn("Considering the limited time", answer["choices"][0]["message"]["reasoning_content"])
            self.assertTrue(answer["choices"][0]["message"]["content"])
            # The thought took 0.2 s of the tokens' common pace.
            share = usage["completion_tokens_details"]["reasoning_tokens"] / usage["completion_tokens"]
            taken.append(share * seconds)
            if taken[-1] < 0.2 * 2 + 0.3 * harness.PATIENCE:
                return
        self.fail(f"a thought of 0.2 s took {taken} s")

    def test_a_deadline_leaves_time_for_the_answer(self):
        body = self.endless(deadline_ms=600)
        thoughts, taken = [], []
        for _ in range(self.TRIES):
            answer, seconds = self.timed("/v1/chat/completions", body)
            message = answer["choices"][0]["message"]
            self.assertTrue(message["content"])
            self.assertGreater(seconds, 0.25)
            thoughts.append(message["reasoning_content"])
            taken.append(seconds)
        self.assertLess(min(taken), 0.6 + 0.3 * harness.PATIENCE)
        # A machine that stalls shortly before the moment leaves room for </think> alone, but not each time.
        self.assertTrue(any("Considering the limited time" in thought for thought in thoughts), thoughts)

    def test_time_limits_of_thinking(self):
        ends, taken = set(), []
        for seed in range(8):
            for limit in ({"thinking_time_ms": 4}, {"deadline_ms": int(10 * harness.PATIENCE)}):
                fields = {"question": "47 × 85", "seed": seed, "thinking_depth": 10, "max_length": 20, **limit}
                start = time.monotonic()
                answer = self.service.post("/thinking", fields)
                taken.append(time.monotonic() - start)
                if "deadline_ms" in limit and answer.status == 504:  # late before its first step
                    self.assertEqual(answer.json()["error"]["code"], "deadline_exceeded")
                    continue
                self.assertEqual(answer.status, 200, answer.text)
                ends.add(answer.json()["thinking"]["ended_by"])
                if "thinking_time_ms" in limit:
                    self.assertTrue(answer.json()["final_answer"].strip(), answer.text)
        self.assertIn("deadline", ends)
        self.assertLess(sorted(taken)[len(taken) // 2], 0.05 + 0.3 * harness.PATIENCE)

    def test_an_answer_that_time_cut_says_so(self):
        chat = self.endless(deadline_ms=int(300 * harness.PATIENCE), enable_thinking=False)
        choice = self.timed("/v1/chat/completions", chat)[0]["choices"][0]
        self.assertEqual((choice["finish_reason"], choice.get("timed_out")), ("length", True))
        with harness.Service(harness.needs_demo(), "--timeout", 1) as service:
            cut, full = (service.post("/v1/chat/completions", self.endless(enable_thinking=False, max_tokens=tokens)).json()["choices"][0]
                         for tokens in (30000, 5))
        self.assertEqual((cut["finish_reason"], cut.get("timed_out")), ("length", True))
        self.assertEqual((full["finish_reason"], full.get("timed_out")), ("length", None))

    def test_a_deadline_before_the_first_token_is_a_timeout(self):
        answer = self.service.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x " * 9000}], "deadline_ms": 1})
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (504, "deadline_exceeded"), answer.text)


class Refusals(WithService):
    def test_bad_fields(self):
        for fields, param, code in [({"thinking_depth": 0}, "thinking_depth", "invalid_value"), ({"deadline_ms": 0}, "deadline_ms", "invalid_value"),
                                    ({"num_paths": 17}, "num_paths", "invalid_value"), ({"depth": 3}, "depth", "unknown_parameter"),
                                    ({"thinking_budget": 1, "reasoning_budget": 2}, "reasoning_budget", "invalid_value")]:
            answer = self.service.post("/thinking", {"question": "a", **fields})
            error = answer.json()["error"]
            self.assertEqual((answer.status, error["param"], error["code"]), (400, param, code), error)
        for path, body in [("/generate", {"prompt": "a"}), ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]})]:
            for value in (0, -1, 86400001, "1", 1.5):
                answer = self.service.post(path, {**body, "deadline_ms": value})
                self.assertEqual((answer.status, answer.json()["error"]["param"]), (400, "deadline_ms"), value)


if __name__ == "__main__":
    harness.main()
