"""Logits and greedy continuations of small random checkpoints against the official implementation, through `logits --jsonl`.

The reference kernels compute in f32 on the stored values, dequantized where they are integers: relative L2 error ≤ 1e-4 and every greedy
token equal. Fast kernels round to bf16: ≤ 2e-2, and greedy equal up to the first step whose margin is below twice the measured error; the
integers of GPTQ and AWQ folders they multiply with activations of 8 bits: ≤ 3e-2.
"""

import itertools
import json
import math
import unittest

import harness


def models():
    folder = harness.needs_shared("golden", "tiny-models")
    return sorted(path for path in folder.iterdir() if path.is_dir())


def quantized(path):
    return "quantization_config" in json.loads((path / "config.json").read_text())


def kernels():
    """What this machine can run, best first, as `version` lists it."""
    return harness.run("version").stdout.splitlines()[1].split()[1:]


def relative_error(got, expected):
    difference = math.sqrt(sum((a - b) ** 2 for a, b in zip(got, expected)))
    return difference / math.sqrt(sum(b * b for b in expected))


def greedy_token(logits):
    return max(range(len(logits)), key=lambda i: (logits[i], -i))


class TinyModels(unittest.TestCase):
    def check(self, path, table, tolerance, exact):
        prompts = json.loads((path / "expected.json").read_text())["prompts"]
        # Every prefix of prompt + greedy continuation whose next token is wanted: one step of greedy decoding, if all before were equal.
        lines, owners = [], []
        for prompt in prompts:
            for step in range(len(prompt["greedy"])):
                lines.append({"ids": prompt["ids"] + prompt["greedy"][:step]})
                owners.append((prompt, step))
        answers = harness.run_jsonl("logits", "--model", path, "--quantization", "none", "--kernels", table, "--threads", 1, lines=lines)
        pairs = [(answer["logits"], prompt["logits"][-1]) for (prompt, step), answer in zip(owners, answers) if step == 0]
        self.assertTrue(all(len(got) == len(expected) for got, expected in pairs))
        # Over all prompts together, as one vector.
        flat_got, flat_expected = (list(itertools.chain.from_iterable(column)) for column in zip(*pairs))
        each = [round(relative_error(*pair), 4) for pair in pairs]
        self.assertLessEqual(relative_error(flat_got, flat_expected), tolerance, f"{path.name} {table}, prompt by prompt: {each}")
        largest = max(abs(a - b) for a, b in zip(flat_got, flat_expected))
        followed = set()
        compared = 0
        for (prompt, step), answer in zip(owners, answers):
            if id(prompt) in followed:
                continue
            if not exact and prompt["greedy_margin"][step] < 2 * largest:
                followed.add(id(prompt))  # from here on the continuation may differ
                continue
            compared += 1
            self.assertEqual(greedy_token(answer["logits"]), prompt["greedy"][step],
                             f"{path.name} {table}: step {step} after {len(prompt['ids'])} tokens")
        return compared

    def check_all(self, tables, tolerance, exact):
        """`tolerance`: of plain and of quantized models."""
        compared = 0
        for path in models():
            for table in tables:
                with self.subTest(model=path.name, kernels=table):
                    compared += self.check(path, table, tolerance[quantized(path)], exact)
        self.assertGreater(compared, 100)

    def test_reference_kernels(self):
        self.check_all(["reference"], (1e-4, 1e-4), exact=True)

    def test_fast_kernels(self):
        fast = [table for table in kernels() if table != "reference"]
        if not fast:
            self.skipTest("this machine has no fast kernels")
        self.check_all(fast, (2e-2, 3e-2), exact=False)

    def test_all_positions(self):
        path = harness.needs_shared("golden", "tiny-models", "f32-tied-gqa4")
        prompts = json.loads((path / "expected.json").read_text())["prompts"]
        for prompt in prompts:
            result = harness.run("logits", "--model", path, "--kernels", "reference", "--all", "--ids", ",".join(map(str, prompt["ids"])))
            self.assertEqual(result.returncode, 0, result.stderr)
            rows = json.loads(result.stdout)["logits"]
            self.assertEqual([greedy_token(row) for row in rows], prompt["argmax_all_positions"])
            for position, logits in zip(prompt["positions"], prompt["logits"]):
                self.assertLessEqual(relative_error(rows[position], logits), 1e-4)

    def test_a_folders_own_integers_serve_under_every_format(self):
        """int8 and its like concern what is beside them, the embedding and the head; gptq is the name of a folder that has such weights."""
        for path in filter(quantized, models()):
            stored = json.loads((path / "config.json").read_text())["quantization_config"]["quant_method"]
            prompt = json.loads((path / "expected.json").read_text())["prompts"][-1]
            for name in ("int8", "int4", "gptq"):
                result = harness.run("logits", "--model", path, "--quantization", name, "--ids", ",".join(map(str, prompt["ids"])))
                if name == "gptq" and stored != "gptq":
                    self.assertNotEqual(result.returncode, 0)
                    self.assertIn(f"{stored} weights", result.stderr)
                    continue
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertLessEqual(relative_error(json.loads(result.stdout)["logits"], prompt["logits"][-1]), 0.12, f"{path.name} {name}")

    def test_gptq_of_plain_weights_is_told_how_to_make_it(self):
        path = harness.needs_shared("golden", "tiny-models", "f32-tied-gqa4")
        result = harness.run("logits", "--model", path, "--quantization", "gptq", "--ids", "1,2")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("qwen-thinking quantize", result.stderr)

    def test_chunks_change_no_bit(self):
        for path in models():
            prompt = json.loads((path / "expected.json").read_text())["prompts"][-1]["ids"]
            for table in kernels():
                with self.subTest(model=path.name, kernels=table):
                    outputs = set()
                    for flags in (["--threads", 1], ["--threads", 2, "--chunk", 1], ["--threads", 1, "--chunk", 7]):
                        result = harness.run("logits", "--model", path, "--kernels", table, *flags, "--ids", ",".join(map(str, prompt)))
                        self.assertEqual(result.returncode, 0, result.stderr)
                        outputs.add(result.stdout)
                    self.assertEqual(len(outputs), 1)


if __name__ == "__main__":
    harness.main()
