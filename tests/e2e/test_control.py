"""A word on a request while it runs: answer now, cancel, how far it is; in one process, in another worker than the one that is asked,
by the right key alone."""

import http.client
import json
import os
import pathlib
import signal
import threading
import time
import unittest

import connection_cases as cases
import harness
from metrics_text import Metrics
from test_workers import Service as Workers
from test_workers import children

SENTENCE = "I have to give the solution based on the thinking directly now."


class Thinker:
    """A chat that thinks until it is told to answer: it may not close its thought by itself."""

    def __init__(self, service, request_id=None, stream=True, key=None, **fields):
        if not hasattr(service, "close_tag"):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            service.close_tag = service.request("POST", "/tokenize", {"prompt": "</think>"}, headers).json()["tokens"][0]
        body = {"messages": [{"role": "user", "content": "47 + 85 = ?"}], "stream": stream, "temperature": 1,
                "logit_bias": {str(service.close_tag): -100}, "stream_options": {"include_usage": True} if stream else None, **fields}
        headers = {"Content-Type": "application/json", **({"X-Request-Id": request_id} if request_id else {}),
                   **({"Authorization": f"Bearer {key}"} if key else {})}
        self.connection = service.connection(60)
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        self.thread = threading.Thread(target=self._read)
        if stream:
            self.answer = self.connection.getresponse()
            assert self.answer.status == 200, self.answer.read()
            self.id = self.answer.headers["X-Request-Id"]
            while b"reasoning_content" not in self.answer.readline():
                pass
        else:
            self.id = request_id
        self.thread.start()

    def _read(self):
        if not hasattr(self, "answer"):
            self.answer = self.connection.getresponse()
        try:
            self.text, self.whole = self.answer.read().decode(), True
        except http.client.IncompleteRead as error:
            self.text, self.whole = error.partial.decode(), False

    def end(self):
        """What was read after the first event, and the reason of the end."""
        self.thread.join(60 * harness.PATIENCE)
        self.connection.close()
        events = [json.loads(line[6:]) for line in self.text.splitlines() if line.startswith("data: {")]
        reasons = [choice["finish_reason"] for event in events for choice in event.get("choices", []) if choice["finish_reason"]]
        joined = lambda name: "".join(choice["delta"].get(name) or "" for event in events for choice in event.get("choices", []))
        return joined("reasoning_content"), joined("content"), reasons


def control(service, request_id, verb, key=None):
    return service.request("POST", f"/requests/{request_id}/{verb}", headers={"Authorization": f"Bearer {key}"} if key else {})


def code_of(answer):
    return answer.status, answer.json()["error"]["code"]


class OneProcess(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.models = cases.endless_model()
        cls.service = harness.Service(cls.models.__enter__(), "--threads", 1)

    @classmethod
    def tearDownClass(cls):
        cls.service.close()
        cls.models.__exit__(None, None, None)

    def test_answer_now(self):
        thinker = Thinker(self.service)
        told = self.service.get(f"/requests/{thinker.id}").json()
        self.assertEqual((told["id"], told["state"], told["generations"]), (thinker.id, "thinking", 1))
        before = Metrics(self.service.get("/metrics").text).value("qwen_thoughts_total", ended_by="client")
        done = control(self.service, thinker.id, "finish_thinking")
        self.assertEqual((done.status, done.json()["thoughts_finished"]), (200, 1))
        deadline = time.monotonic() + 10 * harness.PATIENCE
        while (now := self.service.get(f"/requests/{thinker.id}").json())["state"] == "thinking":
            self.assertLess(time.monotonic(), deadline)
        self.assertLess(now["reasoning_tokens"], done.json()["reasoning_tokens"] + 100)  # sentence and what was under way
        self.assertEqual(code_of(control(self.service, thinker.id, "finish_thinking")), (409, "no_thought"))
        self.assertEqual(control(self.service, thinker.id, "cancel").json()["generations_cancelled"], 1)
        thought, answer, reasons = thinker.end()
        self.assertTrue(thought.rstrip().endswith(SENTENCE), thought[-200:])
        self.assertEqual((reasons, bool(answer)), (["cancelled"], True))
        self.assertTrue(thinker.whole and thinker.text.rstrip().endswith("data: [DONE]"))
        self.assertEqual(Metrics(self.service.get("/metrics").text).value("qwen_thoughts_total", ended_by="client"), before + 1)
        self.assertEqual(code_of(self.service.get(f"/requests/{thinker.id}")), (404, "request_not_here"))

    def test_a_whole_answer_says_who_ended_the_thought(self):
        connection = self.service.connection(60)
        body = {"question": "47 + 85 = ?", "thinking_budget": 30000, "max_length": 10, "temperature": 1.0}
        connection.request("POST", "/thinking", json.dumps(body), {**self.service.headers(), "X-Request-Id": "order-17"})
        deadline = time.monotonic() + 20 * harness.PATIENCE
        while (done := control(self.service, "order-17", "finish_thinking")).status in (404, 503):
            self.assertLess(time.monotonic(), deadline)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        if done.status == 200:  # else the demo was done with its thought
            self.assertIn(SENTENCE, answer["thinking_process"])
            self.assertEqual(answer["thinking"]["ended_by"], "client")
        self.assertTrue(answer["final_answer"])

    def test_cancel_frees_the_engine_within_a_step(self):
        thinkers = [Thinker(self.service, f"many-{i}", n=2) for i in range(3)]
        for thinker in thinkers:
            self.assertEqual(control(self.service, thinker.id, "cancel").json()["generations_cancelled"], 2)
        self.assertEqual([thinker.end()[2] for thinker in thinkers], [["cancelled"] * 2] * 3)
        deadline = time.monotonic() + 5 * harness.PATIENCE
        while Metrics(self.service.get("/metrics").text).value("qwen_requests_running") > 0:
            self.assertLess(time.monotonic(), deadline)

    def test_one_id_of_two_requests_means_both(self):
        thinkers = [Thinker(self.service, "twice") for _ in range(2)]
        self.assertEqual(self.service.get("/requests/twice").json()["generations"], 2)
        self.assertEqual(control(self.service, "twice", "cancel").json()["generations_cancelled"], 2)
        self.assertEqual([thinker.end()[2] for thinker in thinkers], [["cancelled"]] * 2)

    def test_keys(self):
        with harness.Service(harness.needs_demo(), "--threads", 1,
                             env=harness.environment(API_KEYS="ann:ann-key,bob:bob-key", REQUESTS_PER_MINUTE="2")) as service:
            thinker = Thinker(service, "x", key="ann-key", thinking_budget=30000)
            for verb in ("finish_thinking", "cancel"):
                self.assertEqual(code_of(control(service, "x", verb, "bob-key")), (404, "request_not_here"))
                self.assertEqual(code_of(control(service, "x", verb)), (401, "invalid_api_key"))
            self.assertEqual(control(service, "x", "cancel", "ann-key").status, 200)
            self.assertEqual(thinker.end()[2], ["cancelled"])


class SeveralWorkers(unittest.TestCase):
    def test_the_right_worker_is_reached_whoever_is_asked(self):
        with cases.endless_model() as model, Workers(model, "--threads", 1) as service:
            thinkers = [Thinker(service, request_id) for request_id in (None, None, None, None, "order-1", "order-2")]
            places = {thinker.id.split("-")[1] for thinker in thinkers[:4]}
            self.assertEqual(places, {"w0", "w1"})
            held = [service.connection(60) for _ in range(8)]  # control requests of connections to both, each asked for all
            asked_of = set()
            for connection in held:
                for thinker in thinkers:
                    connection.request("GET", f"/requests/{thinker.id}")
                    answer = connection.getresponse()
                    self.assertEqual((answer.status, json.loads(answer.read())["state"]), (200, "thinking"), thinker.id)
                    asked_of.add(answer.headers["X-Request-Id"].split("-")[1])
            self.assertEqual(asked_of, {"w0", "w1"})
            for thinker in thinkers:
                self.assertEqual(control(service, thinker.id, "finish_thinking").json()["thoughts_finished"], 1, thinker.id)
                self.assertEqual(control(service, thinker.id, "cancel").json()["generations_cancelled"], 1)
                self.assertEqual(code_of(control(service, thinker.id, "cancel")), (404, "request_not_here"))
            for thinker in thinkers:
                self.assertEqual(thinker.end()[2], ["cancelled"])

            # One that hangs does not answer; one that was killed has no requests.
            pids = children(service.process.pid)
            connection = next(c for c in held if self.place_of(c) == 0)
            os.kill(pids[1], signal.SIGSTOP)
            while pathlib.Path(f"/proc/{pids[1]}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
                time.sleep(0.01)
            for request_id, expected in (("req-w1-0", (503, "worker_unreachable")), ("order-9", (503, "worker_unreachable")),
                                         ("req-w0-0", (404, "request_not_here"))):
                begin = time.monotonic()
                connection.request("POST", f"/requests/{request_id}/cancel")
                answer = connection.getresponse()
                text = answer.read()
                self.assertEqual((answer.status, json.loads(text)["error"]["code"]), expected)
                self.assertLess(time.monotonic() - begin, 3 * harness.PATIENCE)
                if answer.status == 503:
                    self.assertEqual(answer.headers["Retry-After"], "1")
            os.kill(pids[1], signal.SIGKILL)
            deadline = time.monotonic() + 10 * harness.PATIENCE
            while True:
                connection.request("POST", "/requests/order-9/cancel")
                answer = connection.getresponse()
                answer.read()
                if answer.status == 404:
                    break
                self.assertLess(time.monotonic(), deadline)
            while service.get("/health").json()["workers"]["ready"] < 2:
                self.assertLess(time.monotonic(), deadline + 20)
            for each in held:  # or they make their worker the busier one
                if each is not connection:
                    each.close()
            late = [Thinker(service) for _ in range(4)]  # also of the worker that was started again
            self.assertEqual({thinker.id.split("-")[1] for thinker in late}, {"w0", "w1"})
            for thinker in late:
                connection.request("POST", f"/requests/{thinker.id}/cancel")
                self.assertEqual(json.loads(connection.getresponse().read())["generations_cancelled"], 1)
                self.assertEqual(thinker.end()[2], ["cancelled"])
            connection.close()

    @staticmethod
    def place_of(connection):
        connection.request("GET", "/health")
        answer = connection.getresponse()
        answer.read()
        return int(answer.headers["X-Request-Id"].split("-")[1][1:])


if __name__ == "__main__":
    harness.main()
