"""The golden vectors of the real Qwen3 tokenizer and chat template, through `tokenize --jsonl` and `render --jsonl`."""

import collections
import hashlib
import resource
import unittest

import harness


def failures(cases, answers, check):
    wrong = [case["id"] for case, answer in zip(cases, answers) if not check(case, answer)]
    return wrong


class Tokenizer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = harness.needs_shared("qwen3-tokenizer")
        cls.cases = harness.read_jsonl(harness.needs_shared("golden", "tokenizer.jsonl"))

    def encode(self, lines):
        return harness.run_jsonl("tokenize", "--model", self.model, lines=lines)

    def processor_seconds(self, lines):
        """Of the command, whatever else the machine does; and its answers."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        answers = self.encode(lines)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, answers

    def test_text_to_ids(self):
        answers = self.encode([{"text": case["text"]} for case in self.cases])
        self.assertEqual(failures(self.cases, answers, lambda case, answer: answer.get("ids") == case["ids"]), [])

    def test_text_to_ids_without_added_tokens(self):
        answers = self.encode([{"text": case["text"], "added_tokens": False} for case in self.cases])
        expected = lambda case: case.get("ids_no_added", case["ids"])
        self.assertEqual(failures(self.cases, answers, lambda case, answer: answer.get("ids") == expected(case)), [])

    def test_ids_to_text(self):
        answers = self.encode([{"ids": case["ids"]} for case in self.cases])
        self.assertEqual(failures(self.cases, answers, lambda case, answer: answer.get("text") == case["decoded"]), [])

    def test_ids_to_text_without_special_tokens(self):
        answers = self.encode([{"ids": case["ids"], "skip_special_tokens": True} for case in self.cases])
        expected = lambda case: case.get("decoded_skip_special", case["decoded"])
        self.assertEqual(failures(self.cases, answers, lambda case, answer: answer.get("text") == expected(case)), [])

    def test_long_texts_are_exact_and_linear(self):
        cases = harness.read_jsonl(harness.needs_shared("golden", "tokenizer_long.jsonl"))
        startup = self.processor_seconds([{"text": "a"}])[0]
        for case in cases:
            with self.subTest(case["id"]):
                seconds, answers = self.processor_seconds([{"text": case["unit"] * case["count"] + case["tail"]}])
                ids = answers[0]["ids"]
                self.assertEqual(len(ids), case["n_ids"])
                self.assertEqual(hashlib.sha256(" ".join(map(str, ids)).encode()).hexdigest(), case["ids_sha256"])
                self.assertLess(seconds - startup, 1.0 * harness.PATIENCE)


class Decoder(unittest.TestCase):
    def test_bytes_that_are_no_text(self):
        model = harness.needs_shared("qwen3-tokenizer")
        cases = harness.read_jsonl(harness.needs_shared("golden", "decode.jsonl"))
        answers = harness.run_jsonl("tokenize", "--model", model, lines=[{"ids": case["ids"]} for case in cases])
        self.assertEqual(failures(cases, answers, lambda case, answer: answer.get("text") == case["text"]), [])
        answers = harness.run_jsonl("tokenize", "--model", model,
                                    lines=[{"ids": case["ids"], "skip_special_tokens": True} for case in cases])
        self.assertEqual(failures(cases, answers, lambda case, answer: answer.get("text") == case["text_skip_special"]), [])


class Template(unittest.TestCase):
    def test_renders(self):
        model = harness.needs_shared("qwen3-tokenizer")
        cases = harness.read_jsonl(harness.needs_shared("golden", "chat_template.jsonl"))
        lines = [{"messages": case["messages"], "tools": case["tools"], "add_generation_prompt": case["add_generation_prompt"],
                  "chat_template_kwargs": case.get("kwargs", {})} for case in cases]
        answers = harness.run_jsonl("render", "--model", model, lines=lines)
        wrong = collections.OrderedDict()
        for case, answer in zip(cases, answers):
            correct = "error" in answer if "rendered" not in case else answer.get("text") == case["rendered"]
            if not correct and case["id"] not in self.NOT_COVERED:
                wrong[case["id"]] = answer
        self.assertEqual(dict(wrong), {})
        rendered = [case for case in cases if "rendered" in case]
        answers = harness.run_jsonl("tokenize", "--model", model, lines=[{"text": case["rendered"]} for case in rendered])
        self.assertEqual(failures(rendered, answers, lambda case, answer: answer.get("ids") == case["ids"]), [])


if __name__ == "__main__":
    harness.main()
