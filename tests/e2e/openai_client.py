"""The official `openai` Python client, unmodified: lists the model, chats, streams. Runs itself under QWEN_PYPI_PYTHON where that is set."""

import os
import sys
import unittest

import harness

PYTHON = os.environ.get("QWEN_PYPI_PYTHON")
if PYTHON and os.environ.get("QWEN_PYPI_STARTED") != "1":
    os.environ["QWEN_PYPI_STARTED"] = "1"
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])

try:
    import openai
except ImportError:
    openai = None

QUESTION = [{"role": "user", "content": "什么是AES加密算法？"}]


class OpenAiClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if openai is None:
            raise unittest.SkipTest("the openai package is not importable (set QWEN_PYPI_PYTHON)")
        cls.service = harness.Service(harness.needs_demo())
        cls.addClassCleanup(cls.service.close)
        cls.client = openai.OpenAI(base_url=f"http://127.0.0.1:{cls.service.port}/v1", api_key="none", timeout=120 * harness.PATIENCE)
        cls.addClassCleanup(cls.client.close)
        cls.model = cls.client.models.list().data[0].id

    def test_lists_and_retrieves_the_model(self):
        models = self.client.models.list().data
        self.assertEqual(len(models), 1)
        self.assertEqual(self.client.models.retrieve(models[0].id).id, models[0].id)

    def test_chats(self):
        completion = self.client.chat.completions.create(model=self.model, messages=QUESTION, seed=1)
        choice = completion.choices[0]
        self.assertEqual(choice.finish_reason, "stop")
        self.assertEqual(choice.message.role, "assistant")
        self.assertTrue(choice.message.content)
        self.assertGreater(completion.usage.prompt_tokens, 0)
        self.assertEqual(completion.usage.total_tokens, completion.usage.prompt_tokens + completion.usage.completion_tokens)

    def test_streams_the_same_answer(self):
        whole = self.client.chat.completions.create(model=self.model, messages=QUESTION, seed=7).choices[0].message
        content, reasoning, reasons, usage = "", "", [], None
        for chunk in self.client.chat.completions.create(model=self.model, messages=QUESTION, seed=7, stream=True,
                                                         stream_options={"include_usage": True}):
            usage = chunk.usage or usage
            for choice in chunk.choices:
                content += choice.delta.content or ""
                reasoning += getattr(choice.delta, "reasoning_content", None) or ""
                reasons += [choice.finish_reason] if choice.finish_reason else []
        self.assertEqual(content, whole.content)
        self.assertEqual(reasoning, getattr(whole, "reasoning_content", None) or "")
        self.assertEqual(reasons, ["stop"])
        self.assertGreater(usage.completion_tokens, 0)

    def test_several_choices(self):
        choices = self.client.chat.completions.create(model=self.model, messages=QUESTION, seed=3, n=3).choices
        self.assertEqual([choice.index for choice in choices], [0, 1, 2])
        alone = self.client.chat.completions.create(model=self.model, messages=QUESTION, seed=3).choices[0]
        self.assertEqual(choices[0].message.content, alone.message.content)

    def test_completes_texts_and_tokens(self):
        completion = self.client.completions.create(model=self.model, prompt=["什么是", "47+85="], max_tokens=12, seed=5, n=2, echo=True)
        self.assertEqual([choice.text[:3] for choice in completion.choices], ["什么是", "什么是", "47+", "47+"])
        self.assertGreater(completion.usage.completion_tokens, 0)
        self.assertTrue(self.client.completions.create(model=self.model, prompt=[40, 41, 42], max_tokens=4).choices[0].text)
        whole = self.client.completions.create(model=self.model, prompt="什么是", max_tokens=12, seed=5).choices[0]
        pieces = [chunk.choices[0] for chunk in
                  self.client.completions.create(model=self.model, prompt="什么是", max_tokens=12, seed=5, stream=True)]
        self.assertEqual("".join(piece.text for piece in pieces), whole.text)
        self.assertEqual(pieces[-1].finish_reason, whole.finish_reason)

    def test_a_bad_value_is_a_bad_request(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.chat.completions.create(model=self.model, messages=QUESTION, temperature=-1)
        self.assertEqual(caught.exception.param, "temperature")


if __name__ == "__main__":
    harness.main()
