"""The native routes beside /generate, and /v1/completions, over the demo model: batches, tokens and templates, text completions, what is refused."""

import json
import random
import time
import unittest

import harness

PROMPTS = ["什么是对称加密？", "什么是非对称加密？", "什么是哈希函数？", "47+85=?", "What is a hash function?"]


class WithService(unittest.TestCase):
    flags = ()

    @classmethod
    def setUpClass(cls):
        cls.service = harness.Service(harness.needs_demo(), *cls.flags)
        cls.addClassCleanup(cls.service.close)

    def ask(self, path, body, status=200):
        answer = self.service.post(path, body)
        self.assertEqual(answer.status, status, answer.text)
        return answer.json()

    def refused(self, path, body, code, param):
        error = self.ask(path, body, 400)["error"]
        self.assertEqual((error["code"], error["param"]), (code, param), error)
        return error


class BatchGenerate(WithService):
    def test_each_prompt_is_answered_as_alone(self):
        for fields in ({"seed": 7}, {"temperature": 0}, {"seed": 3, "thinking": True, "temperature": 1.0}):
            fields = {**fields, "max_length": 80}
            answer = self.ask("/batch_generate", {"prompts": PROMPTS, **fields})
            self.assertEqual([result.pop("index") for result in answer["results"]], list(range(len(PROMPTS))))
            alone = [self.ask("/generate", {"prompt": prompt, **fields}) for prompt in PROMPTS]
            for one in (*alone, *answer["results"]):
                self.assertGreater(one.pop("generation_time"), 0)
            self.assertEqual(answer["results"], alone)
            self.assertEqual(answer["total_tokens"], sum(one["token_count"] for one in alone))

    def test_without_a_seed_equal_prompts_differ(self):
        answer = self.ask("/batch_generate", {"prompts": ["什么是AES加密算法？"] * 8, "temperature": 2.0, "top_p": 1.0, "max_length": 40})
        self.assertGreater(len({result["generated_text"] for result in answer["results"]}), 1)

    def test_stream_joins_to_the_results(self):
        body = {"prompts": PROMPTS, "seed": 5, "max_length": 60}
        whole = self.ask("/batch_generate", body)
        events = list(self.service.stream("/batch_generate", {**body, "stream": True}))
        self.assertEqual(events[-1], "[DONE]")
        final = json.loads(events[-2])
        texts, ends = [""] * len(PROMPTS), [None] * len(PROMPTS)
        for event in map(json.loads, events[:-2]):
            texts[event["index"]] += event.get("text", "")
            ends[event["index"]] = event.get("finish_reason", ends[event["index"]])
        self.assertEqual(texts, [result["generated_text"] for result in whole["results"]])
        self.assertEqual(ends, [result["finish_reason"] for result in whole["results"]])
        self.assertEqual([result["generated_text"] for result in final["results"]], texts)

    def test_what_is_refused(self):
        self.refused("/batch_generate", {"prompts": []}, "invalid_value", "prompts")
        self.refused("/batch_generate", {"prompts": ["a"] * 65}, "invalid_value", "prompts")
        self.refused("/batch_generate", {"prompts": ["a", ""]}, "invalid_value", "prompts[1]")
        error = self.refused("/batch_generate", {"prompt": ["a"]}, "unknown_parameter", "prompt")
        self.assertIn("prompts", error["message"])
        self.assertEqual(len(self.ask("/batch_generate", {"prompts": ["a"] * 64, "max_length": 1})["results"]), 64)


class SmallBatch(WithService):
    flags = ("--max-model-len", 256, "--max-batch-prompts", 7)

    def test_a_prompt_that_is_too_long_is_its_own_error(self):
        results = self.ask("/batch_generate", {"prompts": ["hi", "word " * 3000, "ho"], "max_length": 5})["results"]
        self.assertEqual(set(results[1]), {"index", "error"})
        self.assertEqual(results[1]["error"]["code"], "context_length_exceeded")
        self.assertTrue(all(results[i]["token_count"] > 0 for i in (0, 2)))

    def test_the_configured_bound_holds_on_both_routes(self):
        self.refused("/batch_generate", {"prompts": ["a"] * 8}, "invalid_value", "prompts")
        self.refused("/v1/completions", {"prompt": ["a"] * 8}, "invalid_value", "prompt")


class FullQueue(unittest.TestCase):
    def test_more_than_the_queue_holds_is_refused_whole(self):
        never = lambda config: config.update(eos_token_id=0)  # so that no answer ends by itself and makes room
        with harness.changed_model(harness.needs_demo(), generation_config=never, config=never) as model:
            with harness.Service(model, "--max-num-seqs", 2, "--max-waiting", 3) as service:
                answer = service.post("/batch_generate", {"prompts": ["a"] * 7, "max_length": 20000})
                self.assertEqual(answer.status, 503, answer.text)
                self.assertEqual(answer.json()["error"]["code"], "server_overloaded")
                self.assertEqual(answer.headers["Retry-After"], "1")
                # Those that had been accepted give up their places within a step or two, all of them.
                end = time.monotonic() + 1.0 * harness.PATIENCE
                while (answer := service.post("/batch_generate", {"prompts": ["a"] * 5, "max_length": 3})).status == 503:
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.01)
                self.assertEqual([result["token_count"] for result in answer.json()["results"]], [3] * 5)


class Tokens(WithService):
    def tokens(self, **body):
        return self.ask("/tokenize", body)["tokens"]

    def test_there_and_back(self):
        alphabet = "aZ 9\n\t.,'é你好🦄\u200b<|>im_end think"
        source = random.Random(1)
        for _ in range(50):
            text = "".join(source.choices(alphabet, k=source.randrange(60)))
            tokens = self.tokens(prompt=text)
            self.assertEqual(self.ask("/detokenize", {"tokens": tokens}), {"prompt": text, "content": text})

    def test_agrees_with_the_commands(self):
        text = "Hello 你好 <think>1+1</think><|im_end|>"
        printed = harness.run("tokenize", "--model", harness.DEMO, stdin=text).stdout
        self.assertEqual(self.tokens(prompt=text), [int(token) for token in printed.split(",")])

    def test_a_template_is_what_the_model_sees(self):
        messages = [{"role": "system", "content": "简短"}, {"role": "user", "content": "2+2=?<|im_end|>"}]
        prompt = self.ask("/apply-template", {"messages": messages})["prompt"]
        self.assertTrue(prompt.endswith("<|im_start|>assistant\n<think>\n"), prompt)
        usage = self.ask("/v1/chat/completions", {"messages": messages, "max_tokens": 1})["usage"]
        counted = self.ask("/tokenize", {"messages": messages, "return_token_strs": True})
        self.assertEqual(counted["count"], usage["prompt_tokens"])
        self.assertEqual(counted["token_strs"].count("<|im_end|>"), 2)  # what the user typed ends no turn
        self.assertEqual(self.ask("/tokenize", {"prompt": prompt, "return_token_strs": True})["token_strs"].count("<|im_end|>"), 3)

    def test_a_megabyte_takes_well_under_a_second(self):
        text = "".join(random.Random(2).choices("abc defg 你好，世界 \n0123456789", k=1 << 19))
        while len(text.encode()) < 1 << 20:
            text += text[: 1 << 16]
        start = time.monotonic()
        counted = self.ask("/tokenize", {"prompt": text})
        self.assertLess(time.monotonic() - start, 1.0 * harness.PATIENCE)
        self.assertEqual(counted["count"], len(counted["tokens"]))

    def test_ids_out_of_range(self):
        vocabulary = self.service.get("/model_info").json()["vocab_size"]
        self.refused("/detokenize", {"tokens": [1, vocabulary]}, "invalid_value", "tokens[1]")
        self.refused("/detokenize", {"tokens": [-1]}, "invalid_value", "tokens[0]")
        self.refused("/v1/completions", {"prompt": [1, vocabulary]}, "invalid_value", "prompt[1]")
        self.refused("/tokenize", {"promt": "a"}, "unknown_parameter", "promt")


class Completions(WithService):
    RAW = "<|im_start|>user\n47+85=?<|im_end|>\n<|im_start|>assistant\n<think>\n"

    def test_is_generate_raw_with_the_tags_kept(self):
        text = self.ask("/v1/completions", {"prompt": self.RAW, "max_tokens": 400, "temperature": 0})["choices"][0]["text"]
        raw = self.ask("/generate", {"prompt": self.RAW, "raw": True, "max_length": 400, "temperature": 0})
        thought, _, answer = text.partition("</think>")
        self.assertEqual(thought.strip("\n"), raw["reasoning"])
        self.assertEqual(answer.lstrip("\n"), raw["generated_text"])

    def test_text_and_tokens_give_the_same(self):
        tokens = self.ask("/tokenize", {"prompt": self.RAW})["tokens"]
        body = {"max_tokens": 30, "seed": 4, "echo": True}
        one, other = (self.ask("/v1/completions", {"prompt": prompt, **body})["choices"] for prompt in (self.RAW, tokens))
        self.assertEqual(one, other)
        self.assertTrue(one[0]["text"].startswith(self.RAW))

    def test_choices_of_several_prompts_each_as_alone(self):
        prompts = [self.RAW, "什么是"]
        answer = self.ask("/v1/completions", {"prompt": prompts, "n": 3, "seed": 11, "temperature": 1.5, "max_tokens": 24})
        choices = answer["choices"]
        self.assertEqual([choice["index"] for choice in choices], list(range(6)))
        for i, prompt in enumerate(prompts):
            alone = self.ask("/v1/completions", {"prompt": prompt, "seed": 11, "temperature": 1.5, "max_tokens": 24})
            self.assertEqual(choices[3 * i]["text"], alone["choices"][0]["text"])
        self.assertGreater(len({choice["text"] for choice in choices[3:]}), 1)
        again = self.ask("/v1/completions", {"prompt": prompts, "n": 3, "seed": 11, "temperature": 1.5, "max_tokens": 24})
        self.assertEqual(again["choices"], choices)

    def test_chat_answers_several_times(self):
        body = {"messages": [{"role": "user", "content": "什么是AES加密算法？"}], "seed": 2, "temperature": 1.2, "max_tokens": 60}
        several = self.ask("/v1/chat/completions", {**body, "n": 4})["choices"]
        self.assertEqual(several[0], self.ask("/v1/chat/completions", body)["choices"][0])
        events = [json.loads(event) for event in self.service.stream("/v1/chat/completions", {**body, "n": 4, "stream": True})
                  if event != "[DONE]"]
        for choice in several:
            deltas = [event["choices"][0]["delta"] for event in events if event["choices"][0]["index"] == choice["index"]]
            self.assertEqual("".join(delta.get("reasoning_content") or "" for delta in deltas),
                             choice["message"].get("reasoning_content", ""))
            self.assertEqual("".join(delta.get("content") or "" for delta in deltas), choice["message"]["content"] or "")

    def test_stream(self):
        body = {"prompt": ["什么是", "47+"], "seed": 9, "max_tokens": 20, "n": 2}
        whole = self.ask("/v1/completions", body)
        stream = {**body, "stream": True, "stream_options": {"include_usage": True}}
        events = list(self.service.stream("/v1/completions", stream))
        self.assertEqual(events[-1], "[DONE]")
        events = [json.loads(event) for event in events[:-1]]
        self.assertEqual(events[-1]["choices"], [])
        self.assertEqual(events[-1]["usage"], whole["usage"])
        texts = [""] * 4
        for event in events[:-1]:
            texts[event["choices"][0]["index"]] += event["choices"][0]["text"]
        self.assertEqual(texts, [choice["text"] for choice in whole["choices"]])

    def test_unknown_fields_are_ignored_and_known_ones_never_dropped(self):
        self.ask("/v1/completions", {"prompt": "a", "max_tokens": 1, "user": "me", "something": None})
        for name, value in (("logprobs", 1), ("suffix", "b"), ("best_of", 2)):
            self.refused("/v1/completions", {"prompt": "a", name: value}, "unsupported_parameter", name)
        self.refused("/v1/completions", {"prompt": "a", "n": 9}, "invalid_value", "n")
        self.refused("/v1/completions", {"max_tokens": 1}, "invalid_value", "prompt")


class ModelInfo(WithService):
    def test_says_everything(self):
        info = self.service.get("/model_info").json()
        for name in ("model_type", "architecture", "quantization", "head_format", "dtype", "device", "kernels", "fingerprint", "template_family"):
            self.assertTrue(isinstance(info[name], str) and info[name], (name, info))
        for name in ("parameters", "context_length", "max_model_len", "vocab_size"):
            self.assertTrue(isinstance(info[name], int) and info[name] > 0, (name, info))
        self.assertIs(info["demo"], True)
        generate = info["default_sampling"]["generate"]
        self.assertEqual((generate["temperature"], generate["top_p"]), (0.7, 0.9))
        self.assertEqual(set(info["default_sampling"]["chat"]), {"temperature", "top_p", "top_k", "min_p", "repetition_penalty"})


if __name__ == "__main__":
    harness.main()
