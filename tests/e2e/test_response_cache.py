"""The response cache of a live service: hits on every route, whole and streamed, equal to what was computed; equal requests at once
computed once; what is not repeatable, cut or not wanted left alone."""

import concurrent.futures
import json
import re
import socket
import time
import unittest

import harness
from test_metrics import eventually, scrape

GREEDY = {"prompt": "358 + 467 = ?", "temperature": 0, "max_length": 64}
CHAT = {"messages": [{"role": "user", "content": "358 + 467 = ?"}], "temperature": 0, "max_tokens": 400}
VOLATILE = {"generation_time", "processing_time", "total_time", "cached", "usage", "id", "created"}


def lasting(value):
    """The parts of an answer that a hit has to repeat."""
    if isinstance(value, dict):
        return {key: lasting(item) for key, item in value.items() if key not in VOLATILE}
    return [lasting(item) for item in value] if isinstance(value, list) else value


def generated(service):
    return scrape(service).value("qwen_generated_tokens_total")


def results(service):
    metrics = scrape(service)
    return {result: metrics.value("qwen_response_cache_requests_total", result=result) for result in ("hit", "joined", "miss", "error", "bypass")}


class Cache(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = harness.Service(harness.needs_demo(), "--threads", 1, env=harness.environment(CACHE_ENABLE="true"))
        cls.addClassCleanup(cls.service.close)

    def stream(self, path, body, headers=None):
        connection = self.service.connection()
        try:
            connection.request("POST", path, json.dumps({**body, "stream": True}), {"Content-Type": "application/json", **(headers or {})})
            response = connection.getresponse()
            self.assertEqual(response.status, 200)
            events = [line[5:].strip().decode() for line in response if line.startswith(b"data:")]
            return response.headers["X-Cache"], events
        finally:
            connection.close()

    def twice(self, path, body):
        first = self.service.post(path, body)
        before = generated(self.service)
        second = self.service.post(path, body)
        self.assertEqual((first.status, second.status), (200, 200), first.text)
        self.assertEqual((first.headers["X-Cache"], second.headers["X-Cache"]), ("MISS", "HIT"))
        self.assertEqual(generated(self.service), before)
        self.assertEqual(lasting(first.json()), lasting(second.json()))
        return first.json(), second.json()

    def test_generate(self):
        first, second = self.twice("/generate", {**GREEDY, "thinking": True})
        self.assertEqual((first["cached"], second["cached"]), (False, True))
        self.assertEqual(second["usage"]["cached_tokens"], second["usage"]["prompt_tokens"])
        self.assertEqual(first["usage"]["completion_tokens"], second["usage"]["completion_tokens"])

    def test_thinking(self):
        first, second = self.twice("/thinking", {"question": "12 * 12 = ?", "seed": 3, "thinking_budget": 40})
        self.assertEqual((first["cached"], second["cached"]), (False, True))
        self.assertEqual(first["confidence_score"], second["confidence_score"])

    def test_openai_routes(self):
        _, second = self.twice("/v1/chat/completions", {**CHAT, "seed": 1})
        self.assertEqual(second["usage"]["prompt_tokens_details"]["cached_tokens"], second["usage"]["prompt_tokens"])
        self.twice("/v1/completions", {"prompt": ["a b", "c d"], "temperature": 0, "max_tokens": 9, "n": 2})

    def test_batch(self):
        body = {"prompts": ["2+2=", "2+2=", "3+3="], "temperature": 0, "max_length": 20}
        first, second = self.twice("/batch_generate", body)
        self.assertEqual([result["cached"] for result in first["results"]], [False, True, False])
        self.assertEqual([result["cached"] for result in second["results"]], [True] * 3)
        single = self.service.post("/generate", {"prompt": "3+3=", "temperature": 0, "max_length": 20})
        self.assertEqual(single.headers["X-Cache"], "HIT")

    def test_a_stream_and_a_whole_answer_have_one_entry(self):
        body = {**GREEDY, "prompt": "17 * 3 = ?", "thinking": True}
        state, computed = self.stream("/generate", body)
        self.assertEqual(state, "MISS")
        state, replayed = self.stream("/generate", body)
        self.assertEqual(state, "HIT")
        whole = self.service.post("/generate", body)
        self.assertEqual(whole.headers["X-Cache"], "HIT")
        for events in (computed, replayed):
            self.assertEqual(events[-1], "[DONE]")
            pieces = [json.loads(event) for event in events[:-2]]
            self.assertLessEqual({key for piece in pieces for key in piece}, {"text", "reasoning"})
            self.assertEqual("".join(piece.get("text", "") for piece in pieces), whole.json()["generated_text"])
            self.assertEqual("".join(piece.get("reasoning", "") for piece in pieces), whole.json()["reasoning"])
            self.assertEqual(lasting(json.loads(events[-2])), lasting(whole.json()))
        self.assertIs(json.loads(replayed[-2])["cached"], True)

    def test_a_chat_stream_is_replayed_in_the_same_chunks(self):
        body = {**CHAT, "temperature": 0.7, "seed": 5}
        whole = self.service.post("/v1/chat/completions", body).json()["choices"][0]
        state, events = self.stream("/v1/chat/completions", {**body, "stream_options": {"include_usage": True}})
        self.assertEqual((state, events[-1]), ("HIT", "[DONE]"))
        chunks = [json.loads(event) for event in events[:-1]]
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
        self.assertEqual(deltas[0], {"role": "assistant", "content": ""})
        self.assertEqual("".join(delta.get("content", "") for delta in deltas), whole["message"]["content"] or "")
        self.assertEqual("".join(delta.get("reasoning_content", "") for delta in deltas), whole["message"].get("reasoning_content", ""))
        self.assertEqual([chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]][-1], whole["finish_reason"])
        self.assertGreater(chunks[-1]["usage"]["completion_tokens"], 0)

    def test_a_hundred_equal_requests_at_once_compute_once(self):
        body = {**CHAT, "messages": [{"role": "user", "content": "846 + 95 = ?"}]}
        before, counted = generated(self.service), results(self.service)
        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            answers = list(pool.map(lambda i: self.stream("/v1/chat/completions", body) if i % 2 else self.service.post("/v1/chat/completions", body),
                                    range(100)))
        texts = set()
        for answer in answers:
            if isinstance(answer, tuple):
                chunks = [json.loads(event) for event in answer[1][:-1]]
                texts.add("".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks))
            else:
                texts.add(answer.json()["choices"][0]["message"]["content"])
        self.assertEqual(len(texts), 1)
        whole = self.service.post("/v1/chat/completions", body).json()
        self.assertEqual(generated(self.service) - before, whole["usage"]["completion_tokens"])
        after = results(self.service)
        self.assertEqual(after["miss"] - counted["miss"], 1)
        self.assertEqual(after["hit"] + after["joined"] - counted["hit"] - counted["joined"], 100)

    def test_what_is_not_repeatable_is_computed(self):
        body = {"prompt": "2+2=", "max_length": 8, "temperature": 0.9}
        for _ in range(2):
            self.assertEqual(self.service.post("/generate", body).headers["X-Cache"], "BYPASS")
        self.twice("/generate", {**body, "seed": 77})

    def test_the_client_decides(self):
        body = {**GREEDY, "prompt": "8 + 1 = ?"}

        def ask(control):
            return self.service.request("POST", "/generate", body, {"Cache-Control": control}).headers["X-Cache"]

        self.assertEqual([ask("no-store"), ask("no-store"), ask("no-cache"), ask("x"), ask("no-cache"), ask("no-store")],
                         ["BYPASS", "BYPASS", "MISS", "HIT", "MISS", "BYPASS"])

    def test_cut_answers_are_not_kept(self):
        body = {"prompt": "1", "raw": True, "temperature": 0, "max_length": 3000, "stop": ["\u2603"], "deadline_ms": 150}
        first = self.service.post("/generate", body)
        if first.status == 200 and not first.json().get("timed_out"):
            self.skipTest("this machine is too fast for a deadline of 150 ms")
        self.assertNotEqual(self.service.post("/generate", body).headers["X-Cache"], "HIT")
        abandoned = {**CHAT, "messages": [{"role": "user", "content": "999 * 999 = ?"}], "stream": True}
        payload = json.dumps(abandoned).encode()
        with socket.create_connection(("127.0.0.1", self.service.port)) as client:
            client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(payload) + payload)
            client.recv(100)
        self.assertTrue(eventually(lambda: scrape(self.service).value("qwen_requests_running") == 0))
        self.assertEqual(self.service.post("/v1/chat/completions", {**abandoned, "stream": False}).headers["X-Cache"], "MISS")

    def test_access_lines_tell_what_was_generated(self):
        def line(path, body):
            answer = self.service.post(path, body)
            self.assertEqual(answer.status, 200)
            found = []
            self.assertTrue(eventually(lambda: found.extend(line for line in self.service.errors if answer.headers["X-Request-Id"] in line) or found))
            return answer.json().get("usage"), found[0]

        body = {**GREEDY, "prompt": "lines"}
        usage, computed = line("/generate", body)
        counts = f"prompt_tokens {usage['prompt_tokens']} completion_tokens {usage['completion_tokens']}"
        both = usage["prompt_tokens"] + usage["completion_tokens"]
        self.assertRegex(computed, rf" bytes \d+ {counts} response_time ")
        self.assertRegex(line("/generate", body)[1], rf" bytes \d+ cache hit cache_tokens {both} response_time ")
        twice = line("/batch_generate", {"prompts": ["two lines", "two lines"], "temperature": 0, "max_length": 64})[1]
        tokens = re.search(r" bytes \d+ prompt_tokens (\d+) completion_tokens (\d+) cache partial cache_tokens (\d+) response_time ", twice)
        self.assertTrue(tokens, twice)
        self.assertEqual(int(tokens[1]) + int(tokens[2]), int(tokens[3]))

    def test_stats_and_metrics(self):
        body = {**GREEDY, "prompt": "stats"}
        self.service.post("/generate", body)
        before = self.service.get("/stats").json()["cache"]
        self.service.post("/generate", body)
        after = self.service.get("/stats").json()["cache"]
        self.assertEqual(after["hits"], before["hits"] + 1)
        self.assertGreater(after["entries"], 0)
        self.assertGreater(after["bytes"], 0)
        self.assertIs(after["breaker_open"], False)
        metrics = scrape(self.service)
        self.assertEqual(metrics.value("qwen_response_cache_breaker_open"), 0)
        self.assertEqual(metrics.value("qwen_response_cache_entries"), after["entries"])
        self.assertGreater(metrics.value("qwen_response_cache_duration_seconds_count"), 0)


class Bounds(unittest.TestCase):
    def test_size_and_time(self):
        env = harness.environment(CACHE_CONFIG='{"enable": True, "ttl": 1, "max_size": "4KiB"}', CACHE_MAX_ENTRIES="5")
        with harness.Service(harness.needs_demo(), "--threads", 1, env=env) as service:
            for number in range(30):
                service.post("/generate", {"prompt": str(number), "temperature": 0, "max_length": 4})
            metrics = scrape(service)
            self.assertLessEqual(metrics.value("qwen_response_cache_entries"), 5)
            self.assertLessEqual(metrics.value("qwen_response_cache_bytes"), 4096)
            self.assertGreater(metrics.value("qwen_response_cache_evictions_total"), 10)
            body = {"prompt": "29", "temperature": 0, "max_length": 4}
            time.sleep(1.1)
            self.assertEqual([service.post("/generate", body).headers["X-Cache"] for _ in range(2)], ["MISS", "HIT"])

    def test_without_it_nothing_is_said(self):
        with harness.Service(harness.needs_demo(), "--threads", 1) as service:
            for _ in range(2):
                answer = service.post("/generate", GREEDY)
                self.assertIsNone(answer.headers["X-Cache"])
                self.assertIs(answer.json()["cached"], False)
            self.assertNotIn("cache", service.get("/stats").json())


if __name__ == "__main__":
    harness.main()
